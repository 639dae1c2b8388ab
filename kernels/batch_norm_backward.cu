// Batch norm backward, of training and of inference.
//
// Maths. Ioffe and Szegedy 2015, arXiv 1502.03167, section 3; per channel of x, (batch, channels, spatial) or
// (batch, spatial, channels), over its n values, xhat = (x - mean) * invstd:
//   dbeta = sum(dy),  dgamma = sum(dy * xhat)
//   training    dx = gamma * invstd * (dy - dbeta / n - xhat * dgamma / n)
//   inference   dx = gamma * invstd * dy
// The sums are made in float32 over the run of a channel that a thread has in registers, 8 to 32 values, and
// in fp64 from there on: per chunk of at most 8192 values, then over the chunks.
//
// Contract: batch_norm.hpp. Bytes moved: training 5 S, inference 4 S, for S bytes of tensor.
#include "batch_norm_launch.cuh"

namespace bntrain::kernels {
namespace {

using namespace simt;

using Tuning = NormTuning;
using GradientSums = Pair<double>;  // dbeta, dgamma

template <typename T, int kWidth, int kChannels>
SIMT_KERNEL(Tuning::kThreads)
chunk_gradients_kernel(Walk walk, const T* __restrict__ x, const T* __restrict__ dy,
                       const float* __restrict__ mean, Deviations deviations,
                       GradientSums* __restrict__ parts) {
  SIMT_SHARED(GradientSums, scratch, kColumnScratch<kChannels>);
  for (std::int64_t item = block_index(); item < walk.items(); item += grid_size()) {
    const Chunk<kWidth, kChannels> chunk(walk, item);
    Cursor<kWidth, kChannels> cursor(walk, chunk);
    float center[kChannels] = {}, invstd[kChannels] = {};
    if (cursor.more()) {
      SIMT_UNROLL
      for (int k = 0; k < kChannels; ++k) {
        center[k] = mean[cursor.channel + k];
        invstd[k] = deviations.inverse(cursor.channel + k);
      }
    }
    GradientSums sums[kChannels] = {};
    while (cursor.more()) {
      // Not zeros for x: (0 - mean) * invstd may be infinite, and dy = 0 times that NaN.
      const Run<kWidth> values = load_run(walk, cursor, x, Filler::first);
      const Run<kWidth> gradients = load_run(walk, cursor, dy, Filler::zero);
      skip_run(walk, cursor);
      Pair<float> run[kChannels] = {};
      SIMT_UNROLL
      for (int i = 0; i < Tuning::kRun * kWidth; ++i) {
        const int j = i / kWidth, lane = i % kWidth;
        const int k = channel_of<kChannels>(lane);
        run[k].first += gradients.at[j][lane];
        run[k].second += gradients.at[j][lane] * ((values.at[j][lane] - center[k]) * invstd[k]);
      }
      SIMT_UNROLL
      for (int k = 0; k < kChannels; ++k) {
        sums[k].first += static_cast<double>(run[k].first);
        // x - mean may be infinite where the variance is, and that times 0 NaN.
        sums[k].second += invstd[k] == 0 ? 0 : static_cast<double>(run[k].second);
      }
    }
    const GradientSums total = column_sums(sums, walk.columns, scratch);
    const std::int64_t channel = chunk.owned(walk);
    if (channel >= 0) parts[chunk.index * walk.channels + channel] = total;
  }
}

/// One warp a channel.
SIMT_KERNEL(Tuning::kThreads)
merge_gradients_kernel(std::int64_t parts, std::int64_t channels, const GradientSums* __restrict__ chunks,
                       float* __restrict__ dgamma, float* __restrict__ dbeta) {
  for (std::int64_t channel = grid_thread() / kWarpSize; channel < channels;
       channel += grid_threads() / kWarpSize) {
    GradientSums sum{0, 0};
    for (std::int64_t part = lane_index(); part < parts; part += kWarpSize)
      sum = Add{}(sum, chunks[part * channels + channel]);
    sum = warp_sum(sum);
    if (lane_index() != 0) continue;
    dbeta[channel] = static_cast<float>(sum.first);
    dgamma[channel] = static_cast<float>(sum.second);
  }
}

/// dx may be x or dy, so that none of them is __restrict__.
template <typename T, int kWidth, int kChannels>
SIMT_KERNEL(Tuning::kThreads)
input_gradient_kernel(Walk walk, float inverse_count, const T* x, const T* dy,
                      const float* __restrict__ gamma, const float* __restrict__ mean,
                      const float* __restrict__ deviation, const float* __restrict__ dgamma,
                      const float* __restrict__ dbeta, T* dx) {
  for (std::int64_t item = block_index(); item < walk.items(); item += grid_size()) {
    Cursor<kWidth, kChannels> cursor(walk, Chunk<kWidth, kChannels>(walk, item));
    if (!cursor.more()) continue;
    float center[kChannels], invstd[kChannels], scale[kChannels];
    float dbeta_mean[kChannels], dgamma_mean[kChannels];
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      const std::int64_t channel = cursor.channel + k;
      center[k] = mean[channel];
      invstd[k] = deviation[channel];
      scale[k] = gamma[channel] * invstd[k];
      dbeta_mean[k] = dbeta[channel] * inverse_count;
      dgamma_mean[k] = dgamma[channel] * inverse_count;
    }
    while (cursor.more()) {
      const Run<kWidth> values = load_run(walk, cursor, x, Filler::zero);
      Run<kWidth> gradients = load_run(walk, cursor, dy, Filler::zero);
      SIMT_UNROLL
      for (int i = 0; i < Tuning::kRun * kWidth; ++i) {
        const int j = i / kWidth, lane = i % kWidth;
        const int k = channel_of<kChannels>(lane);
        const float xhat = (values.at[j][lane] - center[k]) * invstd[k];
        // One value per channel: dy - dbeta is exactly 0.
        const float value = (gradients.at[j][lane] - dbeta_mean[k] - xhat * dgamma_mean[k]) * scale[k];
        gradients.at[j][lane] = invstd[k] == 0 ? 0 : value;
      }
      store_run(walk, cursor, gradients, dx);
    }
  }
}

template <typename T>
void launch_gradient_sums(const NormShape& shape, const T* x, const T* dy, const float* mean,
                          const Deviations& deviations, float* dgamma, float* dbeta, void* workspace,
                          const Stream& stream) {
  constexpr int kSize = Vec<T>::kSize;
  const Walk walk = make_walk(shape, kSize, is_aligned(x) && is_aligned(dy));
  auto* parts = static_cast<GradientSums*>(workspace);
  launch_walk("batch_norm_backward_sums", chunk_gradients_kernel<T, 1, 1>,
              chunk_gradients_kernel<T, kSize, 1>, chunk_gradients_kernel<T, kSize, kSize>, walk, stream, x,
              dy, mean, deviations, parts);
  launch(merge_gradients_kernel, warp_a_channel("batch_norm_backward_merge", shape.channels, stream), stream,
         walk.chunks, shape.channels, parts, dgamma, dbeta);
}

template <typename T>
void launch_input_gradient(const NormShape& shape, std::int64_t count, const T* x, const T* dy,
                           const float* gamma, const float* mean, const float* invstd, const float* dgamma,
                           const float* dbeta, T* dx, const Stream& stream) {
  constexpr int kSize = Vec<T>::kSize;
  const Walk walk = make_walk(shape, kSize, is_aligned(x) && is_aligned(dy) && is_aligned(dx));
  launch_walk("batch_norm_backward_input", input_gradient_kernel<T, 1, 1>, input_gradient_kernel<T, kSize, 1>,
              input_gradient_kernel<T, kSize, kSize>, walk, stream,
              static_cast<float>(1.0 / static_cast<double>(count)), x, dy, gamma, mean, invstd, dgamma, dbeta,
              dx);
}

}  // namespace

