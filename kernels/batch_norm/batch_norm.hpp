// bntrain::kernels: batch normalisation. Part of kernels.hpp, whose rules hold here too.
// Ioffe and Szegedy 2015, "Batch Normalization", arXiv 1502.03167.
//
// To read the kernels: naive.cu, the formulas as they are; then resident_forward.cuh and
// resident_backward.cuh (moments.cuh, gradients.cuh: the arithmetic; resident.cuh: which thread has what);
// then forward.cu and backward.cu, which launch the parts in statistics.cu where a channel is too large
// (iteration_space.cuh, register_tile.cuh: which thread reads what), and variant.cu, which chooses.
// maxpool_*.cu are kernels of their own.
//
// Per channel over its n = batch * spatial values:
//   mean = sum(x) / n,  var = sum((x - mean)^2) / n,  inv_std = 1 / sqrt(var + eps)
//   y = (x - mean) * (gamma * inv_std) + beta
// `mean` is an array of [2 * channels], the means as two float32 each: first the high parts (the means,
// rounded to float32), then the low ones (what is missing), and x - mean is computed as (x - high) - low. So
// a mean that is large against the deviation costs y no digits. Running means are single floats. n = 1 gives
// y = beta and dx = 0. var + eps = 0 and a variance beyond float32 give inv_std = 0, y = beta, dx = 0
// (running_var is infinite in the second case). NaN or infinity in a channel makes that channel NaN and no
// other. A tensor without elements: nothing is launched, nothing is changed.
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
/// ranks exchange. All 0 where there are no values.
struct ChannelMoments {
  double count, mean, m2;
};

/// How the training passes run. Each variant gives the same bits in every run and in every grid; two variants
/// may differ by rounding. (streamed divides its sums among the multiprocessors, so that devices may differ;
/// its grid is fixed, and where Stream::max_blocks is less, automatic means another variant.) Bytes: those
/// moved between memory and the GPU, forward and backward, for S bytes of tensor.
enum class NormVariant {
  automatic,  ///< what batch_norm_variant() returns
  naive,      ///< 4 S, 5 S, one block per channel: the kernel to read first, never chosen automatically
  plain,      ///< 3 S, 5 S; for every shape and device
  resident,  ///< 2 S, 3 S: a channel stays in the registers of a block, or of a cluster of blocks; one launch
  streamed,  ///< 2 S, 3 S, more where a channel exceeds the chip: all multiprocessors share strips of
             ///< channels; one cooperative launch. plain where a tensor is not 16-byte aligned
};
const char* to_string(NormVariant variant);

enum class NormPass { forward, backward };

/// What automatic means for this shape on the stream's device.
NormVariant batch_norm_variant(NormPass pass, const NormShape& shape, const Stream& stream);

/// Bytes of the workspace of every function here that takes one. It is 16-byte aligned; its contents before
/// and after are unspecified.
std::int64_t batch_norm_workspace(const NormShape& shape);

/// Training forward pass. x, y: the tensor, y may be x. gamma, beta: [channels]. Written: mean: [2 *
/// channels], var (biased), inv_std: [channels]; mean and inv_std are inputs of the backward pass.
/// running_mean, running_var: [channels] or both null,
///   running = momentum * running + (1 - momentum) * batch statistic
/// Throws std::invalid_argument where the variant is impossible for this shape on this device.
void batch_norm_forward(const NormShape& shape, const NormOptions& options, const float* x,
                        const float* gamma, const float* beta, float* y, float* mean, float* var,
                        float* inv_std, float* running_mean, float* running_var, void* workspace,
                        const Stream& stream, NormVariant variant = NormVariant::automatic);

