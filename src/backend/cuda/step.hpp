// One fused step of the plan for one batch size, on the device. Steps only enqueue.
#pragma once

#include <string>

#include "backend/cuda/math_libraries.hpp"
#include "bntrain/plan.hpp"

namespace bntrain::cuda {

/// The memory that the steps of every batch size share.
struct Workspace {
  Workspace(const Plan& plan, Precision precision);

  const Plan& plan;
  DeviceStream stream;
  MathLibraries libraries;
  std::int64_t capacity;  ///< images the arena has room for; a multiple of 16, so that values are aligned
  DeviceArray<float> arena;
  DeviceArray<float> parameters, gradients, velocity;
  DeviceArray<float> running;
  /// What batch norms divide by in the step that runs, at the offsets of their running mean (and, for the
  /// batch's variance, of their running variance).
  DeviceArray<float> statistics, invstd;
  DeviceArray<unsigned> halted;    ///< one number: a loss was not finite
  DeviceArray<unsigned> arrivals;  ///< one number, 0 between launches

  const Shape& shape(int value) const { return plan.values[static_cast<std::size_t>(value)].shape; }
  /// The activation (gradient) of a value.
  float* value(int number) const {
    return arena.data() + plan.values[static_cast<std::size_t>(number)].offset * capacity;
  }
  float* gradient(int number) const {
    return arena.data() + plan.values[static_cast<std::size_t>(number)].gradient_offset * capacity;
  }
};

enum class Mode { training, inference };

class Step {
 public:
  Step(Workspace& workspace, const PlanStep& step, std::int64_t batch)
      : w_(workspace), step_(step), batch_(batch) {}
  virtual ~Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  virtual void forward(Mode mode) = 0;
  virtual void backward() = 0;
  /// What belongs to the update and not to the parameters: running statistics. Nothing once halted.
  virtual void update() {}
  /// Bytes of memory that only this step uses, from the forward to the backward pass.
  virtual std::int64_t scratch_bytes() const { return 0; }
  /// Of the batch norm in this step; 0 without one.
  virtual std::int64_t norm_channels() const { return 0; }
  /// What the convolution in front left out of this step's input, for its batch norm takes it off again; or
  /// null.
  virtual const float* left_out_bias() const { return nullptr; }
  /// Which kernels or algorithms run, for people; "" when there is nothing to choose.
  virtual std::string variant(StepPass /*pass*/) const { return ""; }

  const PlanStep& step() const { return step_; }
  void use_scratch(void* scratch) { scratch_ = scratch; }

 protected:
  /// Null for a tensor that the step has not (offset -1).
  float* parameter(std::int64_t offset) const { return offset < 0 ? nullptr : w_.parameters.data() + offset; }
  float* parameter_gradient(std::int64_t offset) const {
    return offset < 0 ? nullptr : w_.gradients.data() + offset;
  }
  kernels::Stream stream() const { return w_.stream.kernels(); }
  float* input() const { return w_.value(step_.input); }
  float* output() const { return w_.value(step_.output); }
  float* output_gradient() const { return w_.gradient(step_.output); }
  /// Null for the images: nobody wants their gradient.
  float* input_gradient() const { return step_.input == 0 ? nullptr : w_.gradient(step_.input); }
  void* scratch() const { return scratch_; }

  Workspace& w_;
  const PlanStep& step_;
  const std::int64_t batch_;

 private:
  void* scratch_ = nullptr;
};

}  // namespace bntrain::cuda
