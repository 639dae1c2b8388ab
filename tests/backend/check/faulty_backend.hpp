// A device with a planted fault: what a wrong backend would do, at the interface.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bntrain/backend.hpp"

namespace bntrain {

/// Hooks that change what passes through; `step` counts training steps from 0. Empty hooks change nothing.
struct Fault {
  std::function<void(Plan&)> plan = nullptr;
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

  void set_order(std::span<const std::int64_t> order) override { inner_->set_order(order); }
  void train_step(BatchRange range, const StepParams& params) override {
    ++step_;
    StepParams changed = params;
    if (fault_.params) fault_.params(step_, range, changed);
    inner_->train_step(range, changed);
  }
  void eval_step(BatchRange range) override { inner_->eval_step(range); }
  std::vector<BatchStatistics> eval_step_by_batch(BatchRange range, int first_layer) override {
    return inner_->eval_step_by_batch(range, first_layer);
  }
  std::vector<float> logits() override { return inner_->logits(); }
  std::vector<StepMetrics> drain_metrics() override {
    std::vector<StepMetrics> drained = inner_->drain_metrics();
    if (fault_.metrics)
      for (StepMetrics& metrics : drained) fault_.metrics(step_, metrics);
    return drained;
  }
  std::string first_non_finite(BatchRange range) override { return inner_->first_non_finite(range); }
  std::vector<OpTiming> time_ops(BatchRange range, int repetitions) override {
    return inner_->time_ops(range, repetitions);
  }
  std::vector<float> read_value(int value, StepPass pass, std::int64_t images) const override {
    return inner_->read_value(value, pass, images);
  }
  ModelState save() const override { return changed(inner_->save(), fault_.state); }
  ModelState save_gradients() const override { return changed(inner_->save_gradients(), fault_.gradients); }
  ModelState save_momentum() const override { return inner_->save_momentum(); }
  void load(const ModelState& state) override { inner_->load(changed(state, fault_.loaded)); }
  void load_momentum(const ModelState& momentum) override {
    inner_->load_momentum(changed(momentum, fault_.momentum_loaded));
  }
  std::string variant() const override { return "faulty"; }

 private:
  ModelState changed(ModelState state, const std::function<void(int, ModelState&)>& change) const {
    if (change) change(step_, state);
    return state;
  }

  std::unique_ptr<Executable> inner_;
  const Fault& fault_;
  int step_ = -1;
};

class FaultyBackend final : public Backend {
 public:
  FaultyBackend(std::unique_ptr<Backend> inner, Fault fault)
      : inner_(std::move(inner)), fault_(std::move(fault)) {}

  /// Other than the CPU's, so that its plan must be made anew.
  PlanOptions plan_options() const override { return {.training = true, .rebuild_conv_gradients = false}; }
  std::unique_ptr<Executable> compile(const Plan& plan, const Dataset& dataset) override {
    Plan changed = plan;
    if (fault_.plan) fault_.plan(changed);
    return std::make_unique<FaultyExecutable>(inner_->compile(changed, dataset), fault_);
  }
  DeviceCeilings measure_peaks() override { return inner_->measure_peaks(); }
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
