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
// value is an outlier. A tile whose squares overflow float32 is computed again in fp64.
// E[x^2] - E[x]^2 in float32 has its origin at 0: with |mean| / deviation = 1e3 its variance is off by 12%.
#pragma once

#include <cfloat>

#include "kernels/batch_norm/register_tile.cuh"
#include "kernels/batch_norm/statistics_output.cuh"

namespace bntrain::kernels {

/// sum(d) and sum(d^2) of the values of one channel in a tile, d = value - center.
struct TileSums {
  float center, sum, squares;
};

/// value(vector, lane): the values of the channel, of which the first `vectors` vectors count, at least one.
/// Each lane has sums of its own, so that additions do not wait for each other.
template <int kVectors, int kLanes, typename Values>
SIMT_DEVICE TileSums tile_sums(const Values& value, int vectors) {
  const float first = value(0, 0);
  float sums[kLanes] = {}, squares[kLanes] = {};
  SIMT_UNROLL
  for (int j = 0; j < kVectors; ++j) {
    SIMT_UNROLL
    for (int lane = 0; lane < kLanes; ++lane) sums[lane] += j < vectors ? value(j, lane) - first : 0;
  }
  const auto total = [](float(&lanes)[kLanes]) {
    float sum = lanes[0];
    SIMT_UNROLL
    for (int lane = 1; lane < kLanes; ++lane) sum += lanes[lane];
    return sum;
  };
  // 1 / count, approximately: the center need not be the mean to the last bit.
  const float root = simt::inverse_sqrt_approximately(static_cast<float>(vectors * kLanes));
  const float center = first + total(sums) * (root * root);
  SIMT_UNROLL
  for (float& sum : sums) sum = 0;
  SIMT_UNROLL
  for (int j = 0; j < kVectors; ++j) {
    SIMT_UNROLL
    for (int lane = 0; lane < kLanes; ++lane) {
      const float d = j < vectors ? value(j, lane) - center : 0;
      sums[lane] += d;
      squares[lane] += d * d;
    }
  }
  return {center, total(sums), total(squares)};
}

/// sum(d) and sum(d^2), d = value - origin; zeros where vectors = 0.
template <int kVectors, int kLanes, typename Values>
SIMT_DEVICE simt::Pair<double> tile_moments(const Values& value, int vectors, double origin) {
  if (vectors == 0) return {0, 0};
  const TileSums d = tile_sums<kVectors, kLanes>(value, vectors);
  if (!(d.squares <= FLT_MAX)) {
    simt::Pair<double> sums{0, 0};
    SIMT_UNROLL
    for (int i = 0; i < kVectors * kLanes; ++i) {
      if (i / kLanes >= vectors) continue;
      const double difference = static_cast<double>(value(i / kLanes, i % kLanes)) - origin;
      sums = simt::Add{}(sums, simt::Pair<double>{difference, difference * difference});
    }
    return sums;
  }
  const double count = vectors * kLanes, sum = d.sum;
  const double shift = static_cast<double>(d.center) - origin;
  return {sum + count * shift, static_cast<double>(d.squares) + shift * (2 * sum + count * shift)};
}

/// Of a channel, from sum(d) and sum(d^2) over all its values.
SIMT_DEVICE ChannelStatistics statistics_about(double origin, const simt::Pair<double>& sums,
                                               double inverse_count) {
  const double mean = sums.first * inverse_count;
  const double m2 = sums.second - sums.first * mean;
  return {origin + mean, m2 < 0 ? 0 : m2 * inverse_count};  // rounding may make m2 negative; NaN stays
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
    const RegisterTile<kWidth> tile = load_tile(space, cursor, x);
    const int vectors = skip_tile(space, cursor);
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      const auto value = [&](int j, int lane) { return tile.at[j][k + lane]; };
      sums[k] = simt::Add{}(
          sums[k], tile_moments<NormTuning::kTileVectors, kWidth / kChannels>(value, vectors, origin[k]));
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
  float scale, offset;

  SIMT_DEVICE float operator()(float x) const { return mean.deviation(x) * scale + offset; }
};
SIMT_DEVICE Normalizer normalizer(const Mean& mean, float inv_std, float gamma, float beta) {
  // Where inv_std is 0, x - mean may be infinite, and 0 times that is NaN.
  return {inv_std == 0 ? Mean{0, 0} : mean, gamma * inv_std, beta};
}

/// normalizers: of the channels of the thread's vectors. x and y may be the same tensor.
template <typename T, typename Source, int kWidth, int kChannels>
SIMT_DEVICE void normalize_chunk(const IterationSpace& space, const Chunk<kWidth, kChannels>& chunk,
                                 const Source& x, const Normalizer (&normalizers)[kChannels], T* y) {
  Cursor<kWidth, kChannels> cursor(space, chunk);
  while (cursor.more()) {
    RegisterTile<kWidth> tile = load_tile(space, cursor, x);
    SIMT_UNROLL
    for (int i = 0; i < NormTuning::kTileVectors * kWidth; ++i) {
      const int j = i / kWidth, lane = i % kWidth;
      tile.at[j][lane] = normalizers[channel_of<kChannels>(lane)](tile.at[j][lane]);
    }
    store_tile(space, cursor, tile, y);
  }
}

}  // namespace bntrain::kernels
