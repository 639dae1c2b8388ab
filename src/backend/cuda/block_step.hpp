#pragma once

#include <cstddef>

#include "backend/cuda/step.hpp"

namespace bntrain::cuda {

/// Any of batch norm, activation, pooling. One kernel does batch norm, ReLU and max pooling in one pass; a
/// sigmoid and an average follow it as kernels of their own. `conv_bias`: the bias that the convolution in
/// front left out, or null.
class BlockStep final : public Step {
 public:
  BlockStep(Workspace& workspace, const PlanStep& step, std::int64_t batch, const float* conv_bias);

  void forward(Mode mode) override;
  void backward() override;
  void update() override;
  std::int64_t scratch_bytes() const override;
  std::int64_t norm_channels() const override { return step_.norm ? norm_shape_.channels : 0; }
  const float* left_out_bias() const override { return conv_bias_; }

 private:
  float* mean() const { return w_.statistics.data() + step_.running_mean; }
  float* var() const { return w_.statistics.data() + step_.running_var; }
  float* invstd() const { return w_.invstd.data() + step_.running_mean; }
  float* running_mean() const { return w_.running.data() + step_.running_mean; }
  float* running_var() const { return w_.running.data() + step_.running_var; }
  kernels::ChannelNorm norm() const;
  /// The x that won each window in the last training pass; null without norm or pooling.
  float* winners() const { return winner_bytes_ > 0 ? static_cast<float*>(scratch()) : nullptr; }
  bool averages() const { return step_.pool > 1 && step_.pooling == Pooling::average; }
  /// Whether there is anything for the kernel in one pass.
  bool runs_fused() const {
    return step_.norm || step_.activation == Activation::relu || fused_shape_.pool > 1;
  }
  /// The output of the activation: every pixel's where an average follows, else the block's.
  float* activated() const { return averages() ? pixels(0) : output(); }
  std::int64_t activated_size() const;
  float* pixel_gradient() const { return pixels(1); }
  float* pixels(int which) const {
    return reinterpret_cast<float*>(static_cast<std::byte*>(scratch()) + winner_bytes_ +
                                    which * pixel_bytes_);
  }
  void* workspace() const { return pixels(2); }
  std::int64_t moment_bytes() const;
  void use_batch_statistics();
  void use_running_statistics();

  kernels::NormShape norm_shape_;
  kernels::PoolShape pool_shape_, fused_shape_;  ///< of the block; of the kernel in one pass
  kernels::NormOptions options_;
  const float* conv_bias_;
  std::int64_t winner_bytes_ = 0;
  std::int64_t pixel_bytes_ = 0;  ///< of a number a pixel of the input, where an average follows
};

}  // namespace bntrain::cuda
