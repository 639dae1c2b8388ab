// What a thread of the batch norm kernels has in registers at once, where it comes from and where it goes,
// and how a block adds up.
#pragma once

#include "kernels/batch_norm/iteration_space.cuh"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {

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

/// A tensor in global memory, as load_run() reads it.
template <typename T>
struct Global {
  const T* x;

  /// The same instructions run whether the pointer is aligned or not.
  template <int kWidth, int kChannels>
  SIMT_DEVICE void read(const Walk& walk, const Cursor<kWidth, kChannels>& cursor,
                        float (&values)[kWidth]) const {
    const T* p = x + cursor.offset(walk);
    if (kWidth > 1 && walk.aligned) {
      const simt::Vec<T> pack = simt::load_vec(p);
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) values[lane] = static_cast<float>(pack.lane[lane]);
    } else {
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) values[lane] = static_cast<float>(p[lane]);
    }
  }
  /// The chunk's first value of a channel.
  template <int kWidth, int kChannels>
  SIMT_DEVICE float first(const Walk& walk, const Chunk<kWidth, kChannels>& chunk,
                          std::int64_t channel) const {
    return static_cast<float>(x[chunk.first(walk, channel)]);
  }
};

/// `cursor` is not at its end. Source: Global or Tile.
template <int kChannels, typename Source, int kWidth>
SIMT_DEVICE Run<kWidth> load_run(const Walk& walk, Cursor<kWidth, kChannels> cursor, const Source& source,
                                 Filler filler) {
  Run<kWidth> run;
  SIMT_UNROLL
  for (int j = 0; j < NormTuning::kRun; ++j) {
    if (cursor.more()) {
      source.read(walk, cursor, run.at[j]);
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

/// How many lanes merge a channel's parts: one each, in one step less where there are half as many.
SIMT_DEVICE int merge_lanes(std::int64_t parts) {
  int lanes = 1;
  while (lanes < simt::kWarpSize && lanes < parts) lanes *= 2;
  return lanes;
}

/// Combines the parts of channels [first, end), which `threads` threads share, of which this is number
/// `thread`; whole warps. read(part, channel) is a part, done(channel, merged) is called in one thread.
template <typename Part, typename Combine, typename Read, typename Done>
SIMT_DEVICE void merge_channels(std::int64_t thread, std::int64_t threads, std::int64_t first,
                                std::int64_t end, std::int64_t parts, Combine combine, const Read& read,
                                const Done& done) {
  const int lanes = merge_lanes(parts);
  const int lane = simt::lane_index() % lanes;
  const std::int64_t step = threads / lanes;
  // The bounds are the same in all lanes, for the shuffles.
  for (std::int64_t base = first + (thread - simt::lane_index()) / lanes; base < end; base += step) {
    const std::int64_t channel = base + simt::lane_index() / lanes;
    Part merged{};
    if (channel < end)
      for (std::int64_t part = lane; part < parts; part += lanes)
        merged = combine(merged, read(part, channel));
    merged = simt::warp_reduce(merged, combine, lanes);
    if (lane == 0 && channel < end) done(channel, merged);
  }
}

}  // namespace bntrain::kernels
