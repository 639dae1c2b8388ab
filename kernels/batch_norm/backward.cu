// Batch norm backward, of training and of inference.
//
// Maths: gradients.cuh; in inference the statistics are constants, dx = gamma * inv_std * dy.
//
// Contract: batch_norm.hpp. Bytes moved, for S bytes of tensor: training: variant.cu; inference: 4 S.
#include "kernels/batch_norm/gradients.cuh"
#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/placement.hpp"
#include "kernels/batch_norm/streamed_pass.cuh"

namespace bntrain::kernels {
namespace {

using namespace simt;

using Tuning = NormTuning;

template <typename T, int kWidth, int kChannels>
SIMT_KERNEL(Tuning::kThreads)
chunk_gradients_kernel(IterationSpace space, const T* __restrict__ x, const T* __restrict__ dy, Means means,
                       InvStds inv_stds, GradientSums* __restrict__ parts) {
  SIMT_SHARED(GradientSums, scratch, kColumnScratch<kChannels>);
  for (std::int64_t item = block_index(); item < space.items(); item += grid_size()) {
    const Chunk<kWidth, kChannels> chunk(space, item);
    const Cursor<kWidth, kChannels> cursor(space, chunk);
    Standardizer channels[kChannels] = {};
    if (cursor.more()) {
      SIMT_UNROLL
      for (int k = 0; k < kChannels; ++k)
        channels[k] = standardizer(means.at(cursor.channel + k), inv_stds.at(cursor.channel + k));
    }
    const GradientSums total = chunk_gradients(space, chunk, Global<T>{x}, Global<T>{dy}, channels, scratch);
    const std::int64_t channel = chunk.owned(space);
    if (channel >= 0) parts[chunk.index * space.channels + channel] = total;
  }
}

/// Merges the chunks of every channel.
SIMT_KERNEL(Tuning::kThreads)
merge_gradients_kernel(std::int64_t parts, std::int64_t channels, const GradientSums* __restrict__ chunks,
                       float* __restrict__ dgamma, float* __restrict__ dbeta) {
  merge_channels<GradientSums>(
      grid_thread(), grid_threads(), channels, parts, Add{},
      [&](std::int64_t part, std::int64_t channel) { return chunks[part * channels + channel]; },
      [&](std::int64_t channel, const GradientSums& sum) {
        dbeta[channel] = static_cast<float>(sum.first);
        dgamma[channel] = static_cast<float>(sum.second);
      });
}

/// dx may be x or dy, so none of them is __restrict__.
template <typename T, int kWidth, int kChannels>
SIMT_KERNEL(Tuning::kThreads)
input_gradient_kernel(IterationSpace space, float inverse_count, const T* x, const T* dy,
                      const float* __restrict__ gamma, Means means, const float* __restrict__ inv_std,
                      const float* __restrict__ dgamma, const float* __restrict__ dbeta, T* dx) {
  for (std::int64_t item = block_index(); item < space.items(); item += grid_size()) {
    const Chunk<kWidth, kChannels> chunk(space, item);
    const Cursor<kWidth, kChannels> cursor(space, chunk);
    if (!cursor.more()) continue;
    InputGradient channels[kChannels];
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      const std::int64_t channel = cursor.channel + k;
      channels[k] = {standardizer(means.at(channel), inv_std[channel]), gamma[channel] * inv_std[channel],
                     dbeta[channel] * inverse_count, dgamma[channel] * inverse_count};
    }
    input_gradient_chunk(space, chunk, Global<T>{x}, Global<T>{dy}, channels, dx);
  }
}

template <typename T>
void launch_gradient_sums(IterationSpace space, const T* x, const T* dy, const Means& means,
                          const InvStds& inv_stds, float* dgamma, float* dbeta, void* workspace,
                          const Stream& stream) {
  constexpr int kSize = Vec<T>::kSize;
  space.aligned = is_aligned(x) && is_aligned(dy);
  auto* parts = static_cast<GradientSums*>(workspace);
  launch_over("batch_norm_backward_sums", chunk_gradients_kernel<T, 1, 1>,
              chunk_gradients_kernel<T, kSize, 1>, chunk_gradients_kernel<T, kSize, kSize>, space, stream, x,
              dy, means, inv_stds, parts);
  launch(merge_gradients_kernel, warp_per_channel("batch_norm_backward_merge", space.channels, stream),
         stream, space.chunks, space.channels, parts, dgamma, dbeta);
}

template <typename T>
void launch_input_gradient(IterationSpace space, std::int64_t count, const T* x, const T* dy,
                           const float* gamma, const Means& means, const float* inv_std, const float* dgamma,
                           const float* dbeta, T* dx, const Stream& stream) {
  constexpr int kSize = Vec<T>::kSize;
  space.aligned = is_aligned(x) && is_aligned(dy) && is_aligned(dx);
  launch_over("batch_norm_backward_input", input_gradient_kernel<T, 1, 1>, input_gradient_kernel<T, kSize, 1>,
              input_gradient_kernel<T, kSize, kSize>, space, stream,
              static_cast<float>(1.0 / static_cast<double>(count)), x, dy, gamma, means, inv_std, dgamma,
              dbeta, dx);
}

}  // namespace

