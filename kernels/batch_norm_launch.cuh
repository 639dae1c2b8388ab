// What the files of the plain batch norm kernels share: checks, launches, and the pieces that
// batch_norm_statistics.cu lends to the others.
#pragma once

#include <cfloat>
#include <initializer_list>

#include "batch_norm_walk.cuh"
#include "launch.hpp"

namespace bntrain::kernels {

/// 1 / standard deviation of the channels: as it is, or from variances. In the second case every thread
/// computes it for itself, in float32, which is three roundings and cheap.
struct Deviations {
  const float* values;
  bool are_variances;
  float eps;

  SIMT_DEVICE float inverse(std::int64_t channel) const {
    const float value = values[channel];
    if (!are_variances) return value;
    return value > FLT_MAX || value + eps == 0 ? 0 : simt::inverse_sqrt(value + eps);
  }
};

/// The launcher's checks. False when there is nothing to do.
inline bool norm_work(const char* name, const NormShape& shape, std::initializer_list<const void*> needed) {
  require(shape.batch >= 0 && shape.channels >= 0 && shape.spatial >= 0, name, "a size is negative");
  if (shape.batch == 0 || shape.channels == 0 || shape.spatial == 0) return false;
  for (const void* p : needed) require(p != nullptr, name, "a pointer is null");
  return true;
}

/// Launches the instance of a kernel that fits what the packs hold; the instances come in Packing's order.
template <typename Kernel, typename... Arguments>
void launch_walk(const char* name, Kernel single, Kernel one_channel, Kernel many_channels, const Walk& walk,
                 const Stream& stream, const Arguments&... arguments) {
  const Kernel kernel = walk.packing == Packing::single        ? single
                        : walk.packing == Packing::one_channel ? one_channel
                                                               : many_channels;
  launch(kernel,
         {.name = name,
          .grid = strided_grid(walk.items(), 1, NormTuning::kBlocksAMultiprocessor, stream),
          .block = NormTuning::kThreads},
         stream, walk, arguments...);
}

/// One warp a channel.
inline LaunchConfig warp_a_channel(const char* name, std::int64_t channels, const Stream& stream) {
  return {.name = name,
          .grid = strided_grid(channels, kNormWarps, NormTuning::kBlocksAMultiprocessor, stream),
          .block = NormTuning::kThreads};
}

// What batch_norm_statistics.cu has for the other files.

/// How many parts chunk_moments() writes for each channel.
std::int64_t norm_chunks(const NormShape& shape);

/// The moments of each chunk of the tensor; parts: [norm_chunks(shape)][channels].
void chunk_moments(const NormShape& shape, const float* x, ChannelMoments* parts, const Stream& stream);

/// y = (x - mean) * (gamma * invstd) + beta, beta where invstd is 0. mean and beta may be null: zeros.
void normalize(const char* name, const NormShape& shape, const float* x, const float* mean,
               const Deviations& deviations, const float* gamma, const float* beta, float* y,
               const Stream& stream);

}  // namespace bntrain::kernels
