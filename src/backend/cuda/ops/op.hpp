// One op of the plan for one batch size, on the device. Ops only enqueue.
#pragma once

#include <string>

#include "backend/cuda/math_libraries.hpp"
#include "plan/plan.hpp"

namespace bntrain::cuda {

/// The memory that the ops of every batch size share.
struct Workspace {
  Workspace(const Plan& plan, Precision precision);
  /// Of the buffers below.
  static std::int64_t bytes(const Plan& plan);

  const Plan& plan;
  DeviceStream stream;
  MathLibraries libraries;
  std::int64_t capacity;  ///< images the arena has room for; a multiple of 16, so that values are aligned
  DeviceArray<float> arena;
  DeviceArray<float> parameters, gradients;
  DeviceArray<float> moments[2];  ///< what the optimiser keeps; empty where its rule keeps less
  DeviceArray<float> running;
  /// Of the batch norms in the step that runs, at the offsets of their running mean: the inverse deviation
  /// and the variance; at twice these offsets the mean, as two floats (kernels/batch_norm/batch_norm.hpp).
  DeviceArray<float> mean, var, inv_std;
  DeviceArray<float> pixel_scale;  ///< mean and std of the images' channels; empty: pixel / 255
  DeviceArray<unsigned> halted;    ///< one element: a loss was not finite
  DeviceArray<unsigned> arrivals;  ///< one element, 0 between launches

  /// The activation (gradient) of a value.
  float* value(int number) const { return arena.data() + plan.value(number).offset * capacity; }
  float* gradient(int number) const { return arena.data() + plan.value(number).gradient_offset * capacity; }
};

enum class Mode { training, inference };

class Op {
 public:
  Op(Workspace& workspace, const PlanOp& op, std::int64_t batch);
  virtual ~Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  /// Once, before the first pass and after all other memory was allocated.
  virtual void choose_algorithms() {}
  virtual void forward(Mode mode) = 0;
  /// Gradients of the parameters and of the input, which another reader's may be in already.
  void backward();
  /// What belongs to the update and not to the parameters: running statistics. Nothing once halted.
  virtual void update() {}
  /// Bytes of memory that only this op uses, from the forward to the backward pass.
  virtual std::int64_t scratch_bytes() const { return 0; }
  /// Which kernels or algorithms run, for people; "" when there is nothing to choose.
  virtual std::string variant(StepPass /*pass*/) const { return ""; }

  const PlanOp& plan_op() const { return op_; }
  void use_scratch(void* scratch) { scratch_ = scratch; }

 protected:
  virtual void compute_gradients() = 0;

  /// Null for a tensor that the op has not (offset -1).
  float* parameter(std::int64_t offset) const { return offset < 0 ? nullptr : w_.parameters.data() + offset; }
  float* parameter_gradient(std::int64_t offset) const {
    return offset < 0 ? nullptr : w_.gradients.data() + offset;
  }
  kernels::Stream stream() const { return w_.stream.kernels(); }
  float* input() const { return w_.value(op_.input()); }
  float* output() const { return w_.value(op_.output); }
  float* output_gradient() const { return w_.gradient(op_.output); }
  /// Where compute_gradients() writes the gradient of the (first) input; null where nobody wants it.
  float* input_gradient() const;
  void* scratch() const { return scratch_; }
  std::int64_t in_size() const { return batch_ * op_.in.size(); }
  std::int64_t out_size() const { return batch_ * op_.out.size(); }

  Workspace& w_;
  const PlanOp& op_;
  const std::int64_t batch_;

 private:
  void* scratch_ = nullptr;
  DeviceArray<float> added_;  ///< like the input, where its gradient is added to another reader's
};

}  // namespace bntrain::cuda
