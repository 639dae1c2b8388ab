// The mean and the variance of the channels: what every variant of the forward pass computes, in the same
// order.
//
// Maths. Ioffe and Szegedy 2015, arXiv 1502.03167; x is (batch, channels, spatial) or (batch, spatial,
// channels), the sums go over the n = batch * spatial values of a channel:
//   mean = sum(x) / n,  m2 = sum((x - mean)^2),  var = m2 / n
// Two passes over what is in registers, one over memory:
//   a run   the 8 to 32 values of a channel that a thread has in registers. float32; d = x - center, where
//           center is their mean up to rounding, gives sum(d) and sum(d^2)
//   a chunk at most 8192 values. fp64; the runs' sums are moved from their centers to one origin, the chunk's
//           first value, and added: mean = origin + sum(d) / n, m2 = sum(d^2) - sum(d)^2 / n ("shifted data"
//           of Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance"). The origin being
//           one of the values, sum(d^2) <= n * m2: what cancels is no more than a factor of 8192 in fp64
//   all     Chan's merge of (count, mean, m2) in the form with differences, fp64
// In a constant channel every d is 0, and so is the variance, exactly. A channel's first value as center of
// the runs too, a pass less, loses a factor of 32 in float32 where that value is an outlier.
// A run that leaves float32 is computed again in fp64. E[x^2] - E[x]^2 in float32 has the origin 0: at
// |mean| / deviation = 1e3 its variance is off by 12%.
#pragma once

#include <cfloat>

#include "kernels/batch_norm/register_tile.cuh"
#include "kernels/batch_norm/running_statistics.cuh"

namespace bntrain::kernels {

/// sum(d) and sum(d^2) of one channel's values in a run, d = value - center.
template <typename Real>
struct RunSums {
  Real center, sum, squares;
};

/// Of the channel that is number `channel` in its packs. Only the first `packs` count, the others hold the
/// run's first value.
template <typename Real, int kChannels, int kWidth>
SIMT_DEVICE RunSums<Real> run_sums(const Run<kWidth>& run, int packs, int channel) {
  constexpr int kLanes = kWidth / kChannels;
  const Real first = run.at[0][channel];
  Real sum = 0;
  SIMT_UNROLL
  for (int i = 0; i < NormTuning::kRun * kLanes; ++i) sum += run.at[i / kLanes][channel + i % kLanes] - first;
  RunSums<Real> result{first + sum * (1 / static_cast<Real>(packs * kLanes)), 0, 0};
  SIMT_UNROLL
  for (int i = 0; i < NormTuning::kRun * kLanes; ++i) {
    const int j = i / kLanes;
    const Real d = j < packs ? run.at[j][channel + i % kLanes] - result.center : 0;
    result.sum += d;
    result.squares += d * d;
  }
  return result;
}

/// The moments of the chunk for the channel that this thread owns, nothing of meaning in the others. All
/// threads of the block come here. Source: where x is, Global or Tile.
template <typename Source, int kWidth, int kChannels>
SIMT_DEVICE simt::Moments<double> chunk_moments(const Walk& walk, const Chunk<kWidth, kChannels>& chunk,
                                                const Source& x, simt::Shared<simt::Pair<double>> scratch) {
  Cursor<kWidth, kChannels> cursor(walk, chunk);
  double origin[kChannels] = {};
  if (cursor.more()) {
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k)
      origin[k] = static_cast<double>(x.first(walk, chunk, cursor.channel + k));
  }
  simt::Pair<double> sums[kChannels] = {};
  while (cursor.more()) {
    const Run<kWidth> run = load_run(walk, cursor, x, Filler::first);
    const int packs = skip_run(walk, cursor);
    const double count = packs * (kWidth / kChannels);
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      const RunSums<float> narrow = run_sums<float, kChannels>(run, packs, k);
      RunSums<double> d{narrow.center, narrow.sum, narrow.squares};
      if (!(narrow.squares <= FLT_MAX)) d = run_sums<double, kChannels>(run, packs, k);
      const double shift = d.center - origin[k];
      sums[k].first += d.sum + count * shift;
      sums[k].second += d.squares + shift * (2 * d.sum + count * shift);
    }
  }
  const simt::Pair<double> total = column_sums(sums, walk.columns, scratch);
  const std::int64_t channel = chunk.owned(walk);
  if (channel < 0) return {0, 0, 0};
  const auto count = static_cast<double>(chunk.count());
  const double first = static_cast<double>(x.first(walk, chunk, channel));
  const double m2 = total.second - total.first * (total.first / count);
  // Rounding may take m2 below 0; NaN stays.
  return {count, first + total.first / count, m2 < 0 ? 0 : m2};
}

/// Where the statistics of the channels go; running_mean and running_var may be null.
struct StatisticsOutput {
  NormOptions options;
  float *mean, *var, *invstd, *running_mean, *running_var;

  SIMT_DEVICE void write(std::int64_t channel, const simt::Moments<double>& m) const {
    const double biased = m.m2 / m.count;
    mean[channel] = to_float(m.mean);
    var[channel] = to_float(biased);
    invstd[channel] = inverse_deviation(biased, options.eps);
    if (running_mean == nullptr) return;
    running_mean[channel] = moving_average(running_mean[channel], m.mean, options.momentum);
    running_var[channel] =
        moving_average(running_var[channel], recorded_variance(biased, m.count, options), options.momentum);
  }
};

/// y = (x - mean) * (gamma * invstd) + beta of one channel.
struct Normalizer {
  float center, scale, offset, invstd;

  SIMT_DEVICE float operator()(float x) const {
    const float value = (x - center) * scale + offset;
    return invstd == 0 ? offset : value;  // the difference may be infinite, times 0
  }
};

/// normalizers: of the channels of the thread's packs. x and y may be the same tensor.
template <typename T, typename Source, int kWidth, int kChannels>
SIMT_DEVICE void normalize_chunk(const Walk& walk, const Chunk<kWidth, kChannels>& chunk, const Source& x,
                                 const Normalizer (&normalizers)[kChannels], T* y) {
  Cursor<kWidth, kChannels> cursor(walk, chunk);
  while (cursor.more()) {
    Run<kWidth> run = load_run(walk, cursor, x, Filler::zero);
    SIMT_UNROLL
    for (int i = 0; i < NormTuning::kRun * kWidth; ++i) {
      const int j = i / kWidth, lane = i % kWidth;
      run.at[j][lane] = normalizers[channel_of<kChannels>(lane)](run.at[j][lane]);
    }
    store_run(walk, cursor, run, y);
  }
}

}  // namespace bntrain::kernels