void batch_norm_backward_sums(const NormShape& shape, const float* x, const float* dy, const float* mean,
                              const float* invstd, float* dgamma, float* dbeta, void* workspace,
                              const Stream& stream) {
  constexpr const char* kName = "batch_norm_backward_sums";
  if (!norm_work(kName, shape, {x, dy, mean, invstd, dgamma, dbeta, workspace})) return;
  require(is_aligned(workspace), kName, "the workspace is not on 16 bytes");
  launch_gradient_sums(shape, x, dy, mean, {invstd, false, 0}, dgamma, dbeta, workspace, stream);
}

void batch_norm_backward_input(const NormShape& shape, std::int64_t count, const float* x, const float* dy,
                               const float* gamma, const float* mean, const float* invstd,
                               const float* dgamma, const float* dbeta, float* dx, const Stream& stream) {
  constexpr const char* kName = "batch_norm_backward_input";
  if (!norm_work(kName, shape, {x, dy, gamma, mean, invstd, dgamma, dbeta, dx})) return;
  require(count >= shape.batch * shape.spatial, kName, "the count is less than the values at hand");
  launch_input_gradient(shape, count, x, dy, gamma, mean, invstd, dgamma, dbeta, dx, stream);
}

void batch_norm_backward(const NormShape& shape, const float* x, const float* dy, const float* gamma,
                         const float* mean, const float* invstd, float* dx, float* dgamma, float* dbeta,
                         void* workspace, const Stream& stream) {
  if (!norm_work("batch_norm_backward", shape, {x, dy, gamma, mean, invstd, dx, dgamma, dbeta, workspace}))
    return;
  batch_norm_backward_sums(shape, x, dy, mean, invstd, dgamma, dbeta, workspace, stream);
  batch_norm_backward_input(shape, shape.batch * shape.spatial, x, dy, gamma, mean, invstd, dgamma, dbeta, dx,
                            stream);
}

void batch_norm_inference_backward(const NormShape& shape, double eps, const float* x, const float* dy,
                                   const float* gamma, const float* running_mean, const float* running_var,
                                   float* dx, float* dgamma, float* dbeta, void* workspace,
                                   const Stream& stream) {
  constexpr const char* kName = "batch_norm_inference_backward";
  if (!norm_work(kName, shape, {x, dy, gamma, running_mean, running_var, dx, dgamma, dbeta, workspace}))
    return;
  require(is_aligned(workspace), kName, "the workspace is not on 16 bytes");
  const Deviations deviations{running_var, true, static_cast<float>(eps)};
  launch_gradient_sums(shape, x, dy, running_mean, deviations, dgamma, dbeta, workspace, stream);
  normalize(kName, shape, dy, nullptr, deviations, gamma, nullptr, dx, stream);
}

}  // namespace bntrain::kernels
