// The gradients of batch norm, activation and max pooling in one.
//
// Maths (Ioffe and Szegedy 2015, arXiv 1502.03167, section 3), with g = dy * activation'(v) at the argmax of
// each window and 0 elsewhere, v = (x - mean) * (gamma * inv_std) + beta, n = batch * height * width values
// per channel, xhat = (x - mean) * inv_std:
//   dbeta = sum g,  dgamma = sum g * xhat,  dx = gamma * inv_std * (g - dbeta / n - xhat * dgamma / n)
//
// Contract: maxpool.hpp. One launch where a channel stays on chip (maxpool_resident_backward.cu), else the
// two kernels here. Sums are over chunks that depend on the shape alone: the outputs of an item in float32,
// everything above in double. The second kernel adds the chunks of its channel itself, which saves a launch
// between the two. Bytes moved, with S the size of x and P that of y: 4 * (S + P), then 4 * (2 S + P).
#include <algorithm>

#include "kernels/batch_norm/maxpool.cuh"
#include "kernels/simt/channel_chunks.hpp"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {
namespace {

using namespace maxpool;

struct BackwardTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksPerSm = 8;
  static constexpr std::int64_t kShortestChunk = 4 * kThreads;
  static constexpr std::int64_t kMostSums = kThreads;  // one for each thread of the second kernel
  static constexpr std::int64_t kMostChunks = 4096;    // where there is nothing to sum
};

/// An item and the gradient g at its outputs.
template <typename Tile>
struct ItemGradient {
  Place<Tile, std::uint64_t> at;
  float pixels[Tile::kPixels > 0 ? Tile::kPixels : 1];  ///< those in memory: unused
  float g[Tile::kOutputs];
  ArgMax best{0, -1};  ///< with pooling

  template <typename Activate>
  SIMT_DEVICE ItemGradient(const Planes& p, unsigned c, unsigned item, const Activate& activation,
                           const Channel& channel, const float* x, const float* dy)
      : at(place_of<Tile, std::uint64_t>(p, c, item)) {
    load_outputs(at, dy, g);
    if constexpr (Tile::kPool == 0) {
      if (at.whole) best = argmax_of(p, x + at.in, channel.sign);
    } else {
      load_item(p, at, x, pixels);
      if constexpr (Tile::kPool > 1) best = argmax_of(pixels, channel.sign);
    }
    SIMT_UNROLL
    for (int k = 0; k < Tile::kOutputs; ++k)
      g[k] = activation_gradient(activation, channel.apply(output(k)), g[k]);
  }
  SIMT_DEVICE float output(int k) const { return Tile::kPool == 1 ? pixels[k] : best.x; }
};

/// sums: [channels][chunks].
template <typename Tile, typename Activate>
SIMT_KERNEL(BackwardTuning::kThreads)
sums_kernel(Planes p, ChannelChunks chunks, Activate activation, const float* __restrict__ x,
            const float* __restrict__ dy, ChannelNorm n, Pair<double>* __restrict__ sums) {
  SIMT_SHARED(Pair<double>, scratch, kMaxWarps);
  for (std::int64_t unit = block_index(); unit < chunks.units(); unit += grid_size()) {
    const auto c = static_cast<unsigned>(chunks.channel(unit));
    const Channel channel = channel_of(n, p.channels, c);
    const auto last = static_cast<unsigned>(chunks.last(unit));
    const auto step = static_cast<unsigned>(block_size());
    Pair<double> sum{0, 0};
    for (auto i = static_cast<unsigned>(chunks.first(unit) + thread_index()); i < last; i += step) {
      const ItemGradient<Tile> item(p, c, i, activation, channel, x, dy);
      Pair<float> outputs{0, 0};
      SIMT_UNROLL
      for (int k = 0; k < Tile::kOutputs; ++k)
        outputs = Add{}(outputs, Pair<float>{item.g[k], item.g[k] * channel.xhat(item.output(k))});
      sum = Add{}(sum, Pair<double>{static_cast<double>(outputs.first), static_cast<double>(outputs.second)});
    }
    sum = block_sum(sum, scratch);
    if (thread_index() == 0) sums[unit] = sum;
  }
}

