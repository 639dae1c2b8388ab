// The first rung: batch norm as its formulas say, to be read before the fast kernels and to compare them
// with.
//
// Maths and contract: batch_norm.hpp. One block has a channel, so that few channels leave most of the GPU
// idle; x is read from memory three times forward, x and dy twice backward. The variance takes a pass of its
// own, over differences from the mean: E[x^2] - E[x]^2 would need one pass for both, but where the mean is
// large against the deviation it subtracts nearly equal numbers and loses their digits. Sums are in fp64, so
// that their rounding does not matter.
//
// What the fast kernels add: vectors of 16 bytes, several blocks per channel, mean and variance in one pass
// over memory (moments.cuh), tensors that stay on chip between the passes (resident_forward.cuh).
#include "kernels/batch_norm/gradients.cuh"
#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/moments.cuh"

namespace bntrain::kernels {
namespace {

using namespace simt;

constexpr int kThreads = 256;

/// Calls work(offset) for the values of channel c, each for one thread of the block: NCHW, or NHWC.
template <typename Work>
SIMT_DEVICE void for_values(const NormShape& s, std::int64_t c, const Work& work) {
  for (std::int64_t i = thread_index(); i < s.batch * s.spatial; i += kThreads)
    work(s.layout == Layout::channels_last ? i * s.channels + c
                                           : (i / s.spatial * s.channels + c) * s.spatial + i % s.spatial);
}

/// x and y may be the same tensor: a thread writes only what it alone has read.
SIMT_KERNEL(kThreads)
forward_kernel(NormShape shape, const float* x, const float* gamma, const float* beta, float* y,
               StatisticsOutput output) {
  SIMT_SHARED(double, scratch, kMaxWarps);
  const auto n = static_cast<double>(shape.batch * shape.spatial);
  for (std::int64_t c = block_index(); c < shape.channels; c += grid_size()) {
    // block_sum() adds up the threads' sums and gives the total to all of them.
    double sum = 0;
    for_values(shape, c, [&](std::int64_t at) { sum += x[at]; });
    const double mean = block_sum(sum, scratch) / n;
    double squares = 0;
    for_values(shape, c, [&](std::int64_t at) { squares += (x[at] - mean) * (x[at] - mean); });
    const double var = block_sum(squares, scratch) / n;
    if (thread_index() == 0) output.write(c, n, {mean, var});
    const Normalizer normalize =
        normalizer(split_mean(mean), inv_std_of(var, output.options.eps), gamma[c], beta[c]);
    for_values(shape, c, [&](std::int64_t at) { y[at] = normalize(x[at]); });
  }
}

/// dx may be x or dy.
SIMT_KERNEL(kThreads)
backward_kernel(NormShape shape, const float* x, const float* dy, const float* gamma, Means means,
                const float* inv_std, float* dx, float* dgamma, float* dbeta) {
  SIMT_SHARED(GradientSums, scratch, kMaxWarps);
  const auto n = static_cast<double>(shape.batch * shape.spatial);
  for (std::int64_t c = block_index(); c < shape.channels; c += grid_size()) {
    const Standardizer xhat = standardizer(means.at(c), inv_std[c]);
    GradientSums sums{0, 0};
    for_values(shape, c, [&](std::int64_t at) {
      sums = Add{}(sums, GradientSums{dy[at], static_cast<double>(dy[at]) * xhat(x[at])});
    });
    sums = block_sum(sums, scratch);
    if (thread_index() == 0) {
      dbeta[c] = static_cast<float>(sums.first);
      dgamma[c] = static_cast<float>(sums.second);
    }
    const InputGradient gradient{xhat, gamma[c] * inv_std[c], static_cast<float>(sums.first / n),
                                 static_cast<float>(sums.second / n)};
    for_values(shape, c, [&](std::int64_t at) { dx[at] = gradient(x[at], dy[at]); });
  }
}

LaunchConfig block_per_channel(const char* name, const NormShape& shape, const Stream& stream) {
  return {.name = name,
          .grid = strided_grid(shape.channels, 1, NormTuning::kBlocksPerSm, stream),
          .block = kThreads};
}

}  // namespace

void naive_forward(const NormShape& shape, const float* x, const float* gamma, const float* beta, float* y,
                   const StatisticsOutput& output, const Stream& stream) {
  launch(forward_kernel, block_per_channel("batch_norm_naive_forward", shape, stream), stream, shape, x,
         gamma, beta, y, output);
}

void naive_backward(const NormShape& shape, const float* x, const float* dy, const float* gamma,
                    const float* mean, const float* inv_std, float* dx, float* dgamma, float* dbeta,
                    const Stream& stream) {
  launch(backward_kernel, block_per_channel("batch_norm_naive_backward", shape, stream), stream, shape, x, dy,
         gamma, two_floats(mean, shape.channels), inv_std, dx, dgamma, dbeta);
}

}  // namespace bntrain::kernels
