// The gradients of batch norm, ReLU and max pooling in one.
//
// Maths (Ioffe and Szegedy 2015, arXiv 1502.03167, section 3), with g = dy at the argmax of each window whose
// output is positive and 0 elsewhere, n = batch * height * width values per channel, xhat = (x - mean) *
// inv_std:
//   dbeta = sum g,  dgamma = sum g * xhat,  dx = gamma * inv_std * (g - dbeta / n - xhat * dgamma / n)
// Only the argmax of a window has a g, so the sums read pooled tensors alone: dy and the argmax values.
//
// Contract: relu_maxpool.hpp. Sums are over chunks that depend on the shape alone: four values in float32,
// everything above in double. The second kernel adds the chunks of its channel itself, which saves a launch
// between the two. Bytes moved, with S the size of x and P that of y: 4 * 2 P (S + P without argmax_values),
// then 4 * (2 S + P).
#include "kernels/batch_norm/relu_maxpool.cuh"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {
namespace {

using namespace relu_pool;

struct BackwardTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksPerSm = 8;
  static constexpr std::int64_t kShortestSum = 2 * kThreads;  // fours
  static constexpr std::int64_t kMostSums = kThreads;         // one for each thread of the second kernel
  static constexpr std::int64_t kShortestChunk = 2 * kThreads;
  static constexpr std::int64_t kMostChunks = 512;
};

/// g and g * xhat of up to four windows.
struct FourSums {
  float g[4] = {}, g_xhat[4] = {};

  template <typename AnyChannel>
  SIMT_DEVICE void set(int lane, const AnyChannel& channel, float dy, float argmax, bool relu) {
    g[lane] = channel.relu_backward(dy, argmax, relu);
    g_xhat[lane] = g[lane] * channel.xhat(argmax);
  }
  SIMT_DEVICE Pair<double> total() const {
    return {(g[0] + g[1]) + (g[2] + g[3]), (g_xhat[0] + g_xhat[1]) + (g_xhat[2] + g_xhat[3])};
  }
};

/// sums: [channels][chunks]. Item i is windows 4 i to 4 i + 3 of the channel, counted through its planes.
template <int pool, bool vectorized>
SIMT_KERNEL(BackwardTuning::kThreads)
sums_kernel(Planes p, ChannelChunks chunks, bool relu, const float* __restrict__ x,
            const float* __restrict__ dy, ChannelNorm n, Pair<double>* __restrict__ sums) {
  SIMT_SHARED(Pair<double>, scratch, kMaxWarps);
  const std::int64_t windows = p.batch * p.out_size();
  for (std::int64_t unit = block_index(); unit < chunks.units(); unit += grid_size()) {
    const std::int64_t c = chunks.channel(unit);
    const Channel<true> channel(n, p.channels, c);
    Pair<double> sum{0, 0};
    for (std::int64_t i = chunks.first(unit) + thread_index(); i < chunks.last(unit); i += block_size()) {
      const auto out = [&](std::int64_t window) {  // its offset in dy
        return (window / p.out_size() * p.channels + c) * p.out_size() + window % p.out_size();
      };
      const auto corner = [&](std::int64_t window) {  // offset of its first pixel in x
        if (pool == 1) return x + out(window);
        const std::int64_t in_plane = window % p.out_size();
        return x + (window / p.out_size() * p.channels + c) * p.size() +
               in_plane / p.out_width * p.pool * p.width + in_plane % p.out_width * p.pool;
      };
      FourSums four;
      if constexpr (vectorized) {
        const Vec<float> gradient = load_vec(dy + out(4 * i));
        const FourWindows<pool> pixels(corner(4 * i), p.width);
        SIMT_UNROLL
        for (int lane = 0; lane < 4; ++lane)
          four.set(lane, channel, gradient.lane[lane], pixels.argmax(lane, channel.sign).x, relu);
      } else {
        SIMT_UNROLL
        for (int lane = 0; lane < 4; ++lane) {
          const std::int64_t window = 4 * i + lane;
          if (window < windows)
            four.set(lane, channel, dy[out(window)],
                     find_argmax<pool>(corner(window), p.width, p.pool, channel.sign).x, relu);
        }
      }
      sum = Add{}(sum, four.total());
    }
    sum = block_sum(sum, scratch);
    if (thread_index() == 0) sums[unit] = sum;
  }
}

