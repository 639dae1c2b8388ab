#pragma once

#include <cstddef>

#include "backend/cuda/ops/op.hpp"

namespace bntrain::cuda {

/// Any of batch norm, activation, pooling. Batch norm, activation and max pooling are one pass; averages
/// follow it as a kernel of their own.
class BlockOp final : public Op {
 public:
  BlockOp(Workspace& workspace, const PlanOp& op, std::int64_t batch);

  void forward(Mode mode) override;
  void update() override;
  std::int64_t scratch_bytes() const override;

  // Of the batch norm in this op.
  std::int64_t norm_channels() const { return op_.in.channels; }
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
  kernels::NormOptions options() const;
  /// Whether there is anything but an average.
  bool is_fused() const { return op_.has_norm() || op_.has_activation() || op_.takes_maximum(); }

  // Scratch memory.
  /// What the average is taken of, and in the backward pass its gradient: like the input.
  float* pixels() const { return static_cast<float*>(scratch()); }
  std::int64_t pixel_bytes() const;
  void* workspace() const { return static_cast<std::byte*>(scratch()) + pixel_bytes(); }

  kernels::PoolShape pool_shape_, fused_shape_;  ///< of the block; without the average
};

}  // namespace bntrain::cuda
