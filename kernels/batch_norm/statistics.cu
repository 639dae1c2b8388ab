// The separate parts of batch norm: moments of each channel, their merge, the normalisation. One after the
// other, with those of backward.cu, they are the variant plain.
//
// Maths: moments.cuh. Contract: batch_norm.hpp. Bytes moved, for S bytes of tensor: statistics 1 S, apply 2
// S.
#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/moments.cuh"
#include "kernels/batch_norm/streamed.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

using Tuning = NormTuning;

template <typename T, int kWidth, int kChannels>
SIMT_KERNEL(Tuning::kThreads)
chunk_moments_kernel(IterationSpace space, const T* __restrict__ x, ChannelMoments* __restrict__ parts) {
  SIMT_SHARED(Pair<double>, scratch, kColumnScratch<kChannels>);
  for (std::int64_t item = block_index(); item < space.items(); item += grid_size()) {
    const Chunk<kWidth, kChannels> chunk(space, item);
    const Moments<double> m = chunk_moments(space, chunk, Global<T>{x}, scratch);
    const std::int64_t channel = chunk.owned(space);
    if (channel >= 0) parts[chunk.index * space.channels + channel] = {m.count, m.mean, m.m2};
  }
}

/// Calls done(channel, moments) for every channel; moments: [parts][channels].
template <typename Done>
SIMT_DEVICE void merge_moments(std::int64_t parts, std::int64_t channels, const ChannelMoments* moments,
                               const Done& done) {
  const auto read = [&](std::int64_t part, std::int64_t channel) {
    const ChannelMoments m = moments[part * channels + channel];
    return Moments<double>{m.count, m.mean, m.m2};
  };
  merge_channels<Moments<double>>(grid_thread(), grid_threads(), channels, parts, Merge{}, read, done);
}

SIMT_KERNEL(Tuning::kThreads)
merge_kernel(std::int64_t parts, std::int64_t channels, const ChannelMoments* __restrict__ moments,
             ChannelMoments* __restrict__ merged) {
  merge_moments(parts, channels, moments, [&](std::int64_t channel, const Moments<double>& m) {
    merged[channel] = {m.count, m.mean, m.m2};
  });
}

SIMT_KERNEL(Tuning::kThreads)
finalize_kernel(std::int64_t parts, std::int64_t channels, const ChannelMoments* __restrict__ moments,
                StatisticsOutput output) {
  merge_moments(parts, channels, moments, [&](std::int64_t channel, const Moments<double>& m) {
    if (m.count != 0) output.write(channel, m.count, {m.mean, m.m2 / m.count});
  });
}

/// x and y may be the same, so neither is __restrict__. Null beta: zeros.
template <typename T, int kWidth, int kChannels>
SIMT_KERNEL(Tuning::kThreads)
normalize_kernel(IterationSpace space, const T* x, Means means, InvStds inv_stds,
                 const float* __restrict__ gamma, const float* __restrict__ beta, T* y) {
  for (std::int64_t item = block_index(); item < space.items(); item += grid_size()) {
    const Chunk<kWidth, kChannels> chunk(space, item);
    const Cursor<kWidth, kChannels> cursor(space, chunk);
    if (!cursor.more()) continue;
    Normalizer normalizers[kChannels];
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      const std::int64_t channel = cursor.channel + k;
      normalizers[k] = normalizer(means.at(channel), inv_stds.at(channel), gamma[channel],
                                  beta == nullptr ? 0 : beta[channel]);
    }
    normalize_chunk(space, chunk, Global<T>{x}, normalizers, y);
  }
}

template <typename T>
void launch_chunk_moments(IterationSpace space, const T* x, ChannelMoments* parts, const Stream& stream) {
  constexpr int kSize = Vec<T>::kSize;
  space.aligned = is_aligned(x);
  launch_over("batch_norm_statistics", chunk_moments_kernel<T, 1, 1>, chunk_moments_kernel<T, kSize, 1>,
              chunk_moments_kernel<T, kSize, kSize>, space, stream, x, parts);
}

