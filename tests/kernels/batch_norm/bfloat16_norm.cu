#include "kernels/batch_norm/bfloat16_norm.hpp"

#include "kernels/batch_norm/gradients.cuh"
#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/moments.cuh"

namespace bntrain::kernels {
namespace {

using namespace simt;

constexpr int kSize = Vec<Bfloat16>::kSize;

/// Calls work(chunk) for every chunk of this block's.
template <int kWidth, int kChannels, typename Work>
SIMT_DEVICE void for_chunks(const Walk& walk, const Work& work) {
  for (std::int64_t item = block_index(); item < walk.items(); item += grid_size())
    work(Chunk<kWidth, kChannels>(walk, item));
}

template <int kWidth, int kChannels>
SIMT_KERNEL(NormTuning::kThreads)
statistics_kernel(Walk walk, const Bfloat16* x, ChannelMoments* parts) {
  SIMT_SHARED(Pair<double>, scratch, kColumnScratch<kChannels>);
  for_chunks<kWidth, kChannels>(walk, [&](const Chunk<kWidth, kChannels>& chunk) {
    const Moments<double> m = chunk_moments(walk, chunk, Global<Bfloat16>{x}, scratch);
    const std::int64_t channel = chunk.owned(walk);
    if (channel >= 0) parts[chunk.index * walk.channels + channel] = {m.count, m.mean, m.m2};
  });
}

template <int kWidth, int kChannels>
SIMT_KERNEL(NormTuning::kThreads)
normalize_kernel(Walk walk, const Bfloat16* x, const float* mean, const float* invstd, const float* gamma,
                 const float* beta, Bfloat16* y) {
  for_chunks<kWidth, kChannels>(walk, [&](const Chunk<kWidth, kChannels>& chunk) {
    const Cursor<kWidth, kChannels> cursor(walk, chunk);
    if (!cursor.more()) return;
    Normalizer channels[kChannels];
    for (int k = 0; k < kChannels; ++k) {
      const std::int64_t c = cursor.channel + k;
      channels[k] = {mean[c], gamma[c] * invstd[c], beta[c], invstd[c]};
    }
    normalize_chunk(walk, chunk, Global<Bfloat16>{x}, channels, y);
  });
}

template <int kWidth, int kChannels>
SIMT_KERNEL(NormTuning::kThreads)
gradient_sums_kernel(Walk walk, const Bfloat16* x, const Bfloat16* dy, const float* mean, const float* invstd,
                     double* dbeta_parts, double* dgamma_parts) {
  SIMT_SHARED(GradientSums, scratch, kColumnScratch<kChannels>);
  for_chunks<kWidth, kChannels>(walk, [&](const Chunk<kWidth, kChannels>& chunk) {
    const Cursor<kWidth, kChannels> cursor(walk, chunk);
    Standardizer channels[kChannels] = {};
    if (cursor.more())
      for (int k = 0; k < kChannels; ++k)
        channels[k] = {mean[cursor.channel + k], invstd[cursor.channel + k]};
    const GradientSums sums =
        chunk_gradients(walk, chunk, Global<Bfloat16>{x}, Global<Bfloat16>{dy}, channels, scratch);
    const std::int64_t channel = chunk.owned(walk);
    if (channel < 0) return;
    dbeta_parts[chunk.index * walk.channels + channel] = sums.first;
    dgamma_parts[chunk.index * walk.channels + channel] = sums.second;
  });
}

template <int kWidth, int kChannels>
SIMT_KERNEL(NormTuning::kThreads)
input_gradient_kernel(Walk walk, float inverse_count, const Bfloat16* x, const Bfloat16* dy,
                      const float* gamma, const float* mean, const float* invstd, const float* dgamma,
                      const float* dbeta, Bfloat16* dx) {
  for_chunks<kWidth, kChannels>(walk, [&](const Chunk<kWidth, kChannels>& chunk) {
    const Cursor<kWidth, kChannels> cursor(walk, chunk);
    if (!cursor.more()) return;
    InputGradient channels[kChannels];
    for (int k = 0; k < kChannels; ++k) {
      const std::int64_t c = cursor.channel + k;
      channels[k] = {
          {mean[c], invstd[c]}, gamma[c] * invstd[c], dbeta[c] * inverse_count, dgamma[c] * inverse_count};
    }
    input_gradient_chunk(walk, chunk, Global<Bfloat16>{x}, Global<Bfloat16>{dy}, channels, dx);
  });
}

Walk walk_over(const NormShape& shape, std::initializer_list<const void*> tensors) {
  Walk walk = norm_walk<Bfloat16>(shape);
  walk.aligned = true;
  for (const void* tensor : tensors) walk.aligned = walk.aligned && is_aligned(tensor);
  return walk;
}

}  // namespace

std::int64_t bfloat16_chunks(const NormShape& shape) {
  return norm_walk<Bfloat16>(shape).chunks;
}

void bfloat16_statistics(const NormShape& shape, const Bfloat16* x, ChannelMoments* parts,
                         const Stream& stream) {
  launch_walk("bfloat16_statistics", statistics_kernel<1, 1>, statistics_kernel<kSize, 1>,
              statistics_kernel<kSize, kSize>, walk_over(shape, {x}), stream, x, parts);
}

void bfloat16_normalize(const NormShape& shape, const Bfloat16* x, const float* mean, const float* invstd,
                        const float* gamma, const float* beta, Bfloat16* y, const Stream& stream) {
  launch_walk("bfloat16_normalize", normalize_kernel<1, 1>, normalize_kernel<kSize, 1>,
              normalize_kernel<kSize, kSize>, walk_over(shape, {x, y}), stream, x, mean, invstd, gamma, beta,
              y);
}

void bfloat16_gradient_sums(const NormShape& shape, const Bfloat16* x, const Bfloat16* dy, const float* mean,
                            const float* invstd, double* dbeta_parts, double* dgamma_parts,
                            const Stream& stream) {
  launch_walk("bfloat16_gradient_sums", gradient_sums_kernel<1, 1>, gradient_sums_kernel<kSize, 1>,
              gradient_sums_kernel<kSize, kSize>, walk_over(shape, {x, dy}), stream, x, dy, mean, invstd,
              dbeta_parts, dgamma_parts);
}

void bfloat16_input_gradient(const NormShape& shape, const Bfloat16* x, const Bfloat16* dy,
                             const float* gamma, const float* mean, const float* invstd, const float* dgamma,
                             const float* dbeta, Bfloat16* dx, const Stream& stream) {
  const auto inverse_count = static_cast<float>(1.0 / static_cast<double>(shape.batch * shape.spatial));
  launch_walk("bfloat16_input_gradient", input_gradient_kernel<1, 1>, input_gradient_kernel<kSize, 1>,
              input_gradient_kernel<kSize, kSize>, walk_over(shape, {x, dy, dx}), stream, inverse_count, x,
              dy, gamma, mean, invstd, dgamma, dbeta, dx);
}

}  // namespace bntrain::kernels
