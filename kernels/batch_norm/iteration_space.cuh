// How the batch norm kernels walk over a tensor: one way for every layout and every variant.
//
// A pack is what a thread reads at once: 16 bytes where the shape allows, else one value. The packs of a
// channel lie in lines of neighbours, with a jump from line to line:
//   channels first    line = spatial / pack       jump = channels * spatial
//   channels last     line = 1                    jump = channels        (a pack spans several channels)
// A block takes one chunk of the packs of one group of channels at a time. It stands as `columns` (powers of
// two) side by side, one pack of channels each, times 256 / columns rows; channels first has one column. In a
// chunk, a thread reads a few runs of kRun packs. Groups, chunks and who reads what depend on the shape
// alone: not on the grid, nor on how pointers are aligned, nor on which variant runs. That is why they all
// give the same bits.
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {

struct NormTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksAMultiprocessor = 8;
  static constexpr int kRun = 8;  ///< packs in flight in a thread
  static constexpr int kMaxColumns = simt::kWarpSize;

  // A chunk: so many values, 32 a thread, and of each channel at least so many, as every chunk leaves a part
  // to merge.
  static constexpr std::int64_t kChunkValues = 8192;
  static constexpr std::int64_t kChunkRows = 256;
  static constexpr int kLargestCluster = 16;              ///< blocks
  static constexpr std::int64_t kClusterChunks = 16 * 7;  ///< that it can hold

  // Channels last, a group's width in bytes: whole sectors, better whole cache lines; and the bytes of a
  // group. Below kClusterGroup clusters of eight blocks hold x and dy on chip two to a multiprocessor; up to
  // kLargestClusterGroup one of sixteen does at all, and up to kChipGroup the multiprocessors of a large
  // device together.
  static constexpr std::int64_t kSector = 32, kLine = 128;
  static constexpr std::int64_t kClusterGroup = 512 * 1024;
  static constexpr std::int64_t kLargestClusterGroup = 1792 * 1024;
  static constexpr std::int64_t kChipGroup = 12 * 1024 * 1024;
  static constexpr std::int64_t kGroups = 32;  ///< rather than fewer and wider ones
};

inline constexpr int kNormWarps = NormTuning::kThreads / simt::kWarpSize;

/// What a pack holds: one value, values of one channel, one value each of neighbouring channels.
enum class Packing { single, one_channel, many_channels };

struct Walk {
  std::int64_t channels, packs;  ///< packs of each channel
  std::int64_t line, jump;       ///< packs of a line; elements from line to line
  std::int64_t channel_stride;   ///< elements from channel to channel
  std::int64_t first_group = 0;  ///< of a walk over some of the groups
  std::int64_t groups, chunks, chunk_packs;
  std::int64_t step_lines, step_columns;  ///< one step of a thread, by 256 / columns packs
  int columns;
  int width, pack_channels;  ///< values of a pack, and of how many channels
  Packing packing;
  bool aligned;  ///< the tensors lie on 16 bytes; launchers know

  SIMT_HOST_DEVICE std::int64_t items() const { return groups * chunks; }
  SIMT_HOST_DEVICE int rows() const { return NormTuning::kThreads / columns; }
  SIMT_HOST_DEVICE int group_channels() const { return columns * pack_channels; }
  /// The channels of its groups: [first, end).
  SIMT_HOST_DEVICE std::int64_t first_channel() const { return first_group * group_channels(); }
  SIMT_HOST_DEVICE std::int64_t end_channel() const {
    const std::int64_t end = (first_group + groups) * group_channels();
    return end < channels ? end : channels;
  }
};

/// How many columns groups of a channels-last tensor have. Wide ones read well, narrow ones fit on chip.
/// `values` a channel, `width` bytes of a pack, `packs` of a row.
inline int columns_of(std::int64_t values, std::int64_t width, std::int64_t packs) {
  using Tuning = NormTuning;
  int widest = 1;
  while (widest < Tuning::kMaxColumns && widest < packs) widest *= 2;
  const auto narrowed = [&](std::int64_t narrowest, std::int64_t most) {
    int columns = widest;
    while (columns > 1 && columns * width > narrowest && values * columns * width > most) columns /= 2;
    return columns;
  };
  const std::int64_t part = values * packs * width / Tuning::kGroups;
  const int cluster = narrowed(Tuning::kSector, part < Tuning::kClusterGroup ? part : Tuning::kClusterGroup);
  if (values * cluster * width <= Tuning::kLargestClusterGroup) return cluster;
  const int chip = narrowed(Tuning::kLine, Tuning::kChipGroup);
  return values * chip * width <= Tuning::kChipGroup ? chip : widest;
}