void batch_norm_backward_sums(const NormShape& shape, const float* x, const float* dy, const float* mean,
                              const float* inv_std, float* dgamma, float* dbeta, void* workspace,
                              const Stream& stream) {
  constexpr const char* kName = "batch_norm_backward_sums";
  if (!norm_work(kName, shape, {x, dy, mean, inv_std, dgamma, dbeta, workspace})) return;
  require(is_aligned(workspace), kName, "the workspace is not 16-byte aligned");
  launch_gradient_sums(norm_space<float>(shape), x, dy, two_floats(mean, shape.channels), {inv_std, false, 0},
                       dgamma, dbeta, workspace, stream);
}

void batch_norm_backward_input(const NormShape& shape, std::int64_t count, const float* x, const float* dy,
                               const float* gamma, const float* mean, const float* inv_std,
                               const float* dgamma, const float* dbeta, float* dx, const Stream& stream) {
  constexpr const char* kName = "batch_norm_backward_input";
  if (!norm_work(kName, shape, {x, dy, gamma, mean, inv_std, dgamma, dbeta, dx})) return;
  require(count >= shape.batch * shape.spatial, kName, "the count is less than the values at hand");
  launch_input_gradient(norm_space<float>(shape), count, x, dy, gamma, two_floats(mean, shape.channels),
                        inv_std, dgamma, dbeta, dx, stream);
}

void batch_norm_backward(const NormShape& shape, const float* x, const float* dy, const float* gamma,
                         const float* mean, const float* inv_std, float* dx, float* dgamma, float* dbeta,
                         void* workspace, const Stream& stream, NormVariant variant) {
  constexpr const char* kName = "batch_norm_backward";
  if (!norm_work(kName, shape, {x, dy, gamma, mean, inv_std, dx, dgamma, dbeta, workspace})) return;
  require(is_aligned(workspace), kName, "the workspace is not 16-byte aligned");
  const Choice choice = choose(kName, NormPass::backward, shape, variant, stream);
  if (choice.variant == NormVariant::naive) {
    naive_backward(shape, x, dy, gamma, mean, inv_std, dx, dgamma, dbeta, stream);
    return;
  }
  if (choice.variant == NormVariant::resident) {
    resident_backward(choice.resident, choice.tuning, shape.batch * shape.spatial, x, dy, gamma, mean,
                      inv_std, dx, dgamma, dbeta, stream);
    return;
  }
  const Means means = two_floats(mean, shape.channels);
  const std::int64_t count = shape.batch * shape.spatial;
  if (choice.variant == NormVariant::streamed && is_aligned(x) && is_aligned(dy) && is_aligned(dx)) {
    streamed::backward(choice.streamed,
                       {x, dy, gamma, means, inv_std, dx, dgamma, dbeta, 1 / static_cast<double>(count)},
                       workspace, stream);
    return;
  }
  const IterationSpace space = norm_space<float>(shape);
  launch_gradient_sums(space, x, dy, means, {inv_std, false, 0}, dgamma, dbeta, workspace, stream);
  launch_input_gradient(space, count, x, dy, gamma, means, inv_std, dgamma, dbeta, dx, stream);
}

void batch_norm_inference_backward(const NormShape& shape, double eps, const float* x, const float* dy,
                                   const float* gamma, const float* running_mean, const float* running_var,
                                   float* dx, float* dgamma, float* dbeta, void* workspace,
                                   const Stream& stream) {
  constexpr const char* kName = "batch_norm_inference_backward";
  if (!norm_work(kName, shape, {x, dy, gamma, running_mean, running_var, dx, dgamma, dbeta, workspace}))
    return;
  require(is_aligned(workspace), kName, "the workspace is not 16-byte aligned");
  const InvStds inv_stds{running_var, true, static_cast<float>(eps)};
  launch_gradient_sums(norm_space<float>(shape), x, dy, {running_mean, nullptr}, inv_stds, dgamma, dbeta,
                       workspace, stream);
  normalize(kName, norm_space<float>(shape), dy, {nullptr, nullptr}, inv_stds, gamma, nullptr, dx, stream);
}

}  // namespace bntrain::kernels
