// What the files of the batch norm kernels share: checks, launches, and the pieces that they lend each other.
#pragma once

#include <cfloat>
#include <initializer_list>

#include "kernels/batch_norm/iteration_space.cuh"
#include "kernels/simt/launch.hpp"

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

template <typename T>
Walk norm_walk(const NormShape& shape) {
  return make_walk(shape, simt::Vec<T>::kSize);
}

/// The instance of a kernel that fits what the packs hold; the instances come in Packing's order.
template <typename Kernel>
Kernel pick(const Walk& walk, Kernel single, Kernel one_channel, Kernel many_channels) {
  return walk.packing == Packing::single        ? single
         : walk.packing == Packing::one_channel ? one_channel
                                                : many_channels;
}

template <typename Kernel, typename... Arguments>
void launch_walk(const char* name, Kernel single, Kernel one_channel, Kernel many_channels, const Walk& walk,
                 const Stream& stream, const Arguments&... arguments) {
  launch(pick(walk, single, one_channel, many_channels),
         {.name = name,
          .grid = strided_grid(walk.items(), 1, NormTuning::kBlocksAMultiprocessor, stream),
          .block = NormTuning::kThreads},
         stream, walk, arguments...);
}

/// One warp a channel, at most.
inline LaunchConfig warp_a_channel(const char* name, std::int64_t channels, const Stream& stream) {
  return {.name = name,
          .grid = strided_grid(channels, kNormWarps, NormTuning::kBlocksAMultiprocessor, stream),
          .block = NormTuning::kThreads};
}

/// Calls work(walk) for walks over `groups` groups of channels each, which together are the whole.
template <typename Work>
void for_groups(const Walk& whole, std::int64_t groups, const Work& work) {
  Walk walk = whole;
  for (; walk.first_group < whole.groups; walk.first_group += groups) {
    const std::int64_t left = whole.groups - walk.first_group;
    walk.groups = groups < left ? groups : left;
    work(walk);
  }
}

// What statistics.cu has for the other files.

struct StatisticsOutput;

void check_running(const char* name, const float* running_mean, const float* running_var);

/// The moments of each chunk of the walk; parts: [walk.chunks][channels].
void chunk_moments(const Walk& walk, const float* x, ChannelMoments* parts, const Stream& stream);

/// Merges moments, [parts][channels], of channels [first, end).
void finalize(std::int64_t parts, std::int64_t channels, std::int64_t first, std::int64_t end,
              const ChannelMoments* moments, const StatisticsOutput& output, const Stream& stream);

/// y = (x - mean) * (gamma * invstd) + beta, beta where invstd is 0. mean and beta may be null: zeros.
void normalize(const char* name, const Walk& walk, const float* x, const float* mean,
               const Deviations& deviations, const float* gamma, const float* beta, float* y,
               const Stream& stream);

}  // namespace bntrain::kernels