/// `size` values fill 16 bytes. The shape has no zero.
inline Walk make_walk(const NormShape& shape, int size) {
  const std::int64_t values = shape.batch * shape.spatial;
  // One channel is one line in every layout, and channels first without pixels is channels last.
  const bool whole = shape.channels == 1;
  const bool last = !whole && (shape.layout == Layout::channels_last || shape.spatial == 1);
  const std::int64_t line = whole ? values : last ? 1 : shape.spatial;
  Walk walk{};
  walk.packing = last ? Packing::many_channels : Packing::one_channel;
  if ((last ? shape.channels : line) % size != 0) walk.packing = Packing::single;
  walk.width = walk.packing == Packing::single ? 1 : size;
  walk.pack_channels = walk.packing == Packing::many_channels ? size : 1;
  const int of_a_channel = walk.width / walk.pack_channels;
  const auto parts = [](std::int64_t whole_size, std::int64_t part) {
    return (whole_size + part - 1) / part;
  };
  walk.columns =
      last ? columns_of(values, simt::kVecBytes / size * walk.width, shape.channels / walk.pack_channels) : 1;
  walk.channels = shape.channels;
  walk.packs = values / of_a_channel;
  walk.line = line / of_a_channel;
  walk.jump = shape.channels * line;
  walk.channel_stride = line;
  walk.groups = parts(shape.channels, walk.group_channels());
  // So many chunks that the blocks of a cluster, of which each has several, share them evenly. Of more than
  // it can hold, as few as possible.
  const std::int64_t run = static_cast<std::int64_t>(NormTuning::kRun) * walk.rows();
  const std::int64_t runs = parts(NormTuning::kChunkValues, run * walk.columns * walk.width);
  const std::int64_t more_runs = parts(NormTuning::kChunkRows, run * of_a_channel);
  const std::int64_t needed = parts(walk.packs, run * (runs > more_runs ? runs : more_runs));
  std::int64_t shares = 1;
  while (shares < NormTuning::kLargestCluster && shares * 4 <= needed) shares *= 2;
  if (needed > NormTuning::kClusterChunks) shares = 1;
  const std::int64_t warp_rows = walk.columns < simt::kWarpSize ? simt::kWarpSize / walk.columns : 1;
  walk.chunk_packs = parts(parts(walk.packs, parts(needed, shares) * shares), warp_rows) * warp_rows;
  walk.chunks = parts(walk.packs, walk.chunk_packs);
  walk.step_lines = walk.rows() / walk.line;
  walk.step_columns = walk.rows() % walk.line;
  return walk;
}

/// One item of a block's work. kWidth: values of a pack, kChannels: channels of a pack, one of them is 1 or
/// they are equal.
template <int kWidth, int kChannels>
struct Chunk {
  std::int64_t index, group, begin, end;  ///< packs [begin, end)

  SIMT_DEVICE Chunk(const Walk& walk, std::int64_t chunk, std::int64_t chunk_group)
      : index(chunk), group(chunk_group), begin(chunk * walk.chunk_packs) {
    end = begin + walk.chunk_packs < walk.packs ? begin + walk.chunk_packs : walk.packs;
  }
  SIMT_DEVICE Chunk(const Walk& walk, std::int64_t item)
      : Chunk(walk, item / walk.groups, walk.first_group + item % walk.groups) {}
  /// Values of each channel.
  SIMT_DEVICE std::int64_t count() const { return (end - begin) * (kWidth / kChannels); }
  /// The channel that this thread owns when sums have been made, -1 if it has none.
  SIMT_DEVICE std::int64_t owned(const Walk& walk) const {
    const int owners = walk.columns * kChannels;
    const std::int64_t channel = group * owners + simt::thread_index();
    return simt::thread_index() < owners && channel < walk.channels ? channel : -1;
  }
  /// Where the chunk's first value of a channel is.
  SIMT_DEVICE std::int64_t first(const Walk& walk, std::int64_t channel) const {
    const std::int64_t row = begin / walk.line;
    return channel * walk.channel_stride + row * walk.jump + (begin - row * walk.line) * kWidth;
  }
};

/// Where a thread is in a chunk. 64-bit divisions happen once, not in every step.
template <int kWidth, int kChannels>
struct Cursor {
  std::int64_t channel;  ///< of the pack's first value
  std::int64_t pack, end, line, column;

  SIMT_DEVICE Cursor(const Walk& walk, const Chunk<kWidth, kChannels>& chunk) {
    channel = (chunk.group * walk.columns + simt::thread_index() % walk.columns) * kChannels;
    pack = chunk.begin + simt::thread_index() / walk.columns;
    end = channel < walk.channels ? chunk.end : 0;
    line = pack / walk.line;
    column = pack - line * walk.line;
  }
  SIMT_DEVICE bool more() const { return pack < end; }
  SIMT_DEVICE std::int64_t offset(const Walk& walk) const {
    return channel * walk.channel_stride + line * walk.jump + column * kWidth;
  }
  SIMT_DEVICE void next(const Walk& walk) {
    pack += walk.rows();
    line += walk.step_lines;
    column += walk.step_columns;
    if (column >= walk.line) {
      column -= walk.line;
      ++line;
    }
  }
};

}  // namespace bntrain::kernels
