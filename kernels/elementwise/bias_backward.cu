// The gradient of a bias: the sum of dy over batch and space.
//
// Maths, dy: [batch, channels, spatial]: dbias[c] = sum over n and s of dy[n, c, s].
//
// Contract: elementwise.hpp. Sums are in double over chunks that depend on the shape alone. With planes a
// block sums a chunk of one channel; for (N, C) a thread sums a chunk of a column. A second kernel adds the
// chunks where there is more than one. Bytes moved: 4 * size.
#include "kernels/kernels.hpp"
#include "kernels/simt/channel_chunks.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct BiasBackwardTuning {
  static constexpr int kThreads = 256;
  static constexpr int kWarps = kThreads / kWarpSize;
  static constexpr int kBlocksPerSm = 8;
  static constexpr std::int64_t kShortestPlanes = 2 * kThreads;  // fours
  static constexpr std::int64_t kShortestColumns = 512;          // rows
  static constexpr std::int64_t kMostChunks = 256;
};

/// An item is four consecutive values of the channel, across its planes.
template <bool vectors>
SIMT_KERNEL(BiasBackwardTuning::kThreads)
planes_kernel(BiasShape shape, ChannelChunks chunks, const float* __restrict__ dy,
              double* __restrict__ partial, float* __restrict__ dbias) {
  SIMT_SHARED(double, scratch, kMaxWarps);
  const std::int64_t values = shape.batch * shape.spatial;
  for (std::int64_t unit = block_index(); unit < chunks.units(); unit += grid_size()) {
    const std::int64_t c = chunks.channel(unit);
    const auto place = [&](std::int64_t i) {
      return (i / shape.spatial * shape.channels + c) * shape.spatial + i % shape.spatial;
    };
    double sum = 0;
    for (std::int64_t i = chunks.first(unit) + thread_index(); i < chunks.last(unit); i += block_size()) {
      Vec<float> four = {};
      if constexpr (vectors) {
        four = load_vec(dy + place(4 * i));
      } else {
        SIMT_UNROLL
        for (int lane = 0; lane < 4; ++lane)
          if (4 * i + lane < values) four.lane[lane] = load(dy + place(4 * i + lane));
      }
      sum += (four.lane[0] + four.lane[1]) + (four.lane[2] + four.lane[3]);
    }
    sum = block_sum(sum, scratch);
    if (thread_index() == 0) {
      if (chunks.per_channel == 1)
        store(dbias + c, static_cast<float>(sum));
      else
        store(partial + unit, sum);
    }
  }
}

/// spatial = 1: a block has 32 channels, one per lane, and a warp every eighth row. The "channels" of the
/// chunks are these groups of 32 here, and items are rows.
SIMT_KERNEL(BiasBackwardTuning::kThreads)
columns_kernel(std::int64_t channels, ChannelChunks chunks, const float* __restrict__ dy,
               double* __restrict__ partial, float* __restrict__ dbias) {
  SIMT_SHARED(double, sums, BiasBackwardTuning::kThreads);
  for (std::int64_t unit = block_index(); unit < chunks.units(); unit += grid_size()) {
    const std::int64_t c = chunks.channel(unit) * kWarpSize + lane_index();
    double sum = 0;
    if (c < channels)
      for (std::int64_t row = chunks.first(unit) + warp_index(); row < chunks.last(unit);
           row += BiasBackwardTuning::kWarps)
        sum += load(dy + row * channels + c);
    sums[thread_index()] = sum;
    block_sync();
    if (warp_index() == 0 && c < channels) {
      for (int warp = 1; warp < BiasBackwardTuning::kWarps; ++warp) {
        const double other = sums[warp * kWarpSize + lane_index()];
        sum += other;
      }
      if (chunks.per_channel == 1)
        store(dbias + c, static_cast<float>(sum));
      else
        store(partial + c * chunks.per_channel + unit % chunks.per_channel, sum);
    }
    block_sync();  // before the next unit's sums
  }
}

/// A warp adds the chunks of one channel.
SIMT_KERNEL(BiasBackwardTuning::kThreads)
merge_kernel(std::int64_t channels, std::int64_t chunks, const double* __restrict__ partial,
             float* __restrict__ dbias) {
  const std::int64_t warps = static_cast<std::int64_t>(grid_size()) * BiasBackwardTuning::kWarps;
  for (std::int64_t c = static_cast<std::int64_t>(block_index()) * BiasBackwardTuning::kWarps + warp_index();
       c < channels; c += warps) {
    double sum = 0;
    for (std::int64_t i = lane_index(); i < chunks; i += kWarpSize) sum += load(partial + c * chunks + i);
    sum = warp_sum(sum);
    if (lane_index() == 0) store(dbias + c, static_cast<float>(sum));
  }
}

ChannelChunks chunks_of(const BiasShape& s) {
  if (s.spatial == 1)
    return cut((s.channels + kWarpSize - 1) / kWarpSize, s.batch, BiasBackwardTuning::kShortestColumns,
               BiasBackwardTuning::kMostChunks);
  return cut(s.channels, (s.batch * s.spatial + 3) / 4, BiasBackwardTuning::kShortestPlanes,
             BiasBackwardTuning::kMostChunks);
}

}  // namespace

std::int64_t bias_backward_workspace(const BiasShape& shape) {
  const std::int64_t chunks = chunks_of(shape).per_channel;
  return chunks == 1 ? 0 : shape.channels * chunks * static_cast<std::int64_t>(sizeof(double));
}

void bias_backward(const BiasShape& shape, const float* dy, float* dbias, void* workspace,
                   const Stream& stream) {
  constexpr const char* kName = "bias_backward";
  require(shape.batch >= 0 && shape.channels >= 0 && shape.spatial >= 0, kName, "a size is negative");
  if (shape.batch * shape.channels * shape.spatial == 0) return;
  const ChannelChunks chunks = chunks_of(shape);
  auto* partial = static_cast<double*>(workspace);
  require(chunks.per_channel == 1 || (partial != nullptr && is_aligned(partial)), kName,
          "the workspace is null or not 16-byte aligned");
  const auto config = [&](std::int64_t work, std::int64_t per_block) {
    return LaunchConfig{.name = kName,
                        .grid = strided_grid(work, per_block, BiasBackwardTuning::kBlocksPerSm, stream),
                        .block = BiasBackwardTuning::kThreads};
  };
  if (shape.spatial == 1)
    launch(columns_kernel, config(chunks.units(), 1), stream, shape.channels, chunks, dy, partial, dbias);
  else
    launch(shape.spatial % 4 == 0 && is_aligned(dy) ? planes_kernel<true> : planes_kernel<false>,
           config(chunks.units(), 1), stream, shape, chunks, dy, partial, dbias);
  if (chunks.per_channel > 1)
    launch(merge_kernel, config(shape.channels, BiasBackwardTuning::kWarps), stream, shape.channels,
           chunks.per_channel, partial, dbias);
}

}  // namespace bntrain::kernels
