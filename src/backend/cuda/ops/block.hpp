#pragma once

#include <cstddef>

#include "backend/cuda/ops/op.hpp"

namespace bntrain::cuda {

/// Any of batch norm, activation, pooling. One kernel does batch norm, ReLU and max pooling in one pass;
/// other activations and averages follow it as kernels of their own.
class BlockOp final : public Op {
 public:
  BlockOp(Workspace& workspace, const PlanOp& op, std::int64_t batch);

  void forward(Mode mode) override;
  void update() override;
  std::int64_t scratch_bytes() const override;

  // Of the batch norm in this op.
  std::int64_t norm_channels() const { return norm_shape_.channels; }
  /// The bias that the convolution before it has not added, for the batch norm takes it off again; or null.
  const float* absorbed_bias() const;

 protected:
  void compute_gradients() override;

 private:
  float* mean() const { return w_.mean.data() + 2 * op_.running_mean; }
  float* var() const { return w_.var.data() + op_.running_mean; }
  float* inv_std() const { return w_.inv_std.data() + op_.running_mean; }
  float* running_mean() const { return w_.running.data() + op_.running_mean; }
  float* running_var() const { return w_.running.data() + op_.running_var; }
  kernels::ChannelNorm norm() const;
  /// Whether there is anything for the kernel in one pass.
  bool runs_fused() const {
    return op_.has_norm() || op_.activation.kind == ActivationKind::relu || op_.takes_maximum();
  }
  /// Whether the activation is a kernel of its own, and whether that needs its input for the backward pass.
  bool activates() const { return op_.has_activation() && op_.activation.kind != ActivationKind::relu; }
  bool keeps_input() const {
    return activates() && runs_fused() && !activation_type(op_.activation.kind).gradient_from_output;
  }

  // Scratch memory: what the backward pass reads comes first.
  /// The x that is the argmax of each window in the last training pass; null without norm or max pooling.
  float* argmax_values() const { return argmax_bytes_ > 0 ? static_cast<float*>(scratch()) : nullptr; }
  float* pixels(int which) const {
    return reinterpret_cast<float*>(static_cast<std::byte*>(scratch()) + argmax_bytes_ +
                                    which * pixel_bytes_);
  }
  /// What the fused kernel writes, the input of the activation.
  float* before_activation() const { return keeps_input() ? pixels(kept_arrays_ - 1) : activated(); }
  /// The output of the activation: every pixel's where an average follows, else the block's.
  float* activated() const { return op_.takes_average() ? pixels(0) : output(); }
  std::int64_t activated_size() const { return op_.takes_average() ? in_size() : out_size(); }
  float* pixel_gradient() const { return pixels(1); }
  void* workspace() const { return pixels(kept_arrays_); }
  std::int64_t moment_bytes() const;
  void use_batch_statistics();
  void use_running_statistics();

  kernels::NormShape norm_shape_;
  kernels::PoolShape pool_shape_, fused_shape_;  ///< of the block; of the kernel in one pass
  kernels::NormOptions options_;
  std::int64_t argmax_bytes_ = 0;
  std::int64_t pixel_bytes_ = 0;  ///< of one element for each of the input
  int kept_arrays_ = 0;           ///< of pixel_bytes_ each
};

}  // namespace bntrain::cuda