template <typename T>
void launch_normalize(const char* name, IterationSpace space, const T* x, const Means& means,
                      const InvStds& inv_stds, const float* gamma, const float* beta, T* y,
                      const Stream& stream) {
  constexpr int kSize = Vec<T>::kSize;
  space.aligned = is_aligned(x) && is_aligned(y);
  launch_over(name, normalize_kernel<T, 1, 1>, normalize_kernel<T, kSize, 1>,
              normalize_kernel<T, kSize, kSize>, space, stream, x, means, inv_stds, gamma, beta, y);
}

}  // namespace

void check_running(const char* name, const float* running_mean, const float* running_var) {
  require((running_mean == nullptr) == (running_var == nullptr), name,
          "running_mean and running_var must be given together");
}

void chunk_moments(const IterationSpace& space, const float* x, ChannelMoments* parts, const Stream& stream) {
  launch_chunk_moments(space, x, parts, stream);
}

void finalize(std::int64_t parts, std::int64_t channels, const ChannelMoments* moments,
              const StatisticsOutput& output, const Stream& stream) {
  launch(finalize_kernel, warp_per_channel("batch_norm_finalize", channels, stream), stream, parts, channels,
         moments, output);
}

void normalize(const char* name, const IterationSpace& space, const float* x, const Means& means,
               const InvStds& inv_stds, const float* gamma, const float* beta, float* y,
               const Stream& stream) {
  launch_normalize(name, space, x, means, inv_stds, gamma, beta, y, stream);
}

std::int64_t batch_norm_workspace(const NormShape& shape) {
  if (!norm_work("batch_norm_workspace", shape, {})) return 0;
  static_assert(sizeof(ChannelMoments) >= sizeof(Pair<double>), "the backward pass needs less");
  const std::int64_t parts =
      norm_space<float>(shape).chunks * shape.channels * static_cast<std::int64_t>(sizeof(ChannelMoments));
  const std::int64_t messages = streamed::workspace(shape, sizeof(float));
  return parts > messages ? parts : messages;
}

void batch_norm_statistics(const NormShape& shape, const float* x, ChannelMoments* moments, void* workspace,
                           const Stream& stream) {
  constexpr const char* kName = "batch_norm_statistics";
  if (!norm_work(kName, shape, {x, moments, workspace})) return;
  require(is_aligned(workspace), kName, "the workspace is not 16-byte aligned");
  const IterationSpace space = norm_space<float>(shape);
  auto* parts = space.chunks > 1 ? static_cast<ChannelMoments*>(workspace) : moments;
  chunk_moments(space, x, parts, stream);
  if (space.chunks > 1)
    launch(merge_kernel, warp_per_channel("batch_norm_merge", shape.channels, stream), stream, space.chunks,
           shape.channels, parts, moments);
}

void batch_norm_finalize(std::int64_t parts, std::int64_t channels, const ChannelMoments* moments,
                         const NormOptions& options, float* mean, float* var, float* inv_std,
                         float* running_mean, float* running_var, const Stream& stream) {
  constexpr const char* kName = "batch_norm_finalize";
  if (!norm_work(kName, {parts, channels}, {moments, mean, var, inv_std})) return;
  check_running(kName, running_mean, running_var);
  finalize(parts, channels, moments, {options, channels, mean, var, inv_std, running_mean, running_var},
           stream);
}

void batch_norm_apply(const NormShape& shape, const float* x, const float* mean, const float* inv_std,
                      const float* gamma, const float* beta, float* y, const Stream& stream) {
  constexpr const char* kName = "batch_norm_apply";
  if (!norm_work(kName, shape, {x, mean, inv_std, gamma, beta, y})) return;
  normalize(kName, norm_space<float>(shape), x, two_floats(mean, shape.channels), {inv_std, false, 0}, gamma,
            beta, y, stream);
}

}  // namespace bntrain::kernels
