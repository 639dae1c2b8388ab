#pragma once

#include <cstddef>

#include "backend/cuda/step.hpp"

namespace bntrain::cuda {

/// Any of batch norm, ReLU, max pooling. `conv_bias`: the bias that the convolution in front left out, or
/// null.
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
  void* workspace() const { return static_cast<std::byte*>(scratch()) + winner_bytes_; }
  std::int64_t moment_bytes() const;
  void use_batch_statistics();
  void use_running_statistics();

  kernels::NormShape norm_shape_;
  kernels::PoolShape pool_shape_;
  kernels::NormOptions options_;
  const float* conv_bias_;
  std::int64_t winner_bytes_ = 0;
};

}  // namespace bntrain::cuda
