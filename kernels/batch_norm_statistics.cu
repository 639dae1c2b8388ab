// Batch norm in pieces: the moments of each channel, their merge, the normalisation.
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
//
// Contract: batch_norm.hpp. Bytes moved: statistics 1 S, apply 2 S, for S bytes of tensor.
#include "batch_norm_launch.cuh"
#include "running_statistics.cuh"

namespace bntrain::kernels {
namespace {

using namespace simt;

using Tuning = NormTuning;

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
  for (int i = 0; i < Tuning::kRun * kLanes; ++i) sum += run.at[i / kLanes][channel + i % kLanes] - first;
  RunSums<Real> result{first + sum / static_cast<Real>(packs * kLanes), 0, 0};
  SIMT_UNROLL
  for (int i = 0; i < Tuning::kRun * kLanes; ++i) {
    const int j = i / kLanes;
    const Real d = j < packs ? run.at[j][channel + i % kLanes] - result.center : 0;
    result.sum += d;
    result.squares += d * d;
  }
  return result;
}

template <typename T, int kWidth, int kChannels>
SIMT_KERNEL(Tuning::kThreads)
chunk_moments_kernel(Walk walk, const T* __restrict__ x, ChannelMoments* __restrict__ parts) {
  SIMT_SHARED(Pair<double>, scratch, kColumnScratch<kChannels>);
  for (std::int64_t item = block_index(); item < walk.items(); item += grid_size()) {
    const Chunk<kWidth, kChannels> chunk(walk, item);
    Cursor<kWidth, kChannels> cursor(walk, chunk);
    double origin[kChannels] = {};
    if (cursor.more()) {
      SIMT_UNROLL
      for (int k = 0; k < kChannels; ++k)
        origin[k] = static_cast<double>(static_cast<float>(x[chunk.first(walk, cursor.channel + k)]));
    }
    Pair<double> sums[kChannels] = {};
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
    const Pair<double> total = column_sums(sums, walk.columns, scratch);
    const std::int64_t channel = chunk.owned(walk);
    if (channel < 0) continue;
    const auto count = static_cast<double>(chunk.count());
    const double first = static_cast<double>(static_cast<float>(x[chunk.first(walk, channel)]));
    const double m2 = total.second - total.first * (total.first / count);
    // Rounding may take m2 below 0; NaN stays.
    parts[chunk.index * walk.channels + channel] = {count, first + total.first / count, m2 < 0 ? 0 : m2};
  }
}

/// The moments of all parts of a channel, by a warp, the same in all lanes.
SIMT_DEVICE Moments<double> merge_parts(std::int64_t parts, std::int64_t channels,
                                        const ChannelMoments* moments, std::int64_t channel) {
  Moments<double> merged{0, 0, 0};
  for (std::int64_t part = lane_index(); part < parts; part += kWarpSize) {
    const ChannelMoments m = moments[part * channels + channel];
    merged = Merge{}(merged, Moments<double>{m.count, m.mean, m.m2});
  }
  return warp_reduce(merged, Merge{});
}

SIMT_DEVICE std::int64_t grid_warp() {
  return grid_thread() / kWarpSize;
}
SIMT_DEVICE std::int64_t grid_warps() {
  return grid_threads() / kWarpSize;
}

SIMT_KERNEL(Tuning::kThreads)
merge_kernel(std::int64_t parts, std::int64_t channels, const ChannelMoments* __restrict__ moments,
             ChannelMoments* __restrict__ merged) {
  for (std::int64_t channel = grid_warp(); channel < channels; channel += grid_warps()) {
    const Moments<double> m = merge_parts(parts, channels, moments, channel);
    if (lane_index() == 0) merged[channel] = {m.count, m.mean, m.m2};
  }
}

SIMT_KERNEL(Tuning::kThreads)
finalize_kernel(std::int64_t parts, std::int64_t channels, const ChannelMoments* __restrict__ moments,
                NormOptions options, float* __restrict__ mean, float* __restrict__ var,
                float* __restrict__ invstd, float* __restrict__ running_mean,
                float* __restrict__ running_var) {
  for (std::int64_t channel = grid_warp(); channel < channels; channel += grid_warps()) {
    const Moments<double> m = merge_parts(parts, channels, moments, channel);
    if (lane_index() != 0 || m.count == 0) continue;
    const double biased = m.m2 / m.count;
    mean[channel] = to_float(m.mean);
    var[channel] = to_float(biased);
    invstd[channel] = inverse_deviation(biased, options.eps);
    if (running_mean == nullptr) continue;
    running_mean[channel] = moving_average(running_mean[channel], m.mean, options.momentum);
    running_var[channel] =
        moving_average(running_var[channel], recorded_variance(biased, m.count, options), options.momentum);
  }
}

/// x and y may be the same, so that neither is __restrict__.
template <typename T, int kWidth, int kChannels>
SIMT_KERNEL(Tuning::kThreads)
normalize_kernel(Walk walk, const T* x, const float* __restrict__ mean, Deviations deviations,
                 const float* __restrict__ gamma, const float* __restrict__ beta, T* y) {
  for (std::int64_t item = block_index(); item < walk.items(); item += grid_size()) {
    Cursor<kWidth, kChannels> cursor(walk, Chunk<kWidth, kChannels>(walk, item));
    if (!cursor.more()) continue;
    float center[kChannels], scale[kChannels], offset[kChannels];
    bool constant[kChannels];
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      const std::int64_t channel = cursor.channel + k;
      const float invstd = deviations.inverse(channel);
      center[k] = mean == nullptr ? 0 : mean[channel];
      scale[k] = gamma[channel] * invstd;
      offset[k] = beta == nullptr ? 0 : beta[channel];
      constant[k] = invstd == 0;
    }
    while (cursor.more()) {
      Run<kWidth> run = load_run(walk, cursor, x, Filler::zero);
      SIMT_UNROLL
      for (int i = 0; i < Tuning::kRun * kWidth; ++i) {
        const int j = i / kWidth, lane = i % kWidth;
        const int k = channel_of<kChannels>(lane);
        const float value = (run.at[j][lane] - center[k]) * scale[k] + offset[k];
        run.at[j][lane] = constant[k] ? offset[k] : value;  // the difference may be infinite, times 0
      }
      store_run(walk, cursor, run, y);
    }
  }
}

