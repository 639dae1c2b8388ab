// Batch norm in pieces: the moments of each channel, their merge, the normalisation.
//
// Maths: moments.cuh. Contract: batch_norm.hpp. Bytes moved: statistics 1 S, apply 2 S, for S
// bytes of tensor.
#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/moments.cuh"

namespace bntrain::kernels {
namespace {

using namespace simt;

using Tuning = NormTuning;

template <typename T, int kWidth, int kChannels>
SIMT_KERNEL(Tuning::kThreads)
chunk_moments_kernel(Walk walk, const T* __restrict__ x, ChannelMoments* __restrict__ parts) {
  SIMT_SHARED(Pair<double>, scratch, kColumnScratch<kChannels>);
  for (std::int64_t item = block_index(); item < walk.items(); item += grid_size()) {
    const Chunk<kWidth, kChannels> chunk(walk, item);
    const Moments<double> m = chunk_moments(walk, chunk, Global<T>{x}, scratch);
    const std::int64_t channel = chunk.owned(walk);
    if (channel >= 0) parts[chunk.index * walk.channels + channel] = {m.count, m.mean, m.m2};
  }
}

/// Calls done(channel, moments) for channels [first, end); moments: [parts][channels].
template <typename Done>
SIMT_DEVICE void merge_moments(std::int64_t parts, std::int64_t channels, std::int64_t first,
                               std::int64_t end, const ChannelMoments* moments, const Done& done) {
  const auto read = [&](std::int64_t part, std::int64_t channel) {
    const ChannelMoments m = moments[part * channels + channel];
    return Moments<double>{m.count, m.mean, m.m2};
  };
  merge_channels<Moments<double>>(grid_thread(), grid_threads(), first, end, parts, Merge{}, read, done);
}

SIMT_KERNEL(Tuning::kThreads)
merge_kernel(std::int64_t parts, std::int64_t channels, const ChannelMoments* __restrict__ moments,
             ChannelMoments* __restrict__ merged) {
  merge_moments(parts, channels, 0, channels, moments, [&](std::int64_t channel, const Moments<double>& m) {
    merged[channel] = {m.count, m.mean, m.m2};
  });
}

SIMT_KERNEL(Tuning::kThreads)
finalize_kernel(std::int64_t parts, std::int64_t channels, std::int64_t first, std::int64_t end,
                const ChannelMoments* __restrict__ moments, StatisticsOutput output) {
  merge_moments(parts, channels, first, end, moments, [&](std::int64_t channel, const Moments<double>& m) {
    if (m.count != 0) output.write(channel, m);
  });
}

/// x and y may be the same, so that neither is __restrict__. mean and beta may be null: zeros.
template <typename T, int kWidth, int kChannels>
SIMT_KERNEL(Tuning::kThreads)
normalize_kernel(Walk walk, const T* x, const float* __restrict__ mean, Deviations deviations,
                 const float* __restrict__ gamma, const float* __restrict__ beta, T* y) {
  for (std::int64_t item = block_index(); item < walk.items(); item += grid_size()) {
    const Chunk<kWidth, kChannels> chunk(walk, item);
    const Cursor<kWidth, kChannels> cursor(walk, chunk);
    if (!cursor.more()) continue;
    Normalizer normalizers[kChannels];
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      const std::int64_t channel = cursor.channel + k;
      const float invstd = deviations.inverse(channel);
      normalizers[k] = {mean == nullptr ? 0 : mean[channel], gamma[channel] * invstd,
                        beta == nullptr ? 0 : beta[channel], invstd};
    }
    normalize_chunk(walk, chunk, Global<T>{x}, normalizers, y);
  }
}

template <typename T>
void launch_chunk_moments(Walk walk, const T* x, ChannelMoments* parts, const Stream& stream) {
  constexpr int kSize = Vec<T>::kSize;
  walk.aligned = is_aligned(x);
  launch_walk("batch_norm_statistics", chunk_moments_kernel<T, 1, 1>, chunk_moments_kernel<T, kSize, 1>,
              chunk_moments_kernel<T, kSize, kSize>, walk, stream, x, parts);
}

template <typename T>
void launch_normalize(const char* name, Walk walk, const T* x, const float* mean,
                      const Deviations& deviations, const float* gamma, const float* beta, T* y,
                      const Stream& stream) {
  constexpr int kSize = Vec<T>::kSize;
  walk.aligned = is_aligned(x) && is_aligned(y);
  launch_walk(name, normalize_kernel<T, 1, 1>, normalize_kernel<T, kSize, 1>,
              normalize_kernel<T, kSize, kSize>, walk, stream, x, mean, deviations, gamma, beta, y);
}

}  // namespace

