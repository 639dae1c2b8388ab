// bntrain::kernels: batch norm, an activation and max pooling in one. Part of kernels.hpp, whose rules hold
// here too.
#pragma once

#include <cstdint>

#include "bntrain/activation.hpp"

namespace bntrain::kernels {

struct Stream;

/// Windows of pool * pool pixels that do not overlap. Tensors are NCHW.
struct PoolShape {
  std::int64_t batch = 0, channels = 0, height = 0, width = 0;
  std::int64_t pool = 1;  ///< window and stride, 1: no pooling; remaining rows or columns are dropped

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

// All functions here: y = maxpool(activation((x - mean) * (gamma * inv_std) + beta)), beta in place of the
// norm where inv_std is 0. x, dx: [batch, channels, height, width]; y, dy: [batch, channels, out_height,
// out_width]; no two overlap. NaN passes through. The argmax of a window is its first NaN, else the first
// maximum of x (gamma < 0: the first minimum, gamma = 0: the first element). So an activation before a
// pooling must keep the order (`monotone` in activation.hpp), else they throw std::invalid_argument, as they
// do where a tensor has 2^31 planes, or a channel 2^31 windows, or more.
//
// Where the registers of a block, or of a cluster of blocks, hold a channel, a training pass is one launch
// that reads x once. Else it takes several.

/// Training forward pass: computes the statistics of x, and y by them. Writes mean, [2 * channels], var
/// (biased) and inv_std, [channels], as batch_norm_forward() does.
void batch_norm_maxpool_forward(const PoolShape& shape, const Activation& activation, double eps,
                                const float* x, const float* gamma, const float* beta, float* y, float* mean,
                                float* var, float* inv_std, void* workspace, const Stream& stream);

/// y by given statistics, or without norm.
void batch_norm_maxpool_inference(const PoolShape& shape, const Activation& activation, const float* x,
                                  const ChannelNorm& norm, float* y, const Stream& stream);

/// Gradients of sum(dy * y) where mean and inv_std are the statistics of x: with n = batch * height * width,
/// and g = dy * activation' at the argmax of each window, elsewhere 0,
///   dbeta = sum g,  dgamma = sum g * xhat,  dx = gamma * inv_std * (g - dbeta / n - xhat * dgamma / n)
/// also at pixels outside every window. An inv_std of 0 gives dgamma 0 and dx 0. Without norm dx = g. dx:
/// null where only dgamma and dbeta are wanted. dgamma, dbeta: [channels], unused without norm.
void batch_norm_maxpool_backward(const PoolShape& shape, const Activation& activation, const float* x,
                                 const float* dy, const ChannelNorm& norm, float* dx, float* dgamma,
                                 float* dbeta, void* workspace, const Stream& stream);

/// Bytes of the workspace of the training passes. It is 16-byte aligned, its contents before and after are
/// unspecified. Without norm none is needed: null.
std::int64_t batch_norm_maxpool_workspace(const PoolShape& shape);

}  // namespace bntrain::kernels
