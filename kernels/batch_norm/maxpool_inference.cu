// Batch norm, activation and max pooling in one pass over x, given the statistics.
//
// Maths (Ioffe and Szegedy 2015, arXiv 1502.03167, algorithm 1), x: [batch, channels, height, width]:
//   v = (x - mean) * (gamma * inv_std) + beta;  y = the activation of the largest v of each pool x pool
//   window
// computed as that of v at the argmax of the window, see maxpool.cuh. Not x * a + b with the constants of a
// channel: that loses the digits that x and mean share.
//
// Contract: maxpool.hpp. Bytes moved: 4 * (size of x + size of y).
#include "kernels/batch_norm/maxpool.cuh"
#include "kernels/simt/channel_chunks.hpp"

namespace bntrain::kernels {
namespace {

using namespace maxpool;

struct InferenceTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksPerSm = 8;
  static constexpr std::int64_t kShortestChunk = 2 * kThreads;
  static constexpr std::int64_t kMostChunks = 4096;
};

template <typename Tile, typename Activate>
SIMT_KERNEL(InferenceTuning::kThreads)
inference_kernel(Planes p, ChannelChunks chunks, Activate activation, const float* __restrict__ x,
                 ChannelNorm n, float* __restrict__ y) {
  for (std::int64_t unit = block_index(); unit < chunks.units(); unit += grid_size()) {
    const auto c = static_cast<unsigned>(chunks.channel(unit));
    const Channel channel = channel_of(n, p.channels, c);
    const auto last = static_cast<unsigned>(chunks.last(unit));
    const auto step = static_cast<unsigned>(block_size());
    for (auto i = static_cast<unsigned>(chunks.first(unit) + thread_index()); i < last; i += step) {
      const auto at = place_of<Tile, std::uint64_t>(p, c, i);
      if (!at.whole) continue;
      float result[Tile::kOutputs];
      if constexpr (Tile::kPool == 0) {
        result[0] = argmax_of(p, x + at.in, channel.sign).x;
      } else {
        float pixels[Tile::kPixels];
        load_item(p, at, x, pixels);
        if constexpr (Tile::kPool > 1) {
          result[0] = argmax_of(pixels, channel.sign).x;
        } else {
          SIMT_UNROLL
          for (int k = 0; k < Tile::kOutputs; ++k) result[k] = pixels[k];
        }
      }
      SIMT_UNROLL
      for (float& value : result) value = activation.forward(channel.apply(value));
      store_outputs(at, result, y);
    }
  }
}

}  // namespace

void batch_norm_maxpool_inference(const PoolShape& shape, const Activation& activation, const float* x,
                                  const ChannelNorm& norm, float* y, const Stream& stream) {
  constexpr const char* kName = "batch_norm_maxpool_inference";
  const Planes planes = planes_of(shape, activation, checked_norm(norm, kName), kName);
  if (planes.batch * planes.channels == 0 || planes.out_size == 0) return;
  with_tile(planes, {x}, {y}, [&]<typename Tile>(Tile) {
    const Planes p = divided<Tile>(planes, kName);
    const ChannelChunks chunks =
        cut(p.channels, p.items, InferenceTuning::kShortestChunk, InferenceTuning::kMostChunks);
    with_fused_activation(activation, [&]<typename Activate>(const Activate& activate) {
      if constexpr (kFits<Tile, Activate>)
        launch(inference_kernel<Tile, Activate>,
               {.name = kName,
                .grid = strided_grid(chunks.units(), 1, InferenceTuning::kBlocksPerSm, stream),
                .block = InferenceTuning::kThreads},
               stream, p, chunks, activate, x, norm, y);
    });
  });
}

}  // namespace bntrain::kernels