/// The terms of dx that depend on the sums; 0 without norm.
struct StatisticsTerms {
  float dbeta_mean = 0, dgamma_mean = 0;
};

template <bool norm>
SIMT_DEVICE float gradient_of(const Channel<norm>& channel, const StatisticsTerms& terms, float x, float g) {
  if constexpr (norm)
    return channel.inv_std == 0
               ? 0.0f
               : channel.scale * ((g - terms.dbeta_mean) - channel.xhat(x) * terms.dgamma_mean);
  else
    return g;
}

/// An item is a window, or four adjacent ones, or the part of one at the right or lower border that is not
/// pooled. With a null dx the chunks are empty.
template <int pool, bool norm, bool vectorized>
SIMT_KERNEL(BackwardTuning::kThreads)
dx_kernel(Planes p, ChannelChunks chunks, bool relu, const float* __restrict__ x,
          const float* __restrict__ dy, ChannelNorm n, const Pair<double>* __restrict__ sums,
          std::int64_t sums_per_channel, float* __restrict__ dgamma, float* __restrict__ dbeta,
          float* __restrict__ dx) {
  SIMT_SHARED(Pair<double>, scratch, kMaxWarps);
  constexpr int kWindows = vectorized ? 4 : 1;
  const std::int64_t columns = (p.width + p.pool - 1) / p.pool / kWindows;
  const std::int64_t items = (p.height + p.pool - 1) / p.pool * columns;  // of a plane
  for (std::int64_t unit = block_index(); unit < chunks.units(); unit += grid_size()) {
    const std::int64_t c = chunks.channel(unit);
    const Channel<norm> channel(n, p.channels, c);
    StatisticsTerms terms;
    if constexpr (norm) {
      Pair<double> sum{0, 0};
      if (thread_index() < sums_per_channel) sum = sums[c * sums_per_channel + thread_index()];
      sum = block_sum(sum, scratch);
      const double count = static_cast<double>(p.batch * p.size());
      terms = {static_cast<float>(sum.first / count), static_cast<float>(sum.second / count)};
      if (thread_index() == 0 && chunks.first(unit) == 0) {
        dbeta[c] = static_cast<float>(sum.first);
        dgamma[c] = static_cast<float>(sum.second);
      }
    }
    for (std::int64_t i = chunks.first(unit) + thread_index(); i < chunks.last(unit); i += block_size()) {
      const std::int64_t plane = i / items * p.channels + c;
      const std::int64_t row = pool == 1 ? 0 : i % items / columns;
      const std::int64_t column = (i % items - row * columns) * kWindows;
      const bool whole = row < p.out_height && column < p.out_width;
      const std::int64_t out = plane * p.out_size() + row * p.out_width + column;
      const std::int64_t in = plane * p.size() + row * p.pool * p.width + column * p.pool;
      if constexpr (vectorized) {
        if (whole) {
          const Vec<float> gradient = load_vec(dy + out);
          FourWindows<pool> windows(x + in, p.width);
          SIMT_UNROLL
          for (int window = 0; window < kWindows; ++window) {
            const ArgMax best = windows.argmax(window, channel.sign);
            const float g = channel.relu_backward(gradient.lane[window], best.x, relu);
            SIMT_UNROLL
            for (int k = 0; k < pool * pool; ++k) {
              float& pixel = windows.x[k / pool][window * pool + k % pool];
              pixel = gradient_of(channel, terms, pixel, k == best.position ? g : 0.0f);
            }
          }
          windows.store(dx + in, p.width);
          continue;
        }
      }
      ArgMax best{0, -1};
      float g = 0;
      if (whole) {
        best = find_argmax<pool>(x + in, p.width, p.pool, channel.sign);
        g = channel.relu_backward(dy[out], best.x, relu);
      }
      const std::int64_t below = p.height - row * p.pool;
      const std::int64_t right = p.width - column * p.pool;
      for (std::int64_t h = 0; h < (below < p.pool ? below : p.pool); ++h)
        for (std::int64_t w = 0; w < (right < p.pool * kWindows ? right : p.pool * kWindows); ++w) {
          const std::int64_t pixel = in + h * p.width + w;
          dx[pixel] = gradient_of(channel, terms, x[pixel], h * p.pool + w == best.position ? g : 0.0f);
        }
    }
  }
}

