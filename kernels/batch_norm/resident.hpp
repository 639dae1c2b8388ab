// Batch norm in one launch that reads its tensors once: where a channel's values stay in the registers of a
// block, or of a cluster of blocks, between the pass that sums and the pass that writes. The host's side.
//
// A vector is what a thread reads at once: 16 bytes of adjacent values, or one value where rows or channels
// do not consist of such. A group of channels is what a cluster keeps: one channel (channels first), or
// `columns` vectors of adjacent channels (channels last and (N, C)).
#pragma once

#include <cstdint>

#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"

namespace bntrain::kernels {

/// How a shape is laid out over threads: all that a benchmark may vary.
struct ResidentTuning {
  int vectors = 0;  ///< of a thread, one of kResidentVectors; 0: the shape does not fit
  int threads = 0;  ///< of a block
  int cluster = 0;  ///< blocks, a power of two up to 16
  int columns = 0;  ///< of a group of channels, a power of two up to 32; 1 for channels first

  bool operator==(const ResidentTuning&) const = default;
};

/// The kernels are instantiated for these numbers of vectors.
inline constexpr int kResidentVectors[] = {1, 4, 5, 7, 9};
/// With more vectors in the backward pass x waits in shared memory and dy in registers.
inline constexpr int kVectorsInRegisters = 5;

/// The most threads of a block, and how many such blocks' registers fit on a multiprocessor: with clusters of
/// 16 of 256 threads three, for more phases of loading, summing and storing at once. The constants of several
/// channels take as many registers as a few vectors.
constexpr int resident_threads(int vectors) {
  return vectors == 9 ? 256 : 320;
}
constexpr int resident_blocks(int vectors, int channels_per_vector) {
  return (vectors == 9 ? 3 : 2) - (channels_per_vector > 1 ? 1 : 0);
}

/// n / divisor by a multiplication, for n < 2^31: Granlund and Montgomery 1994, "Division by invariant
/// integers using multiplication".
struct FastDivision {
  unsigned divisor, multiplier, shift;
};
FastDivision fast_division(std::int64_t divisor);

/// What the kernels know of a shape and its tuning. Offsets are in elements, or in vectors, from the first
/// value of a channel.
struct ResidentSpace {
  unsigned channels, groups;
  unsigned first_group = 0;        ///< of a launch
  unsigned vectors, share;         ///< of a channel (of a column); and at most, of a block
  FastDivision row;                ///< by the vectors of a row of adjacent ones
  unsigned row_gap;                ///< vectors from the end of a row to the channel's next
  unsigned channel_stride;         ///< elements from channel to channel
  int width, channels_per_vector;  ///< values of a vector, and channels that they belong to
  int cluster, cluster_log2, columns, columns_log2;
  bool aligned = false;  ///< whether all tensors are 16-byte aligned; set by the launchers
};

/// size: values in 16 bytes. The part of the space that depends on the shape alone; `vectors` is 0 where
/// 32-bit offsets do not reach.
ResidentSpace resident_space(const NormShape& shape, int size);
/// The rest of it.
ResidentSpace tuned(ResidentSpace space, const ResidentTuning& tuning);

/// Clusters of at most this many blocks, more than CUDA guarantees; 1 before compute capability 9.0.
inline constexpr int kLargestCluster = 16;

/// By the shape and the device's multiprocessors and compute capability alone, with clusters of up to
/// `largest`.
ResidentTuning resident_tuning(const ResidentSpace& space, const DeviceLimits& device,
                               int largest = kLargestCluster);

/// For all groups. constants_bytes: of a channel, tensor_bytes: of a block, in its shared memory.
LaunchConfig resident_config(const char* name, const ResidentSpace& space, const ResidentTuning& tuning,
                             std::int64_t constants_bytes, std::int64_t tensor_bytes);

/// One launch, or several where stream.max_blocks does not allow so many blocks. (A loop over groups in the
/// kernel takes 20 registers.)
template <typename Launch>
void launch_groups(ResidentSpace space, LaunchConfig config, const Stream& stream, const Launch& launch) {
  const std::int64_t most = stream.max_blocks > 0 ? stream.max_blocks / config.cluster : space.groups;
  require(most > 0, config.name, "fewer blocks are allowed than a cluster has");
  for (; space.first_group < space.groups; space.first_group += static_cast<unsigned>(most)) {
    const std::int64_t left = space.groups - space.first_group;
    config.grid = (left < most ? left : most) * config.cluster;
    launch(space, config);
  }
}

struct StatisticsOutput;

/// Whether a cluster can run on the stream's device.
bool resident_forward_fits(const ResidentSpace& space, const ResidentTuning& tuning, const Stream& stream);
bool resident_backward_fits(const ResidentSpace& space, const ResidentTuning& tuning, const Stream& stream);

/// batch_norm_forward() and batch_norm_backward(). The space is tuned().
void resident_forward(ResidentSpace space, const ResidentTuning& tuning, std::int64_t count, const float* x,
                      const float* gamma, const float* beta, float* y, const StatisticsOutput& output,
                      const Stream& stream);
void resident_backward(ResidentSpace space, const ResidentTuning& tuning, std::int64_t count, const float* x,
                       const float* dy, const float* gamma, const float* mean, const float* inv_std,
                       float* dx, float* dgamma, float* dbeta, const Stream& stream);

}  // namespace bntrain::kernels