/// The chunks are those of the sums. dx may be null.
template <typename Tile, typename Activate>
SIMT_KERNEL(BackwardTuning::kThreads)
dx_kernel(Planes p, ChannelChunks chunks, Activate activation, const float* __restrict__ x,
          const float* __restrict__ dy, ChannelNorm n, const Pair<double>* __restrict__ sums,
          double inverse_count, float* __restrict__ dx, float* __restrict__ dgamma,
          float* __restrict__ dbeta) {
  SIMT_SHARED(Pair<double>, scratch, kMaxWarps);
  for (std::int64_t unit = block_index(); unit < chunks.units(); unit += grid_size()) {
    const auto c = static_cast<unsigned>(chunks.channel(unit));
    const bool norm = n.mean != nullptr;
    InputGradient gradient{channel_of(n, p.channels, c)};
    if (norm) {
      Pair<double> sum{0, 0};
      if (thread_index() < chunks.per_channel) sum = sums[c * chunks.per_channel + thread_index()];
      sum = block_sum(sum, scratch);
      gradient.dbeta_mean = static_cast<float>(sum.first * inverse_count);
      gradient.dgamma_mean = static_cast<float>(sum.second * inverse_count);
      if (thread_index() == 0 && chunks.first(unit) == 0) {
        dbeta[c] = static_cast<float>(sum.first);
        dgamma[c] = static_cast<float>(sum.second);
      }
    }
    if (dx == nullptr) continue;
    const auto pixel_gradient = [&](float pixel, float g) { return norm ? gradient(pixel, g) : g; };
    const auto last = static_cast<unsigned>(chunks.last(unit));
    const auto step = static_cast<unsigned>(block_size());
    for (auto i = static_cast<unsigned>(chunks.first(unit) + thread_index()); i < last; i += step) {
      ItemGradient<Tile> item(p, c, i, activation, gradient.channel, x, dy);
      if constexpr (Tile::kPool == 0) {
        for (unsigned row = 0; row < item.at.rows; ++row)
          for (unsigned column = 0; column < item.at.columns; ++column) {
            const std::uint64_t pixel = item.at.in + row * p.width + column;
            const bool is_best = static_cast<int>(row * p.pool + column) == item.best.pixel;
            dx[pixel] = pixel_gradient(x[pixel], is_best ? item.g[0] : 0);
          }
      } else {
        SIMT_UNROLL
        for (int k = 0; k < Tile::kPixels; ++k) {
          const float g = Tile::kPool == 1       ? item.g[k % Tile::kOutputs]
                          : k == item.best.pixel ? item.g[0]
                                                 : 0;
          item.pixels[k] = pixel_gradient(item.pixels[k], g);
        }
        store_item(p, item.at, item.pixels, dx);
      }
    }
  }
}

constexpr const char* kName = "batch_norm_maxpool_backward";

}  // namespace

std::int64_t batch_norm_maxpool_workspace(const PoolShape& shape) {
  const std::int64_t sums = shape.channels * BackwardTuning::kMostSums;
  return std::max(sums * static_cast<std::int64_t>(sizeof(Pair<double>)), forward_workspace(shape));
}

void batch_norm_maxpool_backward(const PoolShape& shape, const Activation& activation, const float* x,
                                 const float* dy, const ChannelNorm& norm, float* dx, float* dgamma,
                                 float* dbeta, void* workspace, const Stream& stream) {
  const bool with_norm = checked_norm(norm, kName);
  const Planes planes = planes_of(shape, activation, with_norm, kName);
  if (planes.batch * planes.channels == 0 || planes.size == 0 || (!with_norm && dx == nullptr)) return;
  if (with_norm) {
    require(workspace != nullptr && is_aligned(workspace), kName,
            "the workspace is null or not 16-byte aligned");
    if (backward_resident(planes, activation, x, dy, norm, dx, dgamma, dbeta, stream)) return;
  }
  with_tile(planes, {x, dx}, {dy}, [&]<typename Tile>(Tile) {
    const Planes p = divided<Tile>(planes, kName);
    const ChannelChunks chunks = cut(p.channels, p.items, BackwardTuning::kShortestChunk,
                                     with_norm ? BackwardTuning::kMostSums : BackwardTuning::kMostChunks);
    const LaunchConfig config{.name = kName,
                              .grid = strided_grid(chunks.units(), 1, BackwardTuning::kBlocksPerSm, stream),
                              .block = BackwardTuning::kThreads};
    auto* sums = static_cast<Pair<double>*>(workspace);
    with_fused_activation(activation, [&]<typename Activate>(const Activate& activate) {
      if constexpr (kFits<Tile, Activate>) {
        if (with_norm)
          launch(sums_kernel<Tile, Activate>, config, stream, p, chunks, activate, x, dy, norm, sums);
        launch(dx_kernel<Tile, Activate>, config, stream, p, chunks, activate, x, dy, norm, sums,
               1 / (static_cast<double>(p.batch) * p.size), dx, dgamma, dbeta);
      }
    });
  });
}

}  // namespace bntrain::kernels
