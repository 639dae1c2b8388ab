// A small network on generated images, compiled for a backend.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bntrain/dataset.hpp"
#include "bntrain/network.hpp"
#include "bntrain/plan.hpp"
#include "support/backends.hpp"

namespace bntrain::test {

struct TrainingSetup {
  std::string text = "conv4x3,bn,relu,maxpool2,fc8,relu,fc4";
  Shape shape{1, 10, 9, false};
  std::int64_t batch = 16;
  std::int64_t train = 40, test = 16;
  Norm norm = Norm::batch;
  Init init = Init::torch;
  BatchNormOptions batch_norm{};
  BackendCase backend = cpu_backend();
  int threads = 1;
  bool every_value = false;
};

/// Owns what an executable refers to; it has the initial state loaded.
class SmallTraining {
 public:
  explicit SmallTraining(const TrainingSetup& setup)
      : data_(make_synthetic({setup.shape, 4, setup.train, setup.test, 7, 0.5})),
        network_(Network::parse(setup.text, setup.shape, 4, setup.norm)),
        backend_(setup.backend.make(setup.threads)),
        executable_(backend_->compile(make_plan(network_, setup.batch_norm, setup.batch, plan_options(setup)),
                                      data_)) {
    executable_->load(initial_state(network_, setup.init, 1));
  }

  const Dataset& data() const { return data_; }
  const Network& network() const { return network_; }
  Executable& operator*() { return *executable_; }
  Executable* operator->() { return executable_.get(); }

 private:
  PlanOptions plan_options(const TrainingSetup& setup) const {
    PlanOptions options = backend_->plan_options();
    options.every_value = setup.every_value;
    return options;
  }

  Dataset data_;
  Network network_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Executable> executable_;
};

/// Equal names, shapes and bits.
inline testing::AssertionResult same_bits(const ModelState& a, const ModelState& b) {
  if (a.tensors.size() != b.tensors.size()) return testing::AssertionFailure() << "other tensors";
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    const Tensor &x = a.tensors[i], &y = b.tensors[i];
    if (x.name != y.name || x.shape != y.shape || x.values.index() != y.values.index())
      return testing::AssertionFailure() << x.name << " against " << y.name;
    if (!std::holds_alternative<std::vector<float>>(x.values)) {
      if (x.values != y.values) return testing::AssertionFailure() << x.name << " differs";
      continue;
    }
    for (std::size_t j = 0; j < x.floats().size(); ++j)
      if (std::bit_cast<std::uint32_t>(x.floats()[j]) != std::bit_cast<std::uint32_t>(y.floats()[j]))
        return testing::AssertionFailure()
               << x.name << "[" << j << "] = " << x.floats()[j] << " against " << y.floats()[j];
  }
  return testing::AssertionSuccess();
}

}  // namespace bntrain::test
