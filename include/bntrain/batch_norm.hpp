// Batch normalisation as plain functions on the CPU.
// Ioffe and Szegedy 2015, "Batch Normalization", arXiv 1502.03167.
#pragma once

#include <cstdint>

#include "bntrain/backend.hpp"
#include "bntrain/network.hpp"

namespace bntrain {

/// x and y are contiguous (batch, channels, spatial): spatial = H * W for images, 1 for (N, C).
struct BatchNormShape {
  std::int64_t batch = 0;
  std::int64_t channels = 0;
  std::int64_t spatial = 1;
};

/// Training forward pass. Per channel over the n = batch * spatial values:
///   mean = sum(x) / n,  var = sum((x - mean)^2) / n,  y = (x - mean) * (gamma / sqrt(var + eps)) + beta
///   running = momentum * running + (1 - momentum) * batch statistic
/// x, y: n * channels floats, y may be x. gamma, beta, var: [channels]; mean: [2 * channels], its float32
/// values and then what these lack, mean = high + low. mean and var are written (var biased) and are what the
/// backward pass wants. running_mean and running_var: [channels] or both null. n = 1
/// gives y = beta. var + eps = 0 or a variance beyond float32 gives y = beta (running_var inf). NaN or
/// infinity in a channel makes that channel NaN and no other. An empty batch changes nothing. Throws
/// std::logic_error for negative sizes or missing pointers.
void batch_norm_forward_train(const float* x, const float* gamma, const float* beta,
                              const BatchNormShape& shape, const BatchNormOptions& options, float* y,
                              float* mean, float* var, float* running_mean, float* running_var,
                              CpuIsa isa = CpuIsa::automatic);

/// Backward pass of the above, xhat = (x - mean) / sqrt(var + eps):
///   dbeta = sum(dy),  dgamma = sum(dy * xhat),  dx = gamma / sqrt(var + eps) * (dy - dbeta / n - xhat *
///   dgamma / n)
/// dx may be dy. dgamma and dbeta are overwritten.
void batch_norm_backward(const float* x, const float* dy, const float* gamma, const float* mean,
                         const float* var, const BatchNormShape& shape, const BatchNormOptions& options,
                         float* dx, float* dgamma, float* dbeta, CpuIsa isa = CpuIsa::automatic);

/// Inference: the formula of the forward pass with the running statistics, which are not changed.
void batch_norm_inference(const float* x, const float* gamma, const float* beta, const float* running_mean,
                          const float* running_var, const BatchNormShape& shape,
                          const BatchNormOptions& options, float* y, CpuIsa isa = CpuIsa::automatic);

/// Backward pass of inference: the statistics are constants, so dx = gamma / sqrt(running_var + eps) * dy.
void batch_norm_inference_backward(const float* x, const float* dy, const float* gamma,
                                   const float* running_mean, const float* running_var,
                                   const BatchNormShape& shape, const BatchNormOptions& options, float* dx,
                                   float* dgamma, float* dbeta, CpuIsa isa = CpuIsa::automatic);

}  // namespace bntrain
