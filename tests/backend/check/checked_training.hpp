// Two backends side by side in a small training: the reference, and one that is judged by it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "backend/check/backend.hpp"
#include "backend/check/faulty_backend.hpp"
#include "backend/cpu/backend.hpp"
#include "core/random.hpp"
#include "support/small_training.hpp"

namespace bntrain::test {

inline constexpr const char* kNetwork = "conv4x3,bn,relu,maxpool2,conv6x2,bn,relu,fc8,relu,fc4";
inline constexpr std::int64_t kBatch = 16, kTrain = 40;  // two full batches and one of 8
inline const SgdStep kParams{
    .lr = 0.05, .momentum = 0.9, .weight_decay = 1e-3, .gradient_scale = 1.0 / kBatch};

inline std::unique_ptr<Backend> make_reference() {
  return cpu::make_cpu_backend(1, available_cpu_isas().back());
}

inline std::unique_ptr<Backend> make_other() {
  return cpu::make_cpu_backend(2, available_cpu_isas().front());
}

/// A backend, a network with its initial state loaded, and data.
class CheckedTraining {
 public:
  CheckedTraining(std::unique_ptr<Backend> backend, const std::string& text = kNetwork,
                  Init init = Init::torch, bool training = true)
      : data_(make_synthetic({{1, 10, 9, false}, 4, kTrain, 20, 7, 0.5})),
        network_(Network::parse(text, data_.train.shape, 4)),
        backend_(std::move(backend)) {
    executable_.emplace(with_images(backend_->compile({network_,
                                                       {},
                                                       kBatch,
                                                       training ? Purpose::training : Purpose::inference,
                                                       UpdateRule::sgd_momentum}),
                                    data_));
    executable_->load(initial_state(network_, init, 1));
  }

  /// Makes training step `number`: the three batches again and again, each epoch in another order.
  void step(int number, const SgdStep& params = kParams) {
    const int in_epoch = number % 3;
    if (in_epoch == 0) executable_->set_order(epoch_order(kTrain, 3, number / 3, true));
    executable_->train_step({in_epoch * kBatch, in_epoch == 2 ? kTrain - 2 * kBatch : kBatch}, params);
  }
  void steps(int count, const SgdStep& params = kParams) {
    for (int number = 0; number < count; ++number) step(number, params);
  }

  TestedExecutable* operator->() { return &*executable_; }
  const Network& network() const { return network_; }
  const Dataset& data() const { return data_; }

 private:
  Dataset data_;
  Network network_;
  std::unique_ptr<Backend> backend_;
  std::optional<TestedExecutable> executable_;
};

inline std::unique_ptr<Backend> checked(std::unique_ptr<Backend> judged) {
  return make_check_backend(make_reference(), std::move(judged));
}

inline std::unique_ptr<Backend> with_fault(Fault fault) {
  return checked(std::make_unique<FaultyBackend>(make_other(), std::move(fault)));
}

}  // namespace bntrain::test
