// The first rung: batch norm as its formulas say, to be read before the fast kernels and to compare them
// with. It is right, within the same error bounds, but slow: one block has a channel, so that few channels
// leave most of the GPU idle, and x is read from memory three times forward, x and dy twice backward.
//
// Maths (Ioffe and Szegedy 2015, arXiv 1502.03167), per channel over its n = batch * spatial values:
//   mean = sum(x) / n,  var = sum((x - mean)^2) / n,  inv_std = 1 / sqrt(var + eps)
//   y = (x - mean) * (gamma * inv_std) + beta
//   dbeta = sum(dy),  dgamma = sum(dy * xhat),  xhat = (x - mean) * inv_std
//   dx = gamma * inv_std * (dy - dbeta / n - xhat * dgamma / n)
// The variance takes a pass of its own, over differences from the mean. E[x^2] - E[x]^2 would need one pass
// for both, but where the mean is large against the deviation it subtracts nearly equal numbers and loses
// their digits.
//
// What the fast kernels add to this file: vectors of 16 bytes (iteration_space.cuh), several blocks per
// channel (statistics.cu), mean and variance in one pass over memory (moments.cuh), tensors that stay in
// shared memory between the passes (on_chip.cuh). Contract: batch_norm.hpp. Bytes moved, for S bytes of
// tensor: 4 S, 5 S.
#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/statistics_output.cuh"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {
namespace {

using namespace simt;

constexpr int kThreads = 256;

/// Where value i of channel c is: NCHW, or NHWC.
SIMT_DEVICE std::int64_t offset_of(const NormShape& s, std::int64_t c, std::int64_t i) {
  if (s.layout == Layout::channels_last) return i * s.channels + c;
  return (i / s.spatial * s.channels + c) * s.spatial + i % s.spatial;
}

/// x and y may be the same tensor: a thread writes only what it alone has read.
SIMT_KERNEL(kThreads)
forward_kernel(NormShape shape, const float* x, const float* gamma, const float* beta, float* y,
               StatisticsOutput output) {
  SIMT_SHARED(double, scratch, kMaxWarps);
  const std::int64_t n = shape.batch * shape.spatial;
  const auto count = static_cast<double>(n);
  for (std::int64_t c = block_index(); c < shape.channels; c += grid_size()) {
    // The 256 threads share the channel: thread t adds up the values t, t + 256, t + 512, ...; block_sum()
    // adds up the threads' sums and gives the total to all of them. Sums are in fp64, so that their rounding
    // does not matter.
    double sum = 0;
    for (std::int64_t i = thread_index(); i < n; i += kThreads) sum += x[offset_of(shape, c, i)];
    const double mean = block_sum(sum, scratch) / count;

    double squares = 0;
    for (std::int64_t i = thread_index(); i < n; i += kThreads) {
      const double d = x[offset_of(shape, c, i)] - mean;
      squares += d * d;
    }
    const double m2 = block_sum(squares, scratch);

    // One thread writes mean, var and inv_std, and updates the running statistics.
    if (thread_index() == 0) output.write(c, {count, mean, m2});

    const float inv_std = inv_std_of(m2 / count, output.options.eps);
    const Mean center = split_mean(mean);
    const float scale = gamma[c] * inv_std;
    for (std::int64_t i = thread_index(); i < n; i += kThreads) {
      const std::int64_t at = offset_of(shape, c, i);
      // inv_std is 0 where the variance is degenerate, and then 0 times an infinite difference must not
      // become NaN.
      y[at] = inv_std == 0 ? beta[c] : center.deviation(x[at]) * scale + beta[c];
    }
  }
}

/// dx may be x or dy.
SIMT_KERNEL(kThreads)
backward_kernel(NormShape shape, const float* x, const float* dy, const float* gamma, const float* mean,
                const float* inv_std, float* dx, float* dgamma, float* dbeta) {
  SIMT_SHARED(Pair<double>, scratch, kMaxWarps);
  const std::int64_t n = shape.batch * shape.spatial;
  const auto count = static_cast<double>(n);
  for (std::int64_t c = block_index(); c < shape.channels; c += grid_size()) {
    const Mean center = two_floats(mean, shape.channels).at(c);
    const auto xhat = [&](std::int64_t at) {
      return inv_std[c] == 0 ? 0.0f : center.deviation(x[at]) * inv_std[c];
    };

    Pair<double> sums{0, 0};  // of dy and of dy * xhat
    for (std::int64_t i = thread_index(); i < n; i += kThreads) {
      const std::int64_t at = offset_of(shape, c, i);
      sums.first += dy[at];
      sums.second += dy[at] * xhat(at);
    }
    sums = block_sum(sums, scratch);
    if (thread_index() == 0) {
      dbeta[c] = static_cast<float>(sums.first);
      dgamma[c] = static_cast<float>(sums.second);
    }

    const float dbeta_mean = static_cast<float>(sums.first / count);
    const float dgamma_mean = static_cast<float>(sums.second / count);
    const float scale = gamma[c] * inv_std[c];
    for (std::int64_t i = thread_index(); i < n; i += kThreads) {
      const std::int64_t at = offset_of(shape, c, i);
      dx[at] = inv_std[c] == 0 ? 0.0f : scale * (dy[at] - dbeta_mean - xhat(at) * dgamma_mean);
    }
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
         gamma, mean, inv_std, dx, dgamma, dbeta);
}

}  // namespace bntrain::kernels
