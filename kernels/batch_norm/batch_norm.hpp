// bntrain::kernels: batch normalisation. Part of kernels.hpp, whose rules hold here too.
// Ioffe and Szegedy 2015, "Batch Normalization", arXiv 1502.03167.
//
// Per channel over its n = batch * spatial values:
//   mean = sum(x) / n,  var = sum((x - mean)^2) / n,  invstd = 1 / sqrt(var + eps)
//   y = (x - mean) * (gamma * invstd) + beta
// n = 1 gives y = beta and dx = 0. var + eps = 0 and a variance beyond float32 give invstd = 0, y = beta,
// dx = 0 (running_var is infinite in the second case). NaN or infinity in a channel makes that channel NaN
// and no other. A tensor without elements: nothing is launched, nothing is changed.
#pragma once

#include <cstdint>

namespace bntrain::kernels {

struct Stream;

enum class Layout {
  channels_first,  ///< (batch, channels, spatial), as NCHW
  channels_last,   ///< (batch, spatial, channels), as NHWC
};

/// spatial is height * width; 1 for (batch, channels), which is the same in both layouts.
struct NormShape {
  std::int64_t batch = 0;
  std::int64_t channels = 0;
  std::int64_t spatial = 1;
  Layout layout = Layout::channels_first;
};

struct NormOptions {
  double eps = 1e-5;      ///< added to the variance, inside the root
  double momentum = 0.9;  ///< weight of the OLD value in the running statistics (PyTorch's is 1 minus this)
  bool unbiased = false;  ///< running_var gets m2 / (n - 1) instead of m2 / n (no effect at n = 1)
};

/// Of some values of one channel: how many, their mean, the sum of squared deviations from it. This is what
/// ranks exchange. Zeros stand for no values.
struct ChannelMoments {
  double count, mean, m2;
};

/// How the training passes run. All give the same bits. The bytes are those that memory moves, for S bytes of
/// tensor.
enum class NormVariant {
  automatic,   ///< what batch_norm_variant() says
  plain,       ///< forward 3 S, backward 5 S; for every shape and device
  cluster,     ///< 2 S, 3 S: a channel stays in the shared memory of a block, or of a cluster of blocks
  persistent,  ///< 2 S, 3 S: it stays in that of all multiprocessors together, by a cooperative launch
  l2_groups,   ///< 2 S, 3 S: plain for as many channels at a time as half the L2 cache holds
};
const char* to_string(NormVariant variant);

enum class NormPass { forward, backward };

/// What automatic means for this shape on the stream's device.
NormVariant batch_norm_variant(NormPass pass, const NormShape& shape, const Stream& stream);

/// Bytes of the workspace of every function here that takes one. It lies on 16 bytes; its contents mean
/// nothing before and after.
std::int64_t batch_norm_workspace(const NormShape& shape);

/// Training forward pass. x, y: the tensor, y may be x. gamma, beta: [channels]. Written: mean, var (biased),
/// invstd: [channels]; mean and invstd are what the backward pass wants. running_mean, running_var:
/// [channels] or both null,
///   running = momentum * running + (1 - momentum) * batch statistic
/// Throws std::invalid_argument where the variant cannot serve this shape on this device.
void batch_norm_forward(const NormShape& shape, const NormOptions& options, const float* x,
                        const float* gamma, const float* beta, float* y, float* mean, float* var,
                        float* invstd, float* running_mean, float* running_var, void* workspace,
                        const Stream& stream, NormVariant variant = NormVariant::automatic);

/// Backward pass of the above, xhat = (x - mean) * invstd:
///   dbeta = sum(dy),  dgamma = sum(dy * xhat),  dx = gamma * invstd * (dy - dbeta / n - xhat * dgamma / n)
/// dx may be dy or x. dgamma and dbeta, [channels], are overwritten.
void batch_norm_backward(const NormShape& shape, const float* x, const float* dy, const float* gamma,
                         const float* mean, const float* invstd, float* dx, float* dgamma, float* dbeta,
                         void* workspace, const Stream& stream, NormVariant variant = NormVariant::automatic);

/// The formula of the forward pass with the running statistics. y may be x.
void batch_norm_inference(const NormShape& shape, double eps, const float* x, const float* gamma,
                          const float* beta, const float* running_mean, const float* running_var, float* y,
                          const Stream& stream);

/// Backward pass of inference: the statistics are constants, so dx = gamma / sqrt(running_var + eps) * dy.
/// dx may be dy.
void batch_norm_inference_backward(const NormShape& shape, double eps, const float* x, const float* dy,
                                   const float* gamma, const float* running_mean, const float* running_var,
                                   float* dx, float* dgamma, float* dbeta, void* workspace,
                                   const Stream& stream);

// The pieces of the forward pass, for statistics over several ranks: statistics() on each, the moments of all
// of them side by side, finalize() and apply().

/// The moments of the channels of x; moments: [channels].
void batch_norm_statistics(const NormShape& shape, const float* x, ChannelMoments* moments, void* workspace,
                           const Stream& stream);

/// Merges moments, [parts][channels], in their order, and writes what batch_norm_forward() writes. Channels
/// whose parts are all empty are left alone.
void batch_norm_finalize(std::int64_t parts, std::int64_t channels, const ChannelMoments* moments,
                         const NormOptions& options, float* mean, float* var, float* invstd,
                         float* running_mean, float* running_var, const Stream& stream);

/// y = (x - mean) * (gamma * invstd) + beta. y may be x.
void batch_norm_apply(const NormShape& shape, const float* x, const float* mean, const float* invstd,
                      const float* gamma, const float* beta, float* y, const Stream& stream);

// The pieces of the backward pass: sums on each rank, their sums over the ranks, the gradient of the input.

/// dbeta = sum(dy), dgamma = sum(dy * (x - mean) * invstd) over the values at hand.
void batch_norm_backward_sums(const NormShape& shape, const float* x, const float* dy, const float* mean,
                              const float* invstd, float* dgamma, float* dbeta, void* workspace,
                              const Stream& stream);

/// dx of batch_norm_backward() where dgamma, dbeta are sums over `count` values per channel, of all ranks.
void batch_norm_backward_input(const NormShape& shape, std::int64_t count, const float* x, const float* dy,
                               const float* gamma, const float* mean, const float* invstd,
                               const float* dgamma, const float* dbeta, float* dx, const Stream& stream);

/// The moving averages of batch norm, where they must not move before the loss is known to be finite
/// (batch_norm_forward() moves them at once): from a batch's mean and biased var over `count` values,
///   running_mean = momentum * running_mean + (1 - momentum) * (mean + shift),  running_var likewise from var
/// All [channels]. shift: the bias of a convolution in front that was not added, or null. halted: device
/// memory or null; where it is not 0, nothing is changed. count = 0 changes nothing.
void update_running_statistics(std::int64_t channels, std::int64_t count, const NormOptions& options,
                               const float* mean, const float* var, const float* shift,
                               const unsigned* halted, float* running_mean, float* running_var,
                               const Stream& stream);

/// mean = running_mean - shift, invstd = 1 / sqrt(running_var + eps): the ChannelNorm of inference. All
/// [channels]; shift as above. An invstd of 0 where running_var + eps is 0 or running_var beyond float32.
void inference_statistics(std::int64_t channels, double eps, const float* running_mean,
                          const float* running_var, const float* shift, float* mean, float* invstd,
                          const Stream& stream);

}  // namespace bntrain::kernels