auto pick_sums(std::int64_t pool, bool vectorized) {
  if (pool == 1) return vectorized ? sums_kernel<1, true> : sums_kernel<1, false>;
  if (pool == 2) return vectorized ? sums_kernel<2, true> : sums_kernel<2, false>;
  return sums_kernel<0, false>;
}

template <bool norm>
auto pick_dx(std::int64_t pool, bool vectorized) {
  if (pool == 1) return vectorized ? dx_kernel<1, norm, true> : dx_kernel<1, norm, false>;
  if (pool == 2) return vectorized ? dx_kernel<2, norm, true> : dx_kernel<2, norm, false>;
  return dx_kernel<0, norm, false>;
}

ChannelChunks sum_chunks(const Planes& p) {
  return cut(p.channels, (p.batch * p.out_size() + 3) / 4, BackwardTuning::kShortestSum,
             BackwardTuning::kMostSums);
}

constexpr const char* kName = "batch_norm_relu_maxpool_backward";

}  // namespace

std::int64_t batch_norm_relu_maxpool_backward_workspace(const PoolShape& shape) {
  return sum_chunks(planes_of(shape, true, kName)).units() * static_cast<std::int64_t>(sizeof(Pair<double>));
}

void batch_norm_relu_maxpool_backward(const PoolShape& shape, const float* x, const float* argmax_values,
                                      const float* dy, const ChannelNorm& norm, float* dgamma, float* dbeta,
                                      float* dx, void* workspace, const Stream& stream) {
  const bool with_norm = checked_norm(norm, kName);
  const Planes p = planes_of(shape, with_norm, kName);
  if (p.batch * p.channels * p.size() == 0 || (!with_norm && dx == nullptr)) return;
  const auto grid = [&](const ChannelChunks& chunks) {
    return strided_grid(chunks.units(), 1, BackwardTuning::kBlocksPerSm, stream);
  };

  auto* sums = static_cast<Pair<double>*>(workspace);
  const ChannelChunks summed = sum_chunks(p);
  if (with_norm) {
    require(sums != nullptr && is_aligned(sums), kName, "the workspace is null or not 16-byte aligned");
    // The argmax values are a tensor without pooling.
    const bool scan = argmax_values == nullptr && p.pool > 1;
    const Planes pooled = scan ? p : Planes{p.batch, p.channels, 1, p.out_size(), 1, 1, p.out_size()};
    const float* source = scan || p.pool == 1 ? x : argmax_values;
    const bool vectorized = can_vectorize(pooled) && is_aligned(source) && is_aligned(dy);
    launch(pick_sums(pooled.pool, vectorized),
           {.name = "batch_norm_relu_maxpool_sums", .grid = grid(summed), .block = BackwardTuning::kThreads},
           stream, pooled, summed, shape.relu, source, dy, norm, sums);
  }

  const bool vectorized = can_vectorize(p) && is_aligned(x) && is_aligned(dy) && is_aligned(dx);
  const std::int64_t items = (p.height + p.pool - 1) / p.pool * ((p.width + p.pool - 1) / p.pool);
  const ChannelChunks chunks = cut(p.channels, dx != nullptr ? p.batch * items / (vectorized ? 4 : 1) : 0,
                                   BackwardTuning::kShortestChunk, BackwardTuning::kMostChunks);
  launch(with_norm ? pick_dx<true>(p.pool, vectorized) : pick_dx<false>(p.pool, vectorized),
         {.name = "batch_norm_relu_maxpool_dx", .grid = grid(chunks), .block = BackwardTuning::kThreads},
         stream, p, chunks, shape.relu, x, dy, norm, sums, summed.per_channel, dgamma, dbeta, dx);
}

}  // namespace bntrain::kernels
