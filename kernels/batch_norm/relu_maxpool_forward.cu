// Batch norm, ReLU and max pooling in one pass over x, given the statistics.
//
// Maths (Ioffe and Szegedy 2015, arXiv 1502.03167, algorithm 1), x: [batch, channels, height, width]:
//   v = (x - mean) * (gamma * inv_std) + beta;  y = the largest max(v, 0) of each pool x pool window
// computed as max(v, 0) at the argmax of the window, see relu_maxpool.cuh. Not x * a + b with the constants
// of a channel: that loses the digits that x and mean share.
//
// Contract: relu_maxpool.hpp. A thread computes one output, or four where rows consist of whole vectors.
// Bytes moved: 4 * (size of x + size of y), and the size of y once more for argmax_values.
#include "kernels/batch_norm/relu_maxpool.cuh"

namespace bntrain::kernels {
namespace {

using namespace relu_pool;

struct ForwardTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksPerSm = 8;
  static constexpr std::int64_t kShortestChunk = 2 * kThreads;
  static constexpr std::int64_t kMostChunks = 4096;
};

template <int pool, bool norm, bool vectorized>
SIMT_KERNEL(ForwardTuning::kThreads)
forward_kernel(Planes p, ChannelChunks chunks, bool relu, const float* __restrict__ x, ChannelNorm n,
               float* __restrict__ y, float* __restrict__ argmax_values) {
  constexpr int kWindows = vectorized ? 4 : 1;
  const std::int64_t items = p.out_size() / kWindows;  // of a plane
  for (std::int64_t unit = block_index(); unit < chunks.units(); unit += grid_size()) {
    const Channel<norm> channel(n, p.channels, chunks.channel(unit));
    for (std::int64_t i = chunks.first(unit) + thread_index(); i < chunks.last(unit); i += block_size()) {
      const std::int64_t plane = i / items * p.channels + chunks.channel(unit);
      const std::int64_t out = i % items * kWindows;
      const std::int64_t row = pool == 1 ? 0 : out / p.out_width;
      const std::int64_t column = out - row * p.out_width;
      const float* window = x + plane * p.size() + row * p.pool * p.width + column * p.pool;
      const auto output = [&](float argmax) {
        const float v = channel.apply(argmax);
        return relu && v <= 0 ? 0.0f : v;  // keeps NaN, which fmaxf(NaN, 0) would hide
      };
      const std::int64_t to = plane * p.out_size() + out;
      if constexpr (vectorized) {
        const FourWindows<pool> windows(window, p.width);
        Vec<float> best, result;
        SIMT_UNROLL
        for (int lane = 0; lane < kWindows; ++lane) {
          best.lane[lane] = windows.argmax(lane, channel.sign).x;
          result.lane[lane] = output(best.lane[lane]);
        }
        store_vec(y + to, result);
        if (argmax_values != nullptr) store_vec(argmax_values + to, best);
      } else {
        const float best = find_argmax<pool>(window, p.width, p.pool, channel.sign).x;
        y[to] = output(best);
        if (argmax_values != nullptr) argmax_values[to] = best;
      }
    }
  }
}

template <bool norm>
auto pick(std::int64_t pool, bool vectorized) {
  if (pool == 1) return vectorized ? forward_kernel<1, norm, true> : forward_kernel<1, norm, false>;
  if (pool == 2) return vectorized ? forward_kernel<2, norm, true> : forward_kernel<2, norm, false>;
  return forward_kernel<0, norm, false>;
}

}  // namespace

void batch_norm_relu_maxpool_forward(const PoolShape& shape, const float* x, const ChannelNorm& norm,
                                     float* y, float* argmax_values, const Stream& stream) {
  constexpr const char* kName = "batch_norm_relu_maxpool_forward";
  const bool with_norm = checked_norm(norm, kName);
  const Planes p = planes_of(shape, with_norm, kName);
  if (p.batch * p.channels * p.out_size() == 0) return;
  const bool vectorized = can_vectorize(p) && is_aligned(x) && is_aligned(y) &&
                          (argmax_values == nullptr || is_aligned(argmax_values));
  const ChannelChunks chunks = cut(p.channels, p.batch * p.out_size() / (vectorized ? 4 : 1),
                                   ForwardTuning::kShortestChunk, ForwardTuning::kMostChunks);
  launch(with_norm ? pick<true>(p.pool, vectorized) : pick<false>(p.pool, vectorized),
         {.name = kName,
          .grid = strided_grid(chunks.units(), 1, ForwardTuning::kBlocksPerSm, stream),
          .block = ForwardTuning::kThreads},
         stream, p, chunks, shape.relu, x, norm, y, argmax_values);
}

}  // namespace bntrain::kernels
