// Shared helpers of the batch norm kernels' launchers: checks, launches, functions of one file that others
// call.
#pragma once

#include <cfloat>
#include <initializer_list>

#include "kernels/batch_norm/iteration_space.cuh"
#include "kernels/batch_norm/mean.cuh"
#include "kernels/simt/launch.hpp"

namespace bntrain::kernels {

/// inv_std of the channels: the values themselves, or computed from variances. In the second case every
/// thread computes what it needs, in float32: three roundings, and cheap.
struct InvStds {
  const float* values;
  bool are_variances;
  float eps;

  SIMT_DEVICE float at(std::int64_t channel) const {
    const float value = values[channel];
    if (!are_variances) return value;
    return value > FLT_MAX || value + eps == 0 ? 0 : simt::inverse_sqrt(value + eps);
  }
};

/// Checks the arguments of a launcher. False when there is nothing to do.
inline bool norm_work(const char* name, const NormShape& shape, std::initializer_list<const void*> needed) {
  require(shape.batch >= 0 && shape.channels >= 0 && shape.spatial >= 0, name, "a size is negative");
  if (shape.batch == 0 || shape.channels == 0 || shape.spatial == 0) return false;
  for (const void* p : needed) require(p != nullptr, name, "a pointer is null");
  return true;
}

template <typename T>
IterationSpace norm_space(const NormShape& shape) {
  return make_iteration_space(shape, simt::Vec<T>::kSize);
}

/// The instance of a kernel for the content of the vectors; the instances are given in the order of
/// VectorContent.
template <typename Kernel>
Kernel pick(const IterationSpace& space, Kernel single, Kernel one_channel, Kernel many_channels) {
  return space.content == VectorContent::single        ? single
         : space.content == VectorContent::one_channel ? one_channel
                                                       : many_channels;
}

template <typename Kernel, typename... Arguments>
void launch_over(const char* name, Kernel single, Kernel one_channel, Kernel many_channels,
                 const IterationSpace& space, const Stream& stream, const Arguments&... arguments) {
  launch(pick(space, single, one_channel, many_channels),
         {.name = name,
          .grid = strided_grid(space.items(), 1, NormTuning::kBlocksPerSm, stream),
          .block = NormTuning::kThreads},
         stream, space, arguments...);
}

/// At most one warp per channel.
inline LaunchConfig warp_per_channel(const char* name, std::int64_t channels, const Stream& stream) {
  return {.name = name,
          .grid = strided_grid(channels, kNormWarps, NormTuning::kBlocksPerSm, stream),
          .block = NormTuning::kThreads};
}

struct StatisticsOutput;

// naive.cu.

void naive_forward(const NormShape& shape, const float* x, const float* gamma, const float* beta, float* y,
                   const StatisticsOutput& output, const Stream& stream);
void naive_backward(const NormShape& shape, const float* x, const float* dy, const float* gamma,
                    const float* mean, const float* inv_std, float* dx, float* dgamma, float* dbeta,
                    const Stream& stream);

// statistics.cu.

void check_running(const char* name, const float* running_mean, const float* running_var);

/// The moments of each chunk; parts: [space.chunks][channels].
void chunk_moments(const IterationSpace& space, const float* x, ChannelMoments* parts, const Stream& stream);

/// Merges moments, [parts][channels].
void finalize(std::int64_t parts, std::int64_t channels, const ChannelMoments* moments,
              const StatisticsOutput& output, const Stream& stream);

/// y = (x - mean) * (gamma * inv_std) + beta, beta where inv_std is 0. Null beta: zeros.
void normalize(const char* name, const IterationSpace& space, const float* x, const Means& means,
               const InvStds& inv_stds, const float* gamma, const float* beta, float* y,
               const Stream& stream);

}  // namespace bntrain::kernels