void check_running(const char* name, const float* running_mean, const float* running_var) {
  require((running_mean == nullptr) == (running_var == nullptr), name,
          "running_mean and running_var must be given together");
}

void chunk_moments(const Walk& walk, const float* x, ChannelMoments* parts, const Stream& stream) {
  launch_chunk_moments(walk, x, parts, stream);
}

void finalize(std::int64_t parts, std::int64_t channels, std::int64_t first, std::int64_t end,
              const ChannelMoments* moments, const StatisticsOutput& output, const Stream& stream) {
  launch(finalize_kernel, warp_a_channel("batch_norm_finalize", end - first, stream), stream, parts, channels,
         first, end, moments, output);
}

void normalize(const char* name, const Walk& walk, const float* x, const float* mean,
               const Deviations& deviations, const float* gamma, const float* beta, float* y,
               const Stream& stream) {
  launch_normalize(name, walk, x, mean, deviations, gamma, beta, y, stream);
}

std::int64_t batch_norm_workspace(const NormShape& shape) {
  if (!norm_work("batch_norm_workspace", shape, {})) return 0;
  static_assert(sizeof(ChannelMoments) >= sizeof(Pair<double>), "the backward pass needs less");
  return norm_walk<float>(shape).chunks * shape.channels * static_cast<std::int64_t>(sizeof(ChannelMoments));
}

void batch_norm_statistics(const NormShape& shape, const float* x, ChannelMoments* moments, void* workspace,
                           const Stream& stream) {
  constexpr const char* kName = "batch_norm_statistics";
  if (!norm_work(kName, shape, {x, moments, workspace})) return;
  require(is_aligned(workspace), kName, "the workspace is not on 16 bytes");
  const Walk walk = norm_walk<float>(shape);
  auto* parts = walk.chunks > 1 ? static_cast<ChannelMoments*>(workspace) : moments;
  chunk_moments(walk, x, parts, stream);
  if (walk.chunks > 1)
    launch(merge_kernel, warp_a_channel("batch_norm_merge", shape.channels, stream), stream, walk.chunks,
           shape.channels, parts, moments);
}

void batch_norm_finalize(std::int64_t parts, std::int64_t channels, const ChannelMoments* moments,
                         const NormOptions& options, float* mean, float* var, float* invstd,
                         float* running_mean, float* running_var, const Stream& stream) {
  constexpr const char* kName = "batch_norm_finalize";
  if (!norm_work(kName, {parts, channels}, {moments, mean, var, invstd})) return;
  check_running(kName, running_mean, running_var);
  finalize(parts, channels, 0, channels, moments, {options, mean, var, invstd, running_mean, running_var},
           stream);
}

void batch_norm_apply(const NormShape& shape, const float* x, const float* mean, const float* invstd,
                      const float* gamma, const float* beta, float* y, const Stream& stream) {
  constexpr const char* kName = "batch_norm_apply";
  if (!norm_work(kName, shape, {x, mean, invstd, gamma, beta, y})) return;
  normalize(kName, norm_walk<float>(shape), x, mean, {invstd, false, 0}, gamma, beta, y, stream);
}

}  // namespace bntrain::kernels