template <typename T>
void launch_chunk_moments(const NormShape& shape, const T* x, ChannelMoments* parts, const Stream& stream) {
  constexpr int kSize = Vec<T>::kSize;
  launch_walk("batch_norm_statistics", chunk_moments_kernel<T, 1, 1>, chunk_moments_kernel<T, kSize, 1>,
              chunk_moments_kernel<T, kSize, kSize>, make_walk(shape, kSize, is_aligned(x)), stream, x,
              parts);
}

template <typename T>
void launch_normalize(const char* name, const NormShape& shape, const T* x, const float* mean,
                      const Deviations& deviations, const float* gamma, const float* beta, T* y,
                      const Stream& stream) {
  constexpr int kSize = Vec<T>::kSize;
  launch_walk(name, normalize_kernel<T, 1, 1>, normalize_kernel<T, kSize, 1>,
              normalize_kernel<T, kSize, kSize>, make_walk(shape, kSize, is_aligned(x) && is_aligned(y)),
              stream, x, mean, deviations, gamma, beta, y);
}

void check_running(const char* name, const float* running_mean, const float* running_var) {
  require((running_mean == nullptr) == (running_var == nullptr), name,
          "running_mean and running_var must be given together");
}

}  // namespace

std::int64_t norm_chunks(const NormShape& shape) {
  return make_walk(shape, Vec<float>::kSize, true).chunks;
}

std::int64_t batch_norm_workspace(const NormShape& shape) {
  if (!norm_work("batch_norm_workspace", shape, {})) return 0;
  static_assert(sizeof(ChannelMoments) >= sizeof(Pair<double>), "the backward pass needs less");
  return norm_chunks(shape) * shape.channels * static_cast<std::int64_t>(sizeof(ChannelMoments));
}

void chunk_moments(const NormShape& shape, const float* x, ChannelMoments* parts, const Stream& stream) {
  launch_chunk_moments(shape, x, parts, stream);
}

void normalize(const char* name, const NormShape& shape, const float* x, const float* mean,
               const Deviations& deviations, const float* gamma, const float* beta, float* y,
               const Stream& stream) {
  launch_normalize(name, shape, x, mean, deviations, gamma, beta, y, stream);
}

void batch_norm_statistics(const NormShape& shape, const float* x, ChannelMoments* moments, void* workspace,
                           const Stream& stream) {
  constexpr const char* kName = "batch_norm_statistics";
  if (!norm_work(kName, shape, {x, moments, workspace})) return;
  require(is_aligned(workspace), kName, "the workspace is not on 16 bytes");
  const std::int64_t chunks = norm_chunks(shape);
  auto* parts = chunks > 1 ? static_cast<ChannelMoments*>(workspace) : moments;
  chunk_moments(shape, x, parts, stream);
  if (chunks > 1)
    launch(merge_kernel, warp_a_channel("batch_norm_merge", shape.channels, stream), stream, chunks,
           shape.channels, parts, moments);
}

void batch_norm_finalize(std::int64_t parts, std::int64_t channels, const ChannelMoments* moments,
                         const NormOptions& options, float* mean, float* var, float* invstd,
                         float* running_mean, float* running_var, const Stream& stream) {
  constexpr const char* kName = "batch_norm_finalize";
  if (!norm_work(kName, {parts, channels}, {moments, mean, var, invstd})) return;
  check_running(kName, running_mean, running_var);
  launch(finalize_kernel, warp_a_channel(kName, channels, stream), stream, parts, channels, moments, options,
         mean, var, invstd, running_mean, running_var);
}

void batch_norm_apply(const NormShape& shape, const float* x, const float* mean, const float* invstd,
                      const float* gamma, const float* beta, float* y, const Stream& stream) {
  constexpr const char* kName = "batch_norm_apply";
  if (!norm_work(kName, shape, {x, mean, invstd, gamma, beta, y})) return;
  normalize(kName, shape, x, mean, {invstd, false, 0}, gamma, beta, y, stream);
}

}  // namespace bntrain::kernels
