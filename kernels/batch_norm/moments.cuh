// Mean and variance of the channels: what every variant of the forward pass but naive computes, in the same
// order.
//
// Maths. Ioffe and Szegedy 2015, arXiv 1502.03167; x is (batch, channels, spatial) or (batch, spatial,
// channels), the sums are over the n = batch * spatial values of a channel:
//   mean = sum(x) / n,  m2 = sum((x - mean)^2),  var = m2 / n
// In two passes over registers and one over memory:
//   a tile     the 8 to 32 values of a channel that a thread has in registers. float32; sum(d) and sum(d^2)
//              with d = x - center, where center is the mean of the tile up to rounding
//   a chunk    at most 8192 values. fp64; the tiles' sums are shifted from their centers to one origin, the
//              first value of the chunk, and added: mean = origin + sum(d) / n, m2 = sum(d^2) - sum(d)^2 / n
//              ("shifted data" of Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance").
//              As the origin is one of the values, sum(d^2) <= n * m2: cancellation costs at most a factor of
//              8192 in fp64
//   a channel  Chan's merge of (count, mean, m2) in the form with differences, fp64
// In a constant channel every d is 0, and so is the variance, exactly. One center for all tiles, the first
// value of the channel, would spare a pass over registers, but loses a factor of 32 in float32 where that
// value is an outlier. A tile whose squares overflow float32 is computed again in fp64. E[x^2] - E[x]^2 in
// float32 has its origin at 0: with |mean| / deviation = 1e3 its variance is off by 12%.
#pragma once

#include <cfloat>

#include "kernels/batch_norm/register_tile.cuh"
#include "kernels/batch_norm/statistics_output.cuh"

namespace bntrain::kernels {

/// sum(d) and sum(d^2) of the values of one channel in a tile, d = value - center.
template <typename Real>
struct TileSums {
  Real center, sum, squares;
};

/// channel: counted from the vectors' first. Only the first `vectors` count; the others hold the tile's first
/// value.
template <typename Real, int kChannels, int kWidth>
SIMT_DEVICE TileSums<Real> tile_sums(const RegisterTile<kWidth>& tile, int vectors, int channel) {
  constexpr int kLanes = kWidth / kChannels;
  const Real first = tile.at[0][channel];
  Real sum = 0;
  SIMT_UNROLL
  for (int i = 0; i < NormTuning::kTileVectors * kLanes; ++i)
    sum += tile.at[i / kLanes][channel + i % kLanes] - first;
  TileSums<Real> result{first + sum * (1 / static_cast<Real>(vectors * kLanes)), 0, 0};
  SIMT_UNROLL
  for (int i = 0; i < NormTuning::kTileVectors * kLanes; ++i) {
    const int j = i / kLanes;
    const Real d = j < vectors ? tile.at[j][channel + i % kLanes] - result.center : 0;
    result.sum += d;
    result.squares += d * d;
  }
  return result;
}

/// The moments of the chunk for the channel chunk.owned() of this thread, zeros where it has none.
/// Collective: all threads of the block call it. Source: Global or SharedTile.
template <typename Source, int kWidth, int kChannels>
SIMT_DEVICE simt::Moments<double> chunk_moments(const IterationSpace& space,
                                                const Chunk<kWidth, kChannels>& chunk, const Source& x,
                                                simt::Shared<simt::Pair<double>> scratch) {
  Cursor<kWidth, kChannels> cursor(space, chunk);
  double origin[kChannels] = {};
  if (cursor.more()) {
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k)
      origin[k] = static_cast<double>(x.first(space, chunk, cursor.channel + k));
  }
  simt::Pair<double> sums[kChannels] = {};
  while (cursor.more()) {
    const RegisterTile<kWidth> tile = load_tile(space, cursor, x, Filler::first);
    const int vectors = skip_tile(space, cursor);
    const double count = vectors * (kWidth / kChannels);
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      const TileSums<float> narrow = tile_sums<float, kChannels>(tile, vectors, k);
      TileSums<double> d{narrow.center, narrow.sum, narrow.squares};
      if (!(narrow.squares <= FLT_MAX)) d = tile_sums<double, kChannels>(tile, vectors, k);
      const double shift = d.center - origin[k];
      sums[k].first += d.sum + count * shift;
      sums[k].second += d.squares + shift * (2 * d.sum + count * shift);
    }
  }
  const simt::Pair<double> total = column_sums(sums, space.block_columns, scratch);
  const std::int64_t channel = chunk.owned(space);
  if (channel < 0) return {0, 0, 0};
  const auto count = static_cast<double>(chunk.count());
  const double first = static_cast<double>(x.first(space, chunk, channel));
  const double m2 = total.second - total.first * (total.first / count);
  // Rounding may make m2 negative; NaN stays.
  return {count, first + total.first / count, m2 < 0 ? 0 : m2};
}

/// y = (x - mean) * (gamma * inv_std) + beta of one channel.
struct Normalizer {
  Mean mean;
  float scale, offset, inv_std;

  SIMT_DEVICE float operator()(float x) const {
    const float value = mean.deviation(x) * scale + offset;
    return inv_std == 0 ? offset : value;  // not 0 times an infinite difference
  }
};

/// normalizers: of the channels of the thread's vectors. x and y may be the same tensor.
template <typename T, typename Source, int kWidth, int kChannels>
SIMT_DEVICE void normalize_chunk(const IterationSpace& space, const Chunk<kWidth, kChannels>& chunk,
                                 const Source& x, const Normalizer (&normalizers)[kChannels], T* y) {
  Cursor<kWidth, kChannels> cursor(space, chunk);
  while (cursor.more()) {
    RegisterTile<kWidth> tile = load_tile(space, cursor, x, Filler::zero);
    SIMT_UNROLL
    for (int i = 0; i < NormTuning::kTileVectors * kWidth; ++i) {
      const int j = i / kWidth, lane = i % kWidth;
      tile.at[j][lane] = normalizers[channel_of<kChannels>(lane)](tile.at[j][lane]);
    }
    store_tile(space, cursor, tile, y);
  }
}

}  // namespace bntrain::kernels
