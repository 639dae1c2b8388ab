// Which variant of the batch norm kernels runs, in which grid: the host's side of variant.cu and on_chip.cuh.
#pragma once

#include "kernels/batch_norm/iteration_space.cuh"
#include "kernels/batch_norm/resident.hpp"
#include "kernels/simt/launch.hpp"

namespace bntrain::kernels {

namespace on_chip {

/// The blocks that hold a group of channels together: a cluster, or a part of a cooperative grid.
struct BlockGroup {
  int size = 1;
  int chunks = 0;            ///< per block; the last blocks may have fewer
  bool cooperative = false;  ///< part of a cooperative grid, else a cluster
};

/// A kernel that keeps `tensors` tensors in shared memory, and the bytes of one value, of a chunk's partial
/// result and of a channel's constants there.
struct Footprint {
  const void* kernel;
  int tensors;
  std::int64_t value_bytes, part_bytes, constants_bytes;

  /// Bytes of shared memory of a block that holds `chunks` chunks.
  std::int64_t shared_bytes(const IterationSpace& space, std::int64_t chunks) const;
};

/// Block groups that run concurrently.
struct Placement {
  BlockGroup block_group;
  std::int64_t block_groups = 0;  ///< 0: the kernel does not fit
  std::int64_t shared_bytes = 0;

  std::int64_t blocks() const { return block_groups * block_group.size; }
  LaunchConfig config(const char* name) const;
};

}  // namespace on_chip

struct Choice {
  NormVariant variant = NormVariant::plain;
  ResidentSpace resident{};        ///< for resident, tuned()
  ResidentTuning tuning{};         ///< for resident
  on_chip::Placement placement{};  ///< for persistent
  std::int64_t groups = 0;         ///< groups of channels that plain and l2_groups process at a time
};

/// The variant `wanted`, or for automatic what variant.cu says. Throws std::invalid_argument("<name>: ...")
/// where `wanted` is impossible for this shape on this device.
Choice choose(const char* name, NormPass pass, const NormShape& shape, NormVariant wanted,
              const Stream& stream);

// batch_norm_forward() and batch_norm_backward() in one launch that keeps tensors on chip.

struct StatisticsOutput;

on_chip::Footprint forward_footprint(const IterationSpace& space);
void forward_on_chip(IterationSpace space, const on_chip::Placement& placement, const float* x,
                     const float* gamma, const float* beta, float* y, const StatisticsOutput& output,
                     void* workspace, const Stream& stream);

on_chip::Footprint backward_footprint(const IterationSpace& space);
/// count: values per channel.
void backward_on_chip(IterationSpace space, const on_chip::Placement& placement, std::int64_t count,
                      const float* x, const float* dy, const float* gamma, const float* mean,
                      const float* inv_std, float* dx, float* dgamma, float* dbeta, void* workspace,
                      const Stream& stream);

}  // namespace bntrain::kernels
