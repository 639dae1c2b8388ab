// Which batch norm kernels run: by shape and device.
//
//   cluster     a group of channels (channels first: one) is held on chip by a cluster of 1 to 16 blocks; one
//               block where there are no clusters. S bytes of tensor: forward 2 S, backward 3 S
//   persistent  the same by the multiprocessors together, group after group, with a barrier of the grid in
//               each. 2 S, 3 S
//   l2_groups   as plain, but as many groups at a time as half the L2 cache holds: the second reading comes
//               from there. 2 S, 3 S from memory
//   plain       the whole tensor, twice. 3 S, 5 S
//
// All give the same bits, so the choice is only about speed. It has not been measured: the rules below follow
// from bytes, and each is one line to change. Tiny channels are no case of their own: a block a channel is
// what the plain kernels give them too, in three launches.
#include "kernels/batch_norm/placement.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/batch_norm/launch.cuh"

namespace bntrain::kernels {

namespace on_chip {

std::int64_t Footprint::shared_bytes(const Walk& walk, std::int64_t chunks) const {
  // As on_chip_kernel() carves it, with value_bytes for a type.
  const auto carved = [](std::int64_t bytes) { return simt::carved_bytes<unsigned char>(bytes); };
  const std::int64_t owners = walk.group_channels();
  const std::int64_t values = chunks * walk.chunk_packs * walk.columns * walk.width;
  return carved(tensors * values * value_bytes) + carved(chunks * owners * part_bytes) +
         carved(owners * constants_bytes) + carved(kNormWarps * owners * 2 * std::int64_t{sizeof(double)});
}

LaunchConfig Placement::config(const char* name) const {
  return {.name = name,
          .grid = blocks(),
          .block = NormTuning::kThreads,
          .cluster = team.cooperative ? 1 : team.size,
          .cooperative = team.cooperative,
          .shared_bytes = shared_bytes};
}

}  // namespace on_chip

namespace {

using on_chip::Footprint;
using on_chip::Placement;

constexpr std::int64_t kSystemBytes = 1024;  // what the system takes of each block's shared memory
// y goes through the cache as well, and what is read moves in as long as the kernel runs.
constexpr std::int64_t kL2Share = 2;
// Below that a kernel is over before all multiprocessors are busy, and there are three for each part.
constexpr std::int64_t kSmallestL2Part = 8 * 1024 * 1024;

std::int64_t divided_up(std::int64_t size, std::int64_t part) {
  return (size + part - 1) / part;
}

std::int64_t group_bytes(const Walk& walk, const Footprint& f) {
  return walk.packs * walk.columns * walk.width * f.tensors * f.value_bytes;
}

/// How many blocks the device holds at once.
int resident(const Placement& placement, const Footprint& f, const Stream& stream) {
  return co_resident_blocks(f.kernel, placement.config("batch_norm"), stream);
}

Placement place_cluster(const Walk& walk, const Footprint& f, const Stream& stream) {
  const DeviceLimits device = device_limits(stream);
  const int largest = device.compute_capability >= 90 ? NormTuning::kLargestCluster : 1;
  const auto placed = [&](int size) {
    const auto chunks = static_cast<int>(divided_up(walk.chunks, size));
    return Placement{{size, chunks, false}, walk.groups, f.shared_bytes(walk, chunks)};
  };
  // Two blocks on a multiprocessor: one reads while the other writes. Else at least one.
  const std::int64_t half = (device.shared_bytes_a_block + kSystemBytes) / 2 - kSystemBytes;
  for (const std::int64_t most : {half, device.shared_bytes_a_block})
    for (int size = 1; size <= largest; size *= 2) {
      Placement placement = placed(size);
      if (placement.shared_bytes > most || resident(placement, f, stream) < size) continue;
      // More blocks while there are idle multiprocessors and chunks.
      while (2 * size <= largest && walk.groups * size < device.multiprocessors && walk.chunks >= 2 * size &&
             resident(placed(2 * size), f, stream) >= 2 * size)
        placement = placed(size *= 2);
      if (stream.max_blocks > 0)
        placement.teams = std::min<std::int64_t>(placement.teams, stream.max_blocks / size);
      return placement;
    }
  return {};
}

Placement place_persistent(const Walk& walk, const Footprint& f, const Stream& stream) {
  const std::int64_t most = device_limits(stream).shared_bytes_a_block;
  Placement placement{{1, 1, true}, 1, 0};
  const auto hold = [&](std::int64_t chunks) {
    placement.team.chunks = static_cast<int>(chunks);
    placement.team.size = static_cast<int>(divided_up(walk.chunks, chunks));
    placement.shared_bytes = f.shared_bytes(walk, chunks);
  };
  // As many chunks as a block can have, which gives the most teams.
  hold(1);
  if (placement.shared_bytes > most) return {};
  std::int64_t chunks = std::min(walk.chunks, most / placement.shared_bytes);
  while (chunks < walk.chunks && f.shared_bytes(walk, chunks + 1) <= most) ++chunks;
  hold(chunks);
  const int blocks = resident(placement, f, stream);
  if (blocks < placement.team.size) return {};
  // No more teams than the number of steps needs, and what is left makes them larger.
  const std::int64_t steps = divided_up(walk.groups, blocks / placement.team.size);
  placement.teams = divided_up(walk.groups, steps);
  hold(divided_up(walk.chunks, std::min(walk.chunks, blocks / placement.teams)));
  return placement;
}

/// Groups that half the cache holds.
std::int64_t l2_groups(const Walk& walk, const Footprint& f, const Stream& stream) {
  return std::min(walk.groups, device_limits(stream).l2_bytes / kL2Share / group_bytes(walk, f));
}

}  // namespace

const char* to_string(NormVariant variant) {
  switch (variant) {
    case NormVariant::automatic:
      return "automatic";
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

Choice choose(const char* name, const Walk& walk, const Footprint& f, NormVariant wanted,
              const Stream& stream) {
  const bool any = wanted == NormVariant::automatic;
  if (any || wanted == NormVariant::cluster) {
    Choice cluster{NormVariant::cluster, place_cluster(walk, f, stream)};
    // Few channels leave multiprocessors idle that the other way has a use for.
    if (any && cluster.placement.blocks() < device_limits(stream).multiprocessors / 2) {
      const Choice persistent{NormVariant::persistent, place_persistent(walk, f, stream)};
      if (persistent.placement.blocks() > cluster.placement.blocks()) return persistent;
    }
    if (cluster.placement.teams > 0) return cluster;
    require(any, name,
            "a cluster of blocks cannot hold a channel (a group of channels) of this shape on chip");
  }
  if (wanted == NormVariant::persistent) {
    const Choice persistent{NormVariant::persistent, place_persistent(walk, f, stream)};
    require(persistent.placement.teams > 0, name,
            "the device cannot hold a channel (a group of channels) of this shape on chip");
    return persistent;
  }
  const std::int64_t cached = l2_groups(walk, f, stream);
  if (wanted == NormVariant::l2_groups || (any && cached * group_bytes(walk, f) >= kSmallestL2Part)) {
    require(cached > 0, name, "half the L2 cache cannot hold a channel (a group of channels) of this shape");
    // All of them at a time is what plain does.
    if (!any || cached < walk.groups) return {NormVariant::l2_groups, {}, cached};
  }
  return {NormVariant::plain, {}, walk.groups};
}

NormVariant batch_norm_variant(NormPass pass, const NormShape& shape, const Stream& stream) {
  constexpr const char* kName = "batch_norm_variant";
  if (!norm_work(kName, shape, {})) return NormVariant::plain;
  const Walk walk = norm_walk<float>(shape);
  const Footprint f = pass == NormPass::forward ? forward_footprint(walk) : backward_footprint(walk);
  return choose(kName, walk, f, NormVariant::automatic, stream).variant;
}

}  // namespace bntrain::kernels
