// How the plain batch norm kernels walk over a tensor: one way for every layout.
//
// A pack is what a thread reads at once: 16 bytes where the shape allows, else one value. The packs of a
// channel lie in lines of neighbours, with a jump from line to line:
//   channels first    line = spatial / pack       jump = channels * spatial
//   channels last     line = 1                    jump = channels        (a pack spans several channels)
// A block takes one chunk of the packs of one group of channels at a time. It stands as `columns` (powers of
// two) side by side, one pack of channels each, times 256 / columns rows; channels first has one column. In a
// chunk, a thread reads a few runs of kRun packs. Groups, chunks and who reads what depend on the shape
// alone, never on the grid or on how pointers are aligned: that is why results keep their bits.
#pragma once

#include "kernels.hpp"
#include "reduce.cuh"
#include "simt.hpp"

namespace bntrain::kernels {

struct NormTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksAMultiprocessor = 8;
  static constexpr int kRun = 8;             ///< packs in flight in a thread
  static constexpr int kValuesAThread = 32;  ///< of one channel, in a chunk
  static constexpr int kMaxColumns = simt::kWarpSize;
};

/// What a pack holds: one value, values of one channel, one value each of neighbouring channels.
enum class Packing { single, one_channel, many_channels };

struct Walk {
  std::int64_t channels, packs;  ///< packs of each channel
  std::int64_t line, jump;       ///< packs of a line; elements from line to line
  std::int64_t channel_stride;   ///< elements from channel to channel
  std::int64_t groups, chunks, chunk_packs;
  std::int64_t step_lines, step_columns;  ///< one step of a thread, by 256 / columns packs
  int columns;
  Packing packing;
  bool aligned;  ///< the tensors lie on 16 bytes

  SIMT_HOST_DEVICE std::int64_t items() const { return groups * chunks; }
  SIMT_HOST_DEVICE int rows() const { return NormTuning::kThreads / columns; }
};

/// `size` values fill 16 bytes. The shape has no zero.
inline Walk make_walk(const NormShape& shape, int size, bool aligned) {
  const std::int64_t values = shape.batch * shape.spatial;
  // One channel is one line in every layout, and channels first without pixels is channels last.
  const bool whole = shape.channels == 1;
  const bool last = !whole && (shape.layout == Layout::channels_last || shape.spatial == 1);
  const std::int64_t line = whole ? values : last ? 1 : shape.spatial;
  Walk walk{};
  walk.packing = last ? Packing::many_channels : Packing::one_channel;
  if ((last ? shape.channels : line) % size != 0) walk.packing = Packing::single;
  const int of_a_channel = walk.packing == Packing::one_channel ? size : 1;
  const int channels_a_pack = walk.packing == Packing::many_channels ? size : 1;
  const auto parts = [](std::int64_t whole_size, std::int64_t part) {
    return (whole_size + part - 1) / part;
  };
  walk.columns = 1;
  if (last)
    while (walk.columns < NormTuning::kMaxColumns && walk.columns * channels_a_pack < shape.channels)
      walk.columns *= 2;
  const std::int64_t run = static_cast<std::int64_t>(NormTuning::kRun) * walk.rows();
  const int runs = NormTuning::kValuesAThread / (NormTuning::kRun * of_a_channel);
  walk.channels = shape.channels;
  walk.packs = values / of_a_channel;
  walk.line = line / of_a_channel;
  walk.jump = shape.channels * line;
  walk.channel_stride = line;
  walk.groups = parts(shape.channels, static_cast<std::int64_t>(walk.columns) * channels_a_pack);
  walk.chunk_packs = run * (runs > 1 ? runs : 1);
  walk.chunks = parts(walk.packs, walk.chunk_packs);
  walk.step_lines = walk.rows() / walk.line;
  walk.step_columns = walk.rows() % walk.line;
  walk.aligned = aligned;
  return walk;
}

/// One item of a block's work. kWidth: values of a pack, kChannels: channels of a pack, one of them is 1 or
/// they are equal.
template <int kWidth, int kChannels>
struct Chunk {
  std::int64_t index, group, begin, end;  ///< packs [begin, end)

