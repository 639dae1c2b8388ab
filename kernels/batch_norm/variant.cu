// Which batch norm kernels run, by shape and device alone, so that a run can be repeated bit for bit. Bytes
// moved forward and backward, for S bytes of tensor:
//
//   naive       4 S, 5 S: one block per channel (naive.cu). Never chosen automatically
//   resident    2 S, 3 S: a channel stays in the registers of a cluster of blocks, in one launch. On an H200,
//   hot,
//               256 x 20 x 24 x 24 takes 7.4 and 9.1 us where the kernel that kept it in shared memory and
//               merged moments in fp64 took 20.7 and 26; 32 x 512 x 7 x 7 4.4 and 3.8 for 13.3 and 13.6
//   persistent  2 S, 3 S: all multiprocessors together keep group after group on chip, with a barrier of the
//               grid for each
//   l2_groups   2 S, 3 S from memory: plain, for as many groups of channels at a time as half the L2 cache
//               holds, from which the second reading comes
//   plain       3 S, 5 S: x is read twice, and so is dy; for every shape and device
#include "kernels/batch_norm/placement.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/measured_tuning.hpp"

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

/// Resident where a cluster holds a channel, else plain.
Choice choose_resident(NormPass pass, const NormShape& shape, const Stream& stream) {
  Choice choice{.variant = NormVariant::resident, .resident = resident_space(shape, simt::Vec<float>::kSize)};
  const DeviceLimits device = device_limits(stream);
  choice.tuning = measured_tuning(pass, shape, device);
  if (choice.tuning.vectors == 0) choice.tuning = resident_tuning(choice.resident, device);
  if (choice.tuning.vectors == 0) return {};
  choice.resident = tuned(choice.resident, choice.tuning);
  const auto fits = pass == NormPass::forward ? resident_forward_fits : resident_backward_fits;
  return fits(choice.resident, choice.tuning, stream) ? choice : Choice{};
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
    case NormVariant::resident:
      return "resident";
    case NormVariant::persistent:
      return "persistent";
    case NormVariant::l2_groups:
      return "l2_groups";
  }
  return "";
}

Choice choose(const char* name, NormPass pass, const NormShape& shape, NormVariant wanted,
              const Stream& stream) {
  const IterationSpace space = norm_space<float>(shape);
  if (wanted == NormVariant::naive) return {.variant = NormVariant::naive};
  const bool any = wanted == NormVariant::automatic;
  if (any || wanted == NormVariant::resident) {
    const Choice resident = choose_resident(pass, shape, stream);
    if (resident.variant == NormVariant::resident) return resident;
    require(any, name,
            "the registers of a cluster cannot hold a channel (a group of channels) of this shape");
  }
  const Footprint f = pass == NormPass::forward ? forward_footprint(space) : backward_footprint(space);
  if (any) {
    const Choice persistent{.variant = NormVariant::persistent,
                            .placement = place_persistent(space, f, stream)};
    if (persistent.placement.block_groups > 0) return persistent;
  }
  if (wanted == NormVariant::persistent) {
    const Choice persistent{.variant = NormVariant::persistent,
                            .placement = place_persistent(space, f, stream)};
    require(persistent.placement.block_groups > 0, name,
            "the device cannot hold a channel (a group of channels) of this shape on chip");
    return persistent;
  }
  const std::int64_t cached = l2_groups(space, f, stream);
  if (wanted == NormVariant::l2_groups || (any && cached * group_bytes(space, f) >= kSmallestL2Part)) {
    require(cached > 0, name, "half the L2 cache cannot hold a channel (a group of channels) of this shape");
    // All groups at a time is what plain does.
    if (!any || cached < space.groups) return {.variant = NormVariant::l2_groups, .groups = cached};
  }
  return {.groups = space.groups};
}

NormVariant batch_norm_variant(NormPass pass, const NormShape& shape, const Stream& stream) {
  constexpr const char* kName = "batch_norm_variant";
  if (!norm_work(kName, shape, {})) return NormVariant::plain;
  return choose(kName, pass, shape, NormVariant::automatic, stream).variant;
}

}  // namespace bntrain::kernels
