// Which batch norm kernels run, and where: the host's side of the variants.
#pragma once

#include "kernels/batch_norm/iteration_space.cuh"
#include "kernels/simt/launch.hpp"

namespace bntrain::kernels {

namespace on_chip {

/// The blocks that hold a group of channels together.
struct Team {
  int size = 1;
  int chunks = 0;            ///< of a block; the last ones may have fewer
  bool cooperative = false;  ///< a share of a cooperative grid, else a cluster
};

/// A kernel that keeps `tensors` tensors on chip, and the bytes of what it keeps in shared memory.
struct Footprint {
  const void* kernel;
  int tensors;
  std::int64_t value_bytes, part_bytes, constants_bytes;

  /// Of a block that holds so many chunks.
  std::int64_t shared_bytes(const Walk& walk, std::int64_t chunks) const;
};

/// Teams side by side.
struct Placement {
  Team team;
  std::int64_t teams = 0;  ///< 0: the kernel does not fit
  std::int64_t shared_bytes = 0;

  std::int64_t blocks() const { return teams * team.size; }
  LaunchConfig config(const char* name) const;
};

}  // namespace on_chip

struct Choice {
  NormVariant variant = NormVariant::plain;
  on_chip::Placement placement;  ///< of cluster and persistent
  std::int64_t groups = 0;       ///< that plain and l2_groups do at a time
};

/// `wanted`, or for automatic what serves best. Throws std::invalid_argument("<name>: ...") where `wanted`
/// cannot serve the walk on this device.
Choice choose(const char* name, const Walk& walk, const on_chip::Footprint& footprint, NormVariant wanted,
              const Stream& stream);

// The kernels that keep tensors on chip: batch_norm_forward() and batch_norm_backward() in one launch.

struct StatisticsOutput;

on_chip::Footprint forward_footprint(const Walk& walk);
void forward_on_chip(Walk walk, const on_chip::Placement& placement, const float* x, const float* gamma,
                     const float* beta, float* y, const StatisticsOutput& output, void* workspace,
                     const Stream& stream);

on_chip::Footprint backward_footprint(const Walk& walk);
/// count: values of a channel.
void backward_on_chip(Walk walk, const on_chip::Placement& placement, std::int64_t count, const float* x,
                      const float* dy, const float* gamma, const float* mean, const float* invstd, float* dx,
                      float* dgamma, float* dbeta, void* workspace, const Stream& stream);

}  // namespace bntrain::kernels
