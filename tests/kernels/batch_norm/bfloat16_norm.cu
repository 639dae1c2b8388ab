#include "kernels/batch_norm/bfloat16_norm.hpp"

#include "kernels/batch_norm/gradients.cuh"
#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/moments.cuh"
#include "kernels/batch_norm/resident_backward.cuh"
#include "kernels/batch_norm/resident_forward.cuh"

namespace bntrain::kernels {
namespace {

using namespace simt;

constexpr int kSize = Vec<Bfloat16>::kSize;

/// Calls work(chunk) for every chunk of this block's.
template <int kWidth, int kChannels, typename Work>
SIMT_DEVICE void for_chunks(const IterationSpace& space, const Work& work) {
  for (std::int64_t item = block_index(); item < space.items(); item += grid_size())
    work(Chunk<kWidth, kChannels>(space, item));
}

template <int kWidth, int kChannels>
SIMT_KERNEL(NormTuning::kThreads)
statistics_kernel(IterationSpace space, const Bfloat16* x, ChannelMoments* parts) {
  SIMT_SHARED(Pair<double>, scratch, kColumnScratch<kChannels>);
  for_chunks<kWidth, kChannels>(space, [&](const Chunk<kWidth, kChannels>& chunk) {
    const Moments<double> m = chunk_moments(space, chunk, Global<Bfloat16>{x}, scratch);
    const std::int64_t channel = chunk.owned(space);
    if (channel >= 0) parts[chunk.index * space.channels + channel] = {m.count, m.mean, m.m2};
  });
}

template <int kWidth, int kChannels>
SIMT_KERNEL(NormTuning::kThreads)
normalize_kernel(IterationSpace space, const Bfloat16* x, Means means, const float* inv_std,
                 const float* gamma, const float* beta, Bfloat16* y) {
  for_chunks<kWidth, kChannels>(space, [&](const Chunk<kWidth, kChannels>& chunk) {
    const Cursor<kWidth, kChannels> cursor(space, chunk);
    if (!cursor.more()) return;
    Normalizer channels[kChannels];
    for (int k = 0; k < kChannels; ++k) {
      const std::int64_t c = cursor.channel + k;
      channels[k] = normalizer(means.at(c), inv_std[c], gamma[c], beta[c]);
    }
    normalize_chunk(space, chunk, Global<Bfloat16>{x}, channels, y);
  });
}

template <int kWidth, int kChannels>
SIMT_KERNEL(NormTuning::kThreads)
gradient_sums_kernel(IterationSpace space, const Bfloat16* x, const Bfloat16* dy, Means means,
                     const float* inv_std, double* dbeta_parts, double* dgamma_parts) {
  SIMT_SHARED(GradientSums, scratch, kColumnScratch<kChannels>);
  for_chunks<kWidth, kChannels>(space, [&](const Chunk<kWidth, kChannels>& chunk) {
    const Cursor<kWidth, kChannels> cursor(space, chunk);
    Standardizer channels[kChannels] = {};
    if (cursor.more())
      for (int k = 0; k < kChannels; ++k)
        channels[k] = standardizer(means.at(cursor.channel + k), inv_std[cursor.channel + k]);
    const GradientSums sums =
        chunk_gradients(space, chunk, Global<Bfloat16>{x}, Global<Bfloat16>{dy}, channels, scratch);
    const std::int64_t channel = chunk.owned(space);
    if (channel < 0) return;
    dbeta_parts[chunk.index * space.channels + channel] = sums.first;
    dgamma_parts[chunk.index * space.channels + channel] = sums.second;
  });
}

template <int kWidth, int kChannels>
SIMT_KERNEL(NormTuning::kThreads)
input_gradient_kernel(IterationSpace space, float inverse_count, const Bfloat16* x, const Bfloat16* dy,
                      const float* gamma, Means means, const float* inv_std, const float* dgamma,
                      const float* dbeta, Bfloat16* dx) {
  for_chunks<kWidth, kChannels>(space, [&](const Chunk<kWidth, kChannels>& chunk) {
    const Cursor<kWidth, kChannels> cursor(space, chunk);
    if (!cursor.more()) return;
    InputGradient channels[kChannels];
    for (int k = 0; k < kChannels; ++k) {
      const std::int64_t c = cursor.channel + k;
      channels[k] = {standardizer(means.at(c), inv_std[c]), gamma[c] * inv_std[c], dbeta[c] * inverse_count,
                     dgamma[c] * inverse_count};
    }
    input_gradient_chunk(space, chunk, Global<Bfloat16>{x}, Global<Bfloat16>{dy}, channels, dx);
  });
}

IterationSpace walk_over(const NormShape& shape, std::initializer_list<const void*> tensors) {
  IterationSpace space = norm_space<Bfloat16>(shape);
  space.aligned = true;
  for (const void* tensor : tensors) space.aligned = space.aligned && is_aligned(tensor);
  return space;
}

}  // namespace

std::int64_t bfloat16_chunks(const NormShape& shape) {
  return norm_space<Bfloat16>(shape).chunks;
}

void bfloat16_statistics(const NormShape& shape, const Bfloat16* x, ChannelMoments* parts,
                         const Stream& stream) {
  launch_over("bfloat16_statistics", statistics_kernel<1, 1>, statistics_kernel<kSize, 1>,
              statistics_kernel<kSize, kSize>, walk_over(shape, {x}), stream, x, parts);
}

void bfloat16_normalize(const NormShape& shape, const Bfloat16* x, const float* mean, const float* inv_std,
                        const float* gamma, const float* beta, Bfloat16* y, const Stream& stream) {
  launch_over("bfloat16_normalize", normalize_kernel<1, 1>, normalize_kernel<kSize, 1>,
              normalize_kernel<kSize, kSize>, walk_over(shape, {x, y}), stream, x,
              two_floats(mean, shape.channels), inv_std, gamma, beta, y);
}

void bfloat16_gradient_sums(const NormShape& shape, const Bfloat16* x, const Bfloat16* dy, const float* mean,
                            const float* inv_std, double* dbeta_parts, double* dgamma_parts,
                            const Stream& stream) {
  launch_over("bfloat16_gradient_sums", gradient_sums_kernel<1, 1>, gradient_sums_kernel<kSize, 1>,
              gradient_sums_kernel<kSize, kSize>, walk_over(shape, {x, dy}), stream, x, dy,
              two_floats(mean, shape.channels), inv_std, dbeta_parts, dgamma_parts);
}

void bfloat16_input_gradient(const NormShape& shape, const Bfloat16* x, const Bfloat16* dy,
                             const float* gamma, const float* mean, const float* inv_std, const float* dgamma,
                             const float* dbeta, Bfloat16* dx, const Stream& stream) {
  const auto inverse_count = static_cast<float>(1.0 / static_cast<double>(shape.batch * shape.spatial));
  launch_over("bfloat16_input_gradient", input_gradient_kernel<1, 1>, input_gradient_kernel<kSize, 1>,
              input_gradient_kernel<kSize, kSize>, walk_over(shape, {x, dy, dx}), stream, inverse_count, x,
              dy, gamma, two_floats(mean, shape.channels), inv_std, dgamma, dbeta, dx);
}

void bfloat16_resident_forward(const NormShape& shape, double eps, const Bfloat16* x, const float* gamma,
                               const float* beta, Bfloat16* y, float* mean, float* var, float* inv_std,
                               const Stream& stream) {
  const ResidentSpace space = resident_space(shape, kSize);
  const ResidentTuning tuning = resident_tuning(space, device_limits(stream));
  const StatisticsOutput output{{.eps = eps}, shape.channels, mean, var, inv_std, nullptr, nullptr};
  launch_resident_forward(tuned(space, tuning), tuning, shape.batch * shape.spatial, x, gamma, beta, y,
                          output, stream);
}

void bfloat16_resident_backward(const NormShape& shape, const Bfloat16* x, const Bfloat16* dy,
                                const float* gamma, const float* mean, const float* inv_std, Bfloat16* dx,
                                float* dgamma, float* dbeta, const Stream& stream) {
  const ResidentSpace space = resident_space(shape, kSize);
  const ResidentTuning tuning = resident_tuning(space, device_limits(stream));
  launch_resident_backward(tuned(space, tuning), tuning, shape.batch * shape.spatial, x, dy, gamma, mean,
                           inv_std, dx, dgamma, dbeta, stream);
}

}  // namespace bntrain::kernels