/// Backward pass of the above, xhat = (x - mean) * inv_std:
///   dbeta = sum(dy),  dgamma = sum(dy * xhat),  dx = gamma * inv_std * (dy - dbeta / n - xhat * dgamma / n)
/// dx may be dy or x. dgamma and dbeta, [channels], are overwritten.
void batch_norm_backward(const NormShape& shape, const float* x, const float* dy, const float* gamma,
                         const float* mean, const float* inv_std, float* dx, float* dgamma, float* dbeta,
                         void* workspace, const Stream& stream, NormVariant variant = NormVariant::automatic);

/// The formula of the forward pass, with the running statistics. y may be x.
void batch_norm_inference(const NormShape& shape, double eps, const float* x, const float* gamma,
                          const float* beta, const float* running_mean, const float* running_var, float* y,
                          const Stream& stream);

/// Backward pass of inference: the statistics are constants, so dx = gamma / sqrt(running_var + eps) * dy.
/// dx may be dy.
void batch_norm_inference_backward(const NormShape& shape, double eps, const float* x, const float* dy,
                                   const float* gamma, const float* running_mean, const float* running_var,
                                   float* dx, float* dgamma, float* dbeta, void* workspace,
                                   const Stream& stream);

// The parts of the forward pass, for statistics over several ranks: statistics() on each, the moments of all
// of them gathered, finalize() and apply().

/// The moments of the channels of x; moments: [channels].
void batch_norm_statistics(const NormShape& shape, const float* x, ChannelMoments* moments, void* workspace,
                           const Stream& stream);

/// Merges moments, [parts][channels], in their order, and writes what batch_norm_forward() writes. Channels
/// whose parts are all empty are not changed.
void batch_norm_finalize(std::int64_t parts, std::int64_t channels, const ChannelMoments* moments,
                         const NormOptions& options, float* mean, float* var, float* inv_std,
                         float* running_mean, float* running_var, const Stream& stream);

/// y = (x - mean) * (gamma * inv_std) + beta. y may be x.
void batch_norm_apply(const NormShape& shape, const float* x, const float* mean, const float* inv_std,
                      const float* gamma, const float* beta, float* y, const Stream& stream);

// The parts of the backward pass: sums on each rank, their sums over the ranks, the gradient of the input.

/// dbeta = sum(dy), dgamma = sum(dy * (x - mean) * inv_std) over the values of this rank.
void batch_norm_backward_sums(const NormShape& shape, const float* x, const float* dy, const float* mean,
                              const float* inv_std, float* dgamma, float* dbeta, void* workspace,
                              const Stream& stream);

/// dx of batch_norm_backward() where dgamma, dbeta are sums over `count` values per channel, of all ranks.
void batch_norm_backward_input(const NormShape& shape, std::int64_t count, const float* x, const float* dy,
                               const float* gamma, const float* mean, const float* inv_std,
                               const float* dgamma, const float* dbeta, float* dx, const Stream& stream);

/// Updates the running statistics apart from the forward pass, where they must not change before the loss is
/// known to be finite (batch_norm_forward() updates them at once): from a batch's mean and biased var over
/// `count` values,
///   running_mean = momentum * running_mean + (1 - momentum) * (mean + shift),  running_var likewise from var
/// All [channels], mean [2 * channels]. shift: the bias that the convolution before the norm did not add, or
/// null. halted: device memory or null; where it is not 0, nothing is changed. count = 0 changes nothing.
void update_running_statistics(std::int64_t channels, std::int64_t count, const NormOptions& options,
                               const float* mean, const float* var, const float* shift,
                               const unsigned* halted, float* running_mean, float* running_var,
                               const Stream& stream);

/// mean = running_mean - shift, inv_std = 1 / sqrt(running_var + eps): the ChannelNorm of inference. All
/// [channels], mean [2 * channels]; shift as above. An inv_std of 0 where running_var + eps is 0 or
/// running_var beyond float32.
void inference_statistics(std::int64_t channels, double eps, const float* running_mean,
                          const float* running_var, const float* shift, float* mean, float* inv_std,
                          const Stream& stream);

}  // namespace bntrain::kernels
