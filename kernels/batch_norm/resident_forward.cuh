// Batch norm forward in training with the channels in registers: one reading of x.
//
// Maths: moments.cuh, with the values of a thread as its tile and the channel's first value as the origin of
// all sums. Contract: batch_norm.hpp. Bytes moved: 2 S, for S bytes of tensor. Launches: one.
#pragma once

#include "kernels/batch_norm/moments.cuh"
#include "kernels/batch_norm/resident.cuh"

namespace bntrain::kernels {

/// x and y may be the same tensor.
template <typename T, int kVectors, int kWidth, int kChannels>
SIMT_KERNEL(resident_threads(kVectors), resident_blocks(kVectors, kChannels))
resident_forward_kernel(ResidentSpace space, double count, double inverse_count, const T* x,
                        const float* gamma, const float* beta, T* y, StatisticsOutput output) {
  using namespace simt;
  using Thread = ThreadVectors<kVectors, kWidth, kChannels>;
  DynamicShared dynamic;
  ClusterSums<2 * kChannels> cluster_sums(space, dynamic);
  const int owners = space.columns * kChannels;
  const auto constants = dynamic.take<Normalizer>("constants", owners);
  const Thread thread(space);
  grid_dependency_launch();
  grid_dependency_wait();
  const T* const from = x + thread.base;
  Vector<T, kWidth> values[kVectors] = {};
  SIMT_UNROLL
  for (int j = 0; j < kVectors; ++j)
    if (thread.has(j)) values[j] = load_vector<kWidth>(from + thread.offset(space, j), space.aligned);
  Vector<T, kChannels> origins = {};
  if (thread.has_channel(space)) origins = load_vector<kChannels>(from, space.aligned);
  // The threads that compute a channel's statistics read early what they need then.
  const unsigned channel =
      thread.group * static_cast<unsigned>(owners) + static_cast<unsigned>(thread_index());
  const bool owner = thread_index() < owners && channel < space.channels;
  float origin = 0, weight = 0, bias = 0;
  if (owner) {
    origin = static_cast<float>(load(x + std::int64_t{channel} * space.channel_stride));
    weight = load(gamma + channel);
    bias = load(beta + channel);
  }

  double sums[2 * kChannels];
  SIMT_UNROLL
  for (int k = 0; k < kChannels; ++k) {
    const auto value = [&](int j, int lane) { return values[j][k + lane]; };
    const Pair<double> moments =
        tile_moments<kVectors, kWidth / kChannels>(value, thread.count(), static_cast<double>(origins[k]));
    sums[2 * k] = moments.first;
    sums[2 * k + 1] = moments.second;
  }
  cluster_sums.add(sums);
  if (owner) {
    const ChannelStatistics s =
        statistics_about(static_cast<double>(origin), cluster_sums.total(thread_index()), inverse_count);
    constants[thread_index()] =
        normalizer(split_mean(s.mean), inv_std_of(s.var, output.options.eps), weight, bias);
  }
  block_sync();

  Normalizer normalizers[kChannels] = {};
  if (thread.has_channel(space)) {
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      const Normalizer one = constants[(thread_index() & (space.columns - 1)) * kChannels + k];
      normalizers[k] = one;
    }
  }
  SIMT_UNROLL
  for (int j = 0; j < kVectors; ++j) {
    if (!thread.has(j)) continue;
    float result[kWidth];
    SIMT_UNROLL
    for (int lane = 0; lane < kWidth; ++lane)
      result[lane] = normalizers[kChannels == 1 ? 0 : lane](values[j][lane]);
    store_vector(y + thread.base + thread.offset(space, j), result, space.aligned);
  }
  // Last, and computed again: the running statistics are read from memory, for which nobody waits so.
  if (owner && Thread::rank(space) == 0)
    output.write(
        channel, count,
        statistics_about(static_cast<double>(origin), cluster_sums.total(thread_index()), inverse_count));
}

/// The instance for the space's vectors.
template <typename T>
auto resident_forward_kernel_for(const ResidentSpace& space, int vectors) {
  constexpr int kSize = simt::Vec<T>::kSize;
  return with_vectors(vectors, [&]<int kVectors>() {
    return space.width == 1                 ? resident_forward_kernel<T, kVectors, 1, 1>
           : space.channels_per_vector == 1 ? resident_forward_kernel<T, kVectors, kSize, 1>
                                            : resident_forward_kernel<T, kVectors, kSize, kSize>;
  });
}

inline LaunchConfig resident_forward_config(const ResidentSpace& space, const ResidentTuning& tuning) {
  return resident_config("batch_norm_resident_forward", space, tuning, sizeof(Normalizer), 0);
}

template <typename T>
void launch_resident_forward(ResidentSpace space, const ResidentTuning& tuning, std::int64_t count,
                             const T* x, const float* gamma, const float* beta, T* y,
                             const StatisticsOutput& output, const Stream& stream) {
  space.aligned = simt::is_aligned(x) && simt::is_aligned(y);
  const auto n = static_cast<double>(count);
  const auto kernel = resident_forward_kernel_for<T>(space, tuning.vectors);
  launch_groups(space, resident_forward_config(space, tuning), stream,
                [&](const ResidentSpace& groups, const LaunchConfig& config) {
                  launch(kernel, config, stream, groups, n, 1 / n, x, gamma, beta, y, output);
                });
}

}  // namespace bntrain::kernels