  SIMT_DEVICE Chunk(const Walk& walk, std::int64_t item) {
    index = item / walk.groups;
    group = item - index * walk.groups;
    begin = index * walk.chunk_packs;
    end = begin + walk.chunk_packs < walk.packs ? begin + walk.chunk_packs : walk.packs;
  }
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

/// The channel, counted from the pack's first, of value `lane`.
template <int kChannels>
SIMT_DEVICE constexpr int channel_of(int lane) {
  return kChannels == 1 ? 0 : lane;
}

/// The packs of a run in registers, as float32.
template <int kWidth>
struct Run {
  float at[NormTuning::kRun][kWidth];
};

/// What stands where a run ends early: zeros, or each channel's first value once more.
enum class Filler { zero, first };

/// `cursor` is not at its end. The same instructions run whether the pointer is aligned or not.
template <int kChannels, typename T, int kWidth>
SIMT_DEVICE Run<kWidth> load_run(const Walk& walk, Cursor<kWidth, kChannels> cursor, const T* x,
                                 Filler filler) {
  Run<kWidth> run;
  SIMT_UNROLL
  for (int j = 0; j < NormTuning::kRun; ++j) {
    if (cursor.more()) {
      const T* p = x + cursor.offset(walk);
      if (kWidth > 1 && walk.aligned) {
        const simt::Vec<T> pack = simt::load_vec(p);
        SIMT_UNROLL
        for (int lane = 0; lane < kWidth; ++lane) run.at[j][lane] = static_cast<float>(pack.lane[lane]);
      } else {
        SIMT_UNROLL
        for (int lane = 0; lane < kWidth; ++lane) run.at[j][lane] = static_cast<float>(p[lane]);
      }
    } else {
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane)
        run.at[j][lane] = filler == Filler::zero ? 0 : run.at[0][channel_of<kChannels>(lane)];
    }
    cursor.next(walk);
  }
  return run;
}

/// Writes the run and takes the cursor behind it.
template <int kChannels, typename T, int kWidth>
SIMT_DEVICE void store_run(const Walk& walk, Cursor<kWidth, kChannels>& cursor, const Run<kWidth>& run,
                           T* y) {
  SIMT_UNROLL
  for (int j = 0; j < NormTuning::kRun; ++j) {
    if (cursor.more()) {
      T* p = y + cursor.offset(walk);
      if (kWidth > 1 && walk.aligned) {
        simt::Vec<T> pack;
        SIMT_UNROLL
        for (int lane = 0; lane < kWidth; ++lane) pack.lane[lane] = static_cast<T>(run.at[j][lane]);
        simt::store_vec(p, pack);
      } else {
        SIMT_UNROLL
        for (int lane = 0; lane < kWidth; ++lane) p[lane] = static_cast<T>(run.at[j][lane]);
      }
    }
    cursor.next(walk);
  }
}

/// Takes the cursor behind a run that was loaded; returns how many of its packs were not filled in.
template <int kWidth, int kChannels>
SIMT_DEVICE int skip_run(const Walk& walk, Cursor<kWidth, kChannels>& cursor) {
  int packs = 0;
  SIMT_UNROLL
  for (int j = 0; j < NormTuning::kRun; ++j) {
    packs += cursor.more() ? 1 : 0;
    cursor.next(walk);
  }
  return packs;
}

inline constexpr int kNormWarps = NormTuning::kThreads / simt::kWarpSize;

/// Elements of the scratch array of column_sums().
template <int kChannels>
inline constexpr int kColumnScratch = kNormWarps* NormTuning::kMaxColumns* kChannels;

/// Adds up what the rows of the block hold for each channel. Thread i gets the sums of channel i of the
/// block's columns * kChannels, the threads behind them nothing. All threads of the block come here.
template <int kChannels>
SIMT_DEVICE simt::Pair<double> column_sums(const simt::Pair<double> (&sums)[kChannels], int columns,
                                           simt::Shared<simt::Pair<double>> scratch) {
  using simt::Pair;
  const int owners = columns * kChannels;
  simt::block_sync();  // scratch may still be read for the chunk before
  SIMT_UNROLL
  for (int k = 0; k < kChannels; ++k) {
    Pair<double> sum = sums[k];
    for (int bits = columns; bits < simt::kWarpSize; bits *= 2)
      sum = simt::Add{}(sum, simt::shuffle_xor(sum, bits));
    if (simt::lane_index() < columns)
      scratch[simt::warp_index() * owners + simt::lane_index() * kChannels + k] = sum;
  }
  simt::block_sync();
  Pair<double> total{0, 0};
  if (simt::thread_index() < owners)
    for (int warp = 0; warp < kNormWarps; ++warp) {
      const Pair<double> sum = scratch[warp * owners + simt::thread_index()];
      total = simt::Add{}(total, sum);
    }
  return total;
}

}  // namespace bntrain::kernels
