// The values that a thread of the batch norm kernels has in registers at once: loading and storing them, and
// the sums of a block.
#pragma once

#include "kernels/batch_norm/iteration_space.cuh"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {

/// The channel of value `lane` of a vector, counted from that of its first value.
template <int kChannels>
SIMT_DEVICE constexpr int channel_of(int lane) {
  return kChannels == 1 ? 0 : lane;
}

/// kTileVectors vectors in registers, as float32.
template <int kWidth>
struct RegisterTile {
  float at[NormTuning::kTileVectors][kWidth];
};

/// A tensor in global memory, as a source of load_tile().
template <typename T>
struct Global {
  const T* x;

  /// The arithmetic is the same whether the pointer is aligned or not.
  template <int kWidth, int kChannels>
  SIMT_DEVICE void read(const IterationSpace& space, const Cursor<kWidth, kChannels>& cursor,
                        float (&values)[kWidth]) const {
    const T* p = x + cursor.offset(space);
    if (kWidth > 1 && space.aligned) {
      const simt::Vec<T> vector = simt::load_vec(p);
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) values[lane] = static_cast<float>(vector.lane[lane]);
    } else {
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) values[lane] = static_cast<float>(p[lane]);
    }
  }
  /// The chunk's first value of a channel.
  template <int kWidth, int kChannels>
  SIMT_DEVICE float first(const IterationSpace& space, const Chunk<kWidth, kChannels>& chunk,
                          std::int64_t channel) const {
    return static_cast<float>(x[chunk.first(space, channel)]);
  }
};

/// Zeros beyond the end of the chunk. Source: Global or SharedTile.
template <int kChannels, typename Source, int kWidth>
SIMT_DEVICE RegisterTile<kWidth> load_tile(const IterationSpace& space, Cursor<kWidth, kChannels> cursor,
                                           const Source& source) {
  RegisterTile<kWidth> tile = {};
  SIMT_UNROLL
  for (int j = 0; j < NormTuning::kTileVectors; ++j) {
    if (cursor.more()) source.read(space, cursor, tile.at[j]);
    cursor.next(space);
  }
  return tile;
}

/// Stores the tile and advances the cursor by it.
template <int kChannels, typename T, int kWidth>
SIMT_DEVICE void store_tile(const IterationSpace& space, Cursor<kWidth, kChannels>& cursor,
                            const RegisterTile<kWidth>& tile, T* y) {
  SIMT_UNROLL
  for (int j = 0; j < NormTuning::kTileVectors; ++j) {
    if (cursor.more()) {
      T* p = y + cursor.offset(space);
      if (kWidth > 1 && space.aligned) {
        simt::Vec<T> vector;
        SIMT_UNROLL
        for (int lane = 0; lane < kWidth; ++lane) vector.lane[lane] = static_cast<T>(tile.at[j][lane]);
        simt::store_vec(p, vector);
      } else {
        SIMT_UNROLL
        for (int lane = 0; lane < kWidth; ++lane) p[lane] = static_cast<T>(tile.at[j][lane]);
      }
    }
    cursor.next(space);
  }
}

/// Advances the cursor by a tile; returns how many of its vectors were read, not filled in.
template <int kWidth, int kChannels>
SIMT_DEVICE int skip_tile(const IterationSpace& space, Cursor<kWidth, kChannels>& cursor) {
  int vectors = 0;
  SIMT_UNROLL
  for (int j = 0; j < NormTuning::kTileVectors; ++j) {
    vectors += cursor.more() ? 1 : 0;
    cursor.next(space);
  }
  return vectors;
}

/// Elements of the scratch array of column_sums().
template <int kChannels>
inline constexpr int kColumnScratch = kNormWarps* NormTuning::kMaxBlockColumns* kChannels;

/// Adds the sums of the block's rows for each channel. Thread i gets those of channel i of the block_columns
/// * kChannels channels, the other threads zeros. Collective: all threads of the block call it.
template <int kChannels>
SIMT_DEVICE simt::Pair<double> column_sums(const simt::Pair<double> (&sums)[kChannels], int block_columns,
                                           simt::Shared<simt::Pair<double>> scratch) {
  using simt::Pair;
  const int owners = block_columns * kChannels;
  simt::block_sync();  // scratch may still be read for the previous chunk
  SIMT_UNROLL
  for (int k = 0; k < kChannels; ++k) {
    Pair<double> sum = sums[k];
    for (int bits = block_columns; bits < simt::kWarpSize; bits *= 2)
      sum = simt::Add{}(sum, simt::shuffle_xor(sum, bits));
    if (simt::lane_index() < block_columns)
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

/// How many lanes merge the parts of one channel: the power of two from `parts` on, at most a warp.
SIMT_DEVICE int merge_lanes(std::int64_t parts) {
  int lanes = 1;
  while (lanes < simt::kWarpSize && lanes < parts) lanes *= 2;
  return lanes;
}

/// Combines the parts of every channel. `threads`, a multiple of 32, share the channels; `thread` is
/// the index of this one. read(part, channel) returns a part, done(channel, merged) is called by one thread.
template <typename Part, typename Combine, typename Read, typename Done>
SIMT_DEVICE void merge_channels(std::int64_t thread, std::int64_t threads, std::int64_t channels,
                                std::int64_t parts, Combine combine, const Read& read, const Done& done) {
  const int lanes = merge_lanes(parts);
  const int lane = simt::lane_index() % lanes;
  const std::int64_t step = threads / lanes;
  // The bounds are the same in all lanes, which take part in the shuffles.
  for (std::int64_t base = (thread - simt::lane_index()) / lanes; base < channels; base += step) {
    const std::int64_t channel = base + simt::lane_index() / lanes;
    Part merged{};
    if (channel < channels)
      for (std::int64_t part = lane; part < parts; part += lanes)
        merged = combine(merged, read(part, channel));
    merged = simt::warp_reduce(merged, combine, lanes);
    if (lane == 0 && channel < channels) done(channel, merged);
  }
}

}  // namespace bntrain::kernels
