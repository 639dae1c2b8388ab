// Which streamed kernel serves a shape, in which grid.
#include "kernels/batch_norm/streamed.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

namespace bntrain::kernels::streamed {
namespace {

constexpr std::int64_t kMostVectors = std::int64_t{1} << 31;  // FastDivision, 32-bit offsets
constexpr int kWarps = Tuning::kThreads / simt::kWarpSize;
constexpr int kPair = 2 * sizeof(double);

std::int64_t divided_up(std::int64_t size, std::int64_t part) {
  return (size + part - 1) / part;
}

/// The shape in vectors of `width` values, in the layout that the kernels see.
struct Vectors {
  std::int64_t values, channels, total;  ///< values: per channel
  int width;
  bool last;

  Vectors(const NormShape& shape, int value_bytes)
      : values(shape.batch * shape.spatial),
        channels(shape.channels),
        total(values * channels / (simt::kVecBytes / value_bytes)),
        width(simt::kVecBytes / value_bytes),
        // One channel is one row in every layout, and (N, C) is channels last.
        last(channels > 1 && (shape.layout == Layout::channels_last || shape.spatial == 1)) {}

  bool fit_whole() const {
    return last && channels <= Tuning::kMaxStripChannels && values * channels % width == 0 &&
           total < kMostVectors;
  }
  bool fit_strips(const NormShape& shape) const {
    const std::int64_t row = last ? channels : channels == 1 ? values : shape.spatial;
    return row % width == 0 && total < kMostVectors && (!last || columns(Tuning::kRowBytes) > 0);
  }
  /// Vectors of a strip's row of `bytes`; all of a short row; 0 where rows cannot be divided like that.
  int columns(std::int64_t bytes) const {
    const std::int64_t wanted = bytes / simt::kVecBytes, row = channels / width;
    if (row % wanted == 0) return static_cast<int>(wanted);
    return row * width <= Tuning::kMaxStripChannels
               ? static_cast<int>(std::bit_ceil(static_cast<std::uint64_t>(row)))
               : 0;
  }
};

Strips make_strips(const Vectors& v, const NormShape& shape, int columns) {
  Strips strips;
  strips.channels = static_cast<int>(v.channels);
  strips.columns = columns;
  if (v.last) {
    strips.strip_channels = columns * v.width;
    strips.rows = static_cast<std::uint32_t>(v.values);
    strips.row_step = static_cast<std::uint32_t>(v.channels / v.width);
    strips.strip_step = static_cast<std::uint32_t>(columns);
    strips.origin_step = 1;
  } else {
    const std::int64_t row = v.channels == 1 ? v.values : shape.spatial;
    const auto plane = static_cast<std::uint32_t>(row / v.width);
    strips.strip_channels = 1;
    strips.rows = static_cast<std::uint32_t>(v.values / v.width);
    strips.row_step = 1;
    strips.plane = fast_division(plane);
    strips.plane_skip = plane * static_cast<std::uint32_t>(v.channels - 1);
    strips.strip_step = plane;
    strips.origin_step = static_cast<std::uint32_t>(row);
  }
  strips.strips = static_cast<int>(divided_up(v.channels, strips.strip_channels));
  return strips;
}

/// How many groups of blocks share the strips. in_registers, on_chip: blocks that keep a strip in their
/// registers, and in registers and ring.
int block_groups(int strips, std::int64_t blocks, std::int64_t in_registers, std::int64_t on_chip) {
  // As many as leave the ring free to run ahead, so that exchanges are hidden; of these the number that
  // leaves the fewest groups idle at the end.
  int best = 1;
  std::int64_t fewest = std::numeric_limits<std::int64_t>::max();
  const std::int64_t most = std::min<std::int64_t>({strips, blocks / in_registers, Tuning::kMaxGroups});
  for (int count = 2; count <= most; ++count) {
    const std::int64_t slots = divided_up(strips, count) * count;
    if (slots > fewest) continue;
    fewest = slots;
    best = count;
  }
  if (best > 1) return best;
  // Two, where half of the blocks still keep half of a strip: 606 to 500 us for 256x64x112x112, measured on
  // an H200. With less kept, what is read twice no longer comes from the L2 cache.
  return (strips % 2 == 0 || strips > 8) && blocks > 1 && blocks / 2 * 2 >= on_chip ? 2 : 1;
}

/// The kernel with the instance's slots, if the device can hold it.
Placement place_strips(const Kernels& kernels, const Vectors& v, const NormShape& shape, int columns,
                       int instance, const Stream& stream) {
  const int slots = instance == 0 ? Tuning::kSlots : Tuning::kFewSlots;
  Placement placement;
  Strips& strips = placement.strips = make_strips(v, shape, columns);
  const auto carved = [](std::int64_t bytes) { return simt::carved_bytes<unsigned char>(bytes); };
  constexpr std::int64_t kSlotBytes = Tuning::kSlotVectors * Tuning::kThreads * simt::kVecBytes;
  placement.kernel = v.last ? Placement::Kernel::strips_last : Placement::Kernel::strips_first;
  placement.instance = instance;
  placement.config = {.name = kernels.name,
                      .grid = 0,
                      .block = Tuning::kThreads,
                      .cooperative = true,
                      .shared_bytes = carved(slots * kSlotBytes) +
                                      carved(std::int64_t{kWarps} * strips.strip_channels * kPair) +
                                      carved(std::int64_t{strips.strip_channels} * kernels.constants_bytes) +
                                      carved(std::int64_t{strips.strip_channels} * 4)};
  const void* kernel = kernels.by_kernel[static_cast<int>(placement.kernel)][instance];
  // One on each multiprocessor, which its registers fill.
  const std::int64_t blocks =
      std::min<std::int64_t>({co_resident_blocks(kernel, placement.config, stream),
                              device_limits(stream).multiprocessors, Tuning::kMaxBlocks});
  if (blocks == 0) return placement;
  // Of the bytes in a row's columns some may belong to no channel.
  const std::int64_t row_vectors = v.last ? std::min<std::int64_t>(columns, v.channels / v.width) : 1;
  const std::int64_t batch_bytes = kSlotBytes * row_vectors / columns;
  const std::int64_t kept = Tuning::kept(v.last ? v.width : 1), held = slots - Tuning::kAhead;
  const std::int64_t strip_bytes = strips.rows * row_vectors * simt::kVecBytes * kernels.inputs;
  strips.groups = block_groups(strips.strips, blocks, divided_up(strip_bytes, kept * batch_bytes),
                               divided_up(strip_bytes, (kept + held) * batch_bytes));
  const std::int64_t tiles = divided_up(strips.rows, Tuning::kThreads / columns);
  placement.config.grid = std::min(blocks, tiles * strips.groups);
  const std::int64_t group_blocks = divided_up(placement.config.grid, strips.groups);
  placement.messages = strips.groups * Exchange::messages(strips.strip_channels, group_blocks);
  placement.kept_bytes =
      std::min(strip_bytes, placement.config.grid / strips.groups * (kept + held) * batch_bytes);
  // Half of the L2 cache for what is read again, the other for what is written and for what comes next.
  strips.cached = static_cast<int>(std::min<std::int64_t>(
      device_limits(stream).l2_bytes / 2 / (kSlotBytes * placement.config.grid), 1 << 20));
  return placement;
}

/// The whole tensor in registers by at most `vectors` of a thread; as few threads as that allows.
Placement place_whole(const Kernels& kernels, const Vectors& v, int instance, const Stream& stream) {
  const int vectors = Tuning::vectors(instance, v.width);
  Placement placement;
  placement.kernel = Placement::Kernel::whole;
  placement.instance = instance;
  Whole& whole = placement.whole;
  whole.channels = static_cast<int>(v.channels);
  whole.period = static_cast<int>(v.channels / std::gcd<std::int64_t>(v.channels, v.width));
  whole.vectors = static_cast<std::uint32_t>(v.total);
  const std::int64_t most = std::min<std::int64_t>(device_limits(stream).multiprocessors, Tuning::kMaxBlocks);
  const auto carved = [](std::int64_t bytes) { return simt::carved_bytes<unsigned char>(bytes); };
  // At least two warps for the exchange.
  for (int threads = 64; threads <= Tuning::kMaxThreads; threads += simt::kWarpSize) {
    whole.rows = threads / whole.period;
    if (whole.rows == 0) continue;
    const std::int64_t blocks = divided_up(v.total, std::int64_t{whole.rows} * whole.period * vectors);
    if (blocks > most) continue;
    placement.config = {
        .name = kernels.name,
        .grid = 0,
        .block = threads,
        .cooperative = true,
        .shared_bytes = carved(std::int64_t{kernels.inputs - 1} * vectors * threads * simt::kVecBytes) +
                        carved(std::int64_t{v.width} * threads * kPair) +
                        carved(v.channels * kernels.constants_bytes) + carved(v.channels * 4)};
    const void* kernel = kernels.by_kernel[static_cast<int>(placement.kernel)][instance];
    if (co_resident_blocks(kernel, placement.config, stream) < blocks) continue;
    placement.config.grid = blocks;
    placement.messages = Exchange::messages(v.channels, blocks);
    placement.kept_bytes = v.total * simt::kVecBytes * kernels.inputs;
    return placement;
  }
  return placement;
}

/// The placement where the stream does not limit the blocks.
Placement place_uncapped(const Kernels& kernels, const NormShape& shape, const Stream& stream) {
  const Vectors v(shape, kernels.value_bytes);
  if (v.fit_whole())
    for (const int instance : {0, 1}) {
      const Placement placement = place_whole(kernels, v, instance, stream);
      if (placement.config.grid > 0) return placement;
    }
  if (!v.fit_strips(shape)) return {};
  for (const int instance : {0, 1}) {
    if (!v.last) {
      const Placement placement = place_strips(kernels, v, shape, 1, instance, stream);
      if (placement.config.grid > 0) return placement;
      continue;
    }
    // Wide rows where that costs no second reading, or where they are all there is.
    const int narrow = v.columns(Tuning::kRowBytes), wide = v.columns(Tuning::kWideRowBytes);
    const Placement narrow_placement = place_strips(kernels, v, shape, narrow, instance, stream);
    if (narrow_placement.config.grid == 0) continue;
    if (wide > narrow && wide * v.width <= Tuning::kMaxStripChannels) {
      const Placement placement = place_strips(kernels, v, shape, wide, instance, stream);
      if (placement.config.grid > 0 && (placement.strips.groups > 1 || placement.strips.strips == 1))
        return placement;
    }
    return narrow_placement;
  }
  return {};
}

}  // namespace

Placement place(const Kernels& kernels, const NormShape& shape, const Stream& stream) {
  const Placement placement = place_uncapped(kernels, shape, {stream.handle});
  return stream.max_blocks > 0 && placement.config.grid > stream.max_blocks ? Placement{} : placement;
}

std::int64_t workspace(const NormShape& shape, int value_bytes) {
  const Vectors v(shape, value_bytes);
  if (!v.fit_whole() && !v.fit_strips(shape)) return 0;
  const std::int64_t blocks = std::min<std::int64_t>(Tuning::kMaxBlocks, v.total);
  const std::int64_t groups = std::min<std::int64_t>(Tuning::kMaxGroups, blocks);
  const std::int64_t channels = v.last ? std::min<std::int64_t>(v.channels, Tuning::kMaxStripChannels) : 1;
  // The blocks of a group, rounded up, as Exchange counts their messages; one more for totals.
  const std::int64_t messages = v.last ? channels * (blocks + 2 * groups) : 2 * (blocks + groups);
  return messages * static_cast<std::int64_t>(sizeof(Message));
}

}  // namespace bntrain::kernels::streamed
