// A device with a planted fault: what a wrong backend would do, at the interface.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/executable.hpp"
#include "backend/state.hpp"
#include "network/state_layout.hpp"

namespace bntrain {

/// Hooks that change what passes through; `step` counts training steps from 0. Empty hooks change nothing.
struct Fault {
  std::function<void(BatchNormOptions&)> batch_norm = nullptr;
  std::function<void(int step, BatchRange, StepParams&)> params = nullptr;
  std::function<void(int step, StepMetrics&)> metrics = nullptr;
  std::function<void(int step, ModelState&)> state = nullptr;
  std::function<void(int step, ModelState&)> gradients = nullptr;
  std::function<void(int step, ModelState&)> loaded = nullptr;
  std::function<void(int step, ModelState&)> momentum_loaded = nullptr;
};

class FaultyExecutable final : public Executable {
 public:
  FaultyExecutable(std::unique_ptr<Executable> inner, const Fault& fault)
      : inner_(std::move(inner)), fault_(fault) {}

  const Plan& plan() const override { return inner_->plan(); }
  void bind_training_images(const ImageSet& images) override { inner_->bind_training_images(images); }
  void bind_evaluation_images(const ImageSet& images) override { inner_->bind_evaluation_images(images); }
  void set_order(std::span<const std::int64_t> order) override { inner_->set_order(order); }
  void train_step(BatchRange range, const StepParams& params) override {
    ++step_;
    StepParams changed = params;
    if (fault_.params) fault_.params(step_, range, changed);
    inner_->train_step(range, changed);
  }
  void eval_step(BatchRange range) override { inner_->eval_step(range); }
  std::vector<float> logits() override { return inner_->logits(); }
  std::vector<StepMetrics> drain_metrics() override {
    std::vector<StepMetrics> drained = inner_->drain_metrics();
    if (fault_.metrics)
      for (StepMetrics& metrics : drained) fault_.metrics(step_, metrics);
    return drained;
  }

  std::vector<float> read(StateBuffer buffer) const override {
    if (buffer == StateBuffer::gradients && fault_.gradients) {
      ModelState gradients = save_gradients(*inner_);
      fault_.gradients(step_, gradients);
      return flat(gradients, buffer, inner_->read(buffer));
    }
    const bool is_state = buffer == StateBuffer::parameters || buffer == StateBuffer::running_statistics;
    if (is_state && fault_.state) return flat(changed_state(), buffer, inner_->read(buffer));
    return inner_->read(buffer);
  }
  void write(StateBuffer buffer, std::span<const float> values) override {
    inner_->write(buffer, values);
    if (buffer != StateBuffer::first_moment || !fault_.momentum_loaded) return;
    ModelState momentum = save_optimizer(*inner_).at(0).state;
    fault_.momentum_loaded(step_, momentum);
    inner_->write(buffer, flat(momentum, buffer, inner_->read(buffer)));
  }
  std::int64_t updates() const override {
    if (!fault_.state) return inner_->updates();
    for (const Tensor& tensor : changed_state().tensors)
      if (const auto* count = std::get_if<std::vector<std::int64_t>>(&tensor.values)) updates_ = count->at(0);
    return updates_;
  }
  void restart(std::int64_t updates) override {
    inner_->restart(updates);
    if (!fault_.loaded) return;
    ModelState state = save_state(*inner_);
    fault_.loaded(step_, state);
    for (const StateBuffer buffer : {StateBuffer::parameters, StateBuffer::running_statistics})
      inner_->write(buffer, flat(state, buffer, inner_->read(buffer)));
    inner_->restart(updates);
  }
  std::string variant() const override { return "faulty"; }
  Diagnostics& diagnostics() override { return inner_->diagnostics(); }

 private:
  ModelState changed_state() const {
    ModelState state = save_state(*inner_);
    fault_.state(step_, state);
    return state;
  }

  /// `values` with the tensors of that buffer replaced.
  std::vector<float> flat(const ModelState& state, StateBuffer buffer, std::vector<float> values) const {
    const bool running = buffer == StateBuffer::running_statistics;
    for (const StateEntry& entry : state_layout(plan().network)) {
      if (entry.role == TensorRole::batches_tracked || (entry.parameter == nullptr) != running) continue;
      std::ranges::copy(state.find(entry.name)->floats(), values.begin() + entry.offset);
    }
    return values;
  }

  std::unique_ptr<Executable> inner_;
  const Fault& fault_;
  int step_ = -1;
  mutable std::int64_t updates_ = 0;
};

class FaultyBackend final : public Backend {
 public:
  FaultyBackend(std::unique_ptr<Backend> inner, Fault fault)
      : inner_(std::move(inner)), fault_(std::move(fault)) {}

  std::unique_ptr<Executable> compile(const PlanRequest& request) override {
    PlanRequest changed = request;
    if (fault_.batch_norm) fault_.batch_norm(changed.batch_norm);
    return std::make_unique<FaultyExecutable>(inner_->compile(changed), fault_);
  }
  std::int64_t memory_bytes(const PlanRequest& request) override { return inner_->memory_bytes(request); }
  DevicePeaks measure_peaks() override { return inner_->measure_peaks(); }
  std::string description() const override { return "faulty"; }

 private:
  std::unique_ptr<Backend> inner_;
  Fault fault_;
};

inline std::vector<float>& floats_of(ModelState& state, const std::string& name) {
  for (Tensor& tensor : state.tensors)
    if (tensor.name == name) return tensor.floats();
  throw std::logic_error("no tensor " + name);
}

}  // namespace bntrain
