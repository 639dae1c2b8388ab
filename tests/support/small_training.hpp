// A small network on generated images, compiled for a backend.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/executable.hpp"
#include "backend/state.hpp"
#include "bntrain/dataset.hpp"
#include "bntrain/network.hpp"
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
  Purpose purpose = Purpose::training;
  UpdateRule update = UpdateRule::sgd_momentum;
  bool decay_weights_only = false;
  Normalization normalization = {};
};

/// The parameters of a step of SGD; without momentum the buffer is the gradient.
struct SgdStep {
  double lr = 0.2, momentum = 0, weight_decay = 0, gradient_scale = 1.0 / 256.0;

  operator StepParams() const {
    return {{.lr = static_cast<float>(lr),
             .weight_decay = static_cast<float>(weight_decay),
             .momentum = static_cast<float>(momentum)},
            gradient_scale};
  }
};

/// An executable with what the library does on top of it, in few words.
class TestedExecutable {
 public:
  explicit TestedExecutable(std::unique_ptr<Executable> executable) : executable_(std::move(executable)) {}

  Executable& operator*() { return *executable_; }
  const Plan& plan() const { return executable_->plan(); }
  void set_order(std::span<const std::int64_t> order) { executable_->set_order(order); }
  void train_step(BatchRange range, const SgdStep& step) { executable_->train_step(range, step); }
  void train_step(BatchRange range, const StepParams& params) { executable_->train_step(range, params); }
  void eval_step(BatchRange range) { executable_->eval_step(range); }
  std::vector<float> logits() { return executable_->logits(); }
  std::vector<StepMetrics> drain_metrics() { return executable_->drain_metrics(); }
  std::string variant() const { return executable_->variant(); }
  std::string report() const { return executable_->report(); }

  ModelState save() const { return save_state(*executable_); }
  ModelState save_gradients() const { return bntrain::save_gradients(*executable_); }
  std::vector<OptimizerState> save_optimizer() const { return bntrain::save_optimizer(*executable_); }
  ModelState save_momentum() const { return save_optimizer().at(0).state; }
  void load(const ModelState& state) { load_state(*executable_, state); }
  void load_optimizer(const std::vector<OptimizerState>& state) {
    bntrain::load_optimizer(*executable_, state);
  }
  void load_momentum(const ModelState& momentum) { load_optimizer({{"momentum_buffer", momentum}}); }

  std::vector<BatchStatistics> eval_step_by_batch(BatchRange range, int first_layer) {
    return executable_->diagnostics().eval_step_by_batch(range, first_layer);
  }
  std::string first_non_finite(BatchRange range) {
    return executable_->diagnostics().first_non_finite(range);
  }
  std::vector<OpTiming> time_ops(BatchRange range, int repetitions) {
    return executable_->diagnostics().time_ops(range, repetitions);
  }
  std::vector<float> read_value(int value, StepPass pass, std::int64_t images) const {
    return executable_->diagnostics().read_value(value, pass, images);
  }

 private:
  std::unique_ptr<Executable> executable_;
};

/// `executable` for the images of a data set, which must outlive it.
inline TestedExecutable with_images(std::unique_ptr<Executable> executable, const Dataset& data) {
  executable->bind_training_images(data.train);
  executable->bind_evaluation_images(data.test);
  return TestedExecutable(std::move(executable));
}

/// Owns what an executable refers to; it has the initial state loaded.
class SmallTraining {
 public:
  explicit SmallTraining(const TrainingSetup& setup)
      : data_(make_synthetic({setup.shape, 4, setup.train, setup.test, 7, 0.5})),
        network_(Network::parse(setup.text, setup.shape, 4, setup.norm, setup.normalization)),
        backend_(setup.backend.make(setup.threads)),
        executable_(with_images(backend_->compile({network_, setup.batch_norm, setup.batch, setup.purpose,
                                                   setup.update, setup.decay_weights_only}),
                                data_)) {
    executable_.load(initial_state(network_, setup.init, 1));
  }

  const Dataset& data() const { return data_; }
  const Network& network() const { return network_; }
  Executable& operator*() { return *executable_; }
  TestedExecutable* operator->() { return &executable_; }

 private:
  Dataset data_;
  Network network_;
  std::unique_ptr<Backend> backend_;
  TestedExecutable executable_;
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
