// bntrain::kernels: batch norm, ReLU and max pooling in one. Part of kernels.hpp, whose rules hold here too.
#pragma once

#include <cstdint>

namespace bntrain::kernels {

struct Stream;

/// Batch norm, ReLU and max pooling in this order, each of which may be missing. Tensors are NCHW.
struct PoolShape {
  std::int64_t batch = 0, channels = 0, height = 0, width = 0;
  std::int64_t pool = 1;  ///< window and stride, 1: no pooling; a rest of rows or columns is dropped
  bool relu = true;

  std::int64_t out_height() const { return height / pool; }
  std::int64_t out_width() const { return width / pool; }
};

/// The norm of every channel, [channels] each: the batch's statistics in training, the moving ones in
/// inference. All null: no norm. An invstd of 0 stands for a variance that is 0 or beyond float32.
struct ChannelNorm {
  const float* mean = nullptr;
  const float* invstd = nullptr;
  const float* gamma = nullptr;
  const float* beta = nullptr;
};

/// y = maxpool(relu((x - mean) * (gamma * invstd) + beta)) in one pass; beta where invstd is 0.
/// x: [batch, channels, height, width]; y: [batch, channels, out_height, out_width]; no two overlap.
/// winners: null, or like y: the x that won each window, which spares backward a pass over x. (Without
/// pooling that is x itself: null.)
/// NaN passes through. The winner of a window is the first NaN, else the first maximum of x (gamma < 0: the
/// first minimum, gamma = 0: the first element).
void batch_norm_relu_maxpool_forward(const PoolShape& shape, const float* x, const ChannelNorm& norm,
                                     float* y, float* winners, const Stream& stream);

/// Bytes of the workspace of batch_norm_relu_maxpool_backward(). Without norm none is needed: null.
std::int64_t batch_norm_relu_maxpool_backward_workspace(const PoolShape& shape);

/// Gradients of sum(dy * y) where mean and invstd are the statistics of x: with g the dy of windows that the
/// ReLU let through, at their winners, and n = batch * height * width,
///   dbeta = sum g,  dgamma = sum g * xhat,  dx = gamma * invstd * (g - dbeta / n - xhat * dgamma / n)
/// also at pixels outside every window, where g is 0. An invstd of 0 gives dgamma 0 and dx 0. Without norm dx
/// = g. winners: what forward wrote, or null. dx: like x, or null where only dgamma and dbeta are wanted.
/// dgamma, dbeta: [channels], unused without norm. workspace: on 16 bytes, its contents mean nothing before
/// and after. No two overlap.
void batch_norm_relu_maxpool_backward(const PoolShape& shape, const float* x, const float* winners,
                                      const float* dy, const ChannelNorm& norm, float* dgamma, float* dbeta,
                                      float* dx, void* workspace, const Stream& stream);

}  // namespace bntrain::kernels
