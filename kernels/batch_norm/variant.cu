// Which batch norm kernels run, by shape and device. Bytes moved forward and backward, for S bytes of tensor:
//
//   naive       4 S, 5 S: one block per channel (naive.cu). Never chosen automatically
//   plain       3 S, 5 S: x is read twice, and so is dy
//   l2_groups   2 S, 3 S from memory: plain, for as many groups of channels at a time as half the L2 cache
//               holds, from which the second reading comes
//   cluster     2 S, 3 S: a group of channels (channels first: one channel) is kept on chip by a cluster of 1
//               to 16 blocks, by one block where there are no clusters
//   persistent  2 S, 3 S: all multiprocessors together keep group after group on chip, with a barrier of the
//               grid for each
//
// All but naive give the same bits, so the choice is only about speed. It has not been measured: the rules
// below follow from bytes, and each is one line to change. Tiny channels are no special case: one block per
// channel is what plain gives them too, in three launches.
#include "kernels/batch_norm/placement.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/batch_norm/launch.cuh"

namespace bntrain::kernels {

namespace on_chip {

std::int64_t Footprint::shared_bytes(const IterationSpace& space, std::int64_t chunks) const {
  // As on_chip_kernel() carves it, with byte counts in place of types.
  const auto carved = [](std::int64_t bytes) { return simt::carved_bytes<unsigned char>(bytes); };
  const std::int64_t owners = space.group_channels();
  const std::int64_t values = chunks * space.chunk_vectors * space.block_columns * space.width;
  return carved(tensors * values * value_bytes) + carved(chunks * owners * part_bytes) +
         carved(owners * constants_bytes) + carved(kNormWarps * owners * 2 * std::int64_t{sizeof(double)});
}

LaunchConfig Placement::config(const char* name) const {
  return {.name = name,
          .grid = blocks(),
          .block = NormTuning::kThreads,
          .cluster = block_group.cooperative ? 1 : block_group.size,
          .cooperative = block_group.cooperative,
          .shared_bytes = shared_bytes};
}

}  // namespace on_chip

namespace {

using on_chip::Footprint;
using on_chip::Placement;

constexpr std::int64_t kSystemBytes = 1024;  // reserved by CUDA in the shared memory of each block
// The other half is for y, which is written through the cache, and for what is read next.
constexpr std::int64_t kL2Share = 2;
// With fewer bytes at a time a kernel ends before all multiprocessors are busy, and each part takes three.
constexpr std::int64_t kSmallestL2Part = 8 * 1024 * 1024;

std::int64_t divided_up(std::int64_t size, std::int64_t part) {
  return (size + part - 1) / part;
}

std::int64_t group_bytes(const IterationSpace& space, const Footprint& f) {
  return space.vectors * space.block_columns * space.width * f.tensors * f.value_bytes;
}

/// How many blocks can be resident on the device.
int resident(const Placement& placement, const Footprint& f, const Stream& stream) {
  return co_resident_blocks(f.kernel, placement.config("batch_norm"), stream);
}

Placement place_cluster(const IterationSpace& space, const Footprint& f, const Stream& stream) {
  const DeviceLimits device = device_limits(stream);
  const int largest = device.compute_capability >= 90 ? NormTuning::kLargestCluster : 1;
  const auto placed = [&](int size) {
    const auto chunks = static_cast<int>(divided_up(space.chunks, size));
    return Placement{{size, chunks, false}, space.groups, f.shared_bytes(space, chunks)};
  };
  // Two blocks per multiprocessor, so that one reads while the other writes; else at least one.
  const std::int64_t half = (device.shared_bytes_per_block + kSystemBytes) / 2 - kSystemBytes;
  for (const std::int64_t most : {half, device.shared_bytes_per_block})
    for (int size = 1; size <= largest; size *= 2) {
      Placement placement = placed(size);
      if (placement.shared_bytes > most || resident(placement, f, stream) < size) continue;
      // More blocks while there are idle multiprocessors, and chunks for them.
      while (2 * size <= largest && space.groups * size < device.multiprocessors &&
             space.chunks >= 2 * size && resident(placed(2 * size), f, stream) >= 2 * size)
        placement = placed(size *= 2);
      if (stream.max_blocks > 0)
        placement.block_groups = std::min<std::int64_t>(placement.block_groups, stream.max_blocks / size);
      return placement;
    }
  return {};
}

Placement place_persistent(const IterationSpace& space, const Footprint& f, const Stream& stream) {
  const std::int64_t most = device_limits(stream).shared_bytes_per_block;
  Placement placement{{1, 1, true}, 1, 0};
  const auto hold = [&](std::int64_t chunks) {
    placement.block_group.chunks = static_cast<int>(chunks);
    placement.block_group.size = static_cast<int>(divided_up(space.chunks, chunks));
    placement.shared_bytes = f.shared_bytes(space, chunks);
  };
  // As many chunks as a block can hold, which gives the most block groups.
  hold(1);
  if (placement.shared_bytes > most) return {};
  std::int64_t chunks = std::min(space.chunks, most / placement.shared_bytes);
  while (chunks < space.chunks && f.shared_bytes(space, chunks + 1) <= most) ++chunks;
  hold(chunks);
  const int blocks = resident(placement, f, stream);
  if (blocks < placement.block_group.size) return {};
  // No more block groups than this number of iterations needs; the remaining blocks make them larger.
  const std::int64_t iterations = divided_up(space.groups, blocks / placement.block_group.size);
  placement.block_groups = divided_up(space.groups, iterations);
  hold(divided_up(space.chunks, std::min(space.chunks, blocks / placement.block_groups)));
  return placement;
}

/// Groups of channels that half the L2 cache holds.
std::int64_t l2_groups(const IterationSpace& space, const Footprint& f, const Stream& stream) {
  return std::min(space.groups, device_limits(stream).l2_bytes / kL2Share / group_bytes(space, f));
}

}  // namespace

const char* to_string(NormVariant variant) {
  switch (variant) {
    case NormVariant::automatic:
      return "automatic";
    case NormVariant::naive:
      return "naive";
    case NormVariant::plain:
      return "plain";
    case NormVariant::cluster:
      return "cluster";
    case NormVariant::persistent:
      return "persistent";
    case NormVariant::l2_groups:
      return "l2_groups";
  }
  return "";
}

Choice choose(const char* name, const IterationSpace& space, const Footprint& f, NormVariant wanted,
              const Stream& stream) {
  if (wanted == NormVariant::naive) return {NormVariant::naive, {}, space.groups};
  const bool any = wanted == NormVariant::automatic;
  if (any || wanted == NormVariant::cluster) {
    Choice cluster{NormVariant::cluster, place_cluster(space, f, stream)};
    // With few channels clusters leave multiprocessors idle that the persistent kernel uses.
    if (any && cluster.placement.blocks() < device_limits(stream).multiprocessors / 2) {
      const Choice persistent{NormVariant::persistent, place_persistent(space, f, stream)};
      if (persistent.placement.blocks() > cluster.placement.blocks()) return persistent;
    }
    if (cluster.placement.block_groups > 0) return cluster;
    require(any, name,
            "a cluster of blocks cannot hold a channel (a group of channels) of this shape on chip");
  }
  if (wanted == NormVariant::persistent) {
    const Choice persistent{NormVariant::persistent, place_persistent(space, f, stream)};
    require(persistent.placement.block_groups > 0, name,
            "the device cannot hold a channel (a group of channels) of this shape on chip");
    return persistent;
  }
  const std::int64_t cached = l2_groups(space, f, stream);
  if (wanted == NormVariant::l2_groups || (any && cached * group_bytes(space, f) >= kSmallestL2Part)) {
    require(cached > 0, name, "half the L2 cache cannot hold a channel (a group of channels) of this shape");
    // All groups at a time is what plain does.
    if (!any || cached < space.groups) return {NormVariant::l2_groups, {}, cached};
  }
  return {NormVariant::plain, {}, space.groups};
}

NormVariant batch_norm_variant(NormPass pass, const NormShape& shape, const Stream& stream) {
  constexpr const char* kName = "batch_norm_variant";
  if (!norm_work(kName, shape, {})) return NormVariant::plain;
  const IterationSpace space = norm_space<float>(shape);
  const Footprint f = pass == NormPass::forward ? forward_footprint(space) : backward_footprint(space);
  return choose(kName, space, f, NormVariant::automatic, stream).variant;
}

}  // namespace bntrain::kernels
