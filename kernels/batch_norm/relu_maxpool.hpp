// bntrain::kernels: batch norm, ReLU and max pooling in one. Part of kernels.hpp, whose rules hold here too.
#pragma once

#include <cstdint>

namespace bntrain::kernels {

struct Stream;

/// Batch norm, ReLU and max pooling in this order, each of which may be missing. Tensors are NCHW.
struct PoolShape {
  std::int64_t batch = 0, channels = 0, height = 0, width = 0;
  std::int64_t pool = 1;  ///< window and stride, 1: no pooling; remaining rows or columns are dropped
  bool relu = true;

  std::int64_t out_height() const { return height / pool; }
  std::int64_t out_width() const { return width / pool; }
};

/// The norm of every channel, [channels] each, mean [2 * channels] (see batch_norm.hpp): the batch statistics
/// in training, the running statistics in inference. All null: no norm. An inv_std of 0 means that var + eps
/// is 0 or var overflows float32.
struct ChannelNorm {
  const float* mean = nullptr;
  const float* inv_std = nullptr;
  const float* gamma = nullptr;
  const float* beta = nullptr;
};

/// y = maxpool(relu((x - mean) * (gamma * inv_std) + beta)) in one pass; beta where inv_std is 0.
/// x: [batch, channels, height, width]; y: [batch, channels, out_height, out_width]; no two overlap.
/// argmax_values: null, or like y: the element of x that is the maximum of each window, which saves the
/// backward pass from reading x once more. (Without pooling that is x itself: null.) NaN passes through. The
/// argmax of a window is the first NaN, else the first maximum of x (gamma < 0: the first minimum, gamma = 0:
/// the first element).
void batch_norm_relu_maxpool_forward(const PoolShape& shape, const float* x, const ChannelNorm& norm,
                                     float* y, float* argmax_values, const Stream& stream);

/// Bytes of the workspace of batch_norm_relu_maxpool_backward(). Without norm none is needed: null.
std::int64_t batch_norm_relu_maxpool_backward_workspace(const PoolShape& shape);

/// Gradients of sum(dy * y) where mean and inv_std are the statistics of x: with n = batch * height * width,
/// and g = dy at the argmax of each window whose output is positive (without ReLU: of each window), elsewhere
/// 0,
///   dbeta = sum g,  dgamma = sum g * xhat,  dx = gamma * inv_std * (g - dbeta / n - xhat * dgamma / n)
/// also at pixels outside every window. An inv_std of 0 gives dgamma 0 and dx 0. Without norm dx
/// = g. argmax_values: what forward wrote, or null. dx: like x, or null where only dgamma and dbeta are
/// wanted. dgamma, dbeta: [channels], unused without norm. workspace: 16-byte aligned, its contents before
/// and after are unspecified. No two overlap.
void batch_norm_relu_maxpool_backward(const PoolShape& shape, const float* x, const float* argmax_values,
                                      const float* dy, const ChannelNorm& norm, float* dgamma, float* dbeta,
                                      float* dx, void* workspace, const Stream& stream);

}  // namespace bntrain::kernels
