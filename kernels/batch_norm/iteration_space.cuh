// How the plain batch norm kernels iterate over a tensor: one way for every layout.
//
// A vector is what a thread reads at once: 16 bytes where the shape allows, else one value. The vectors of a
// channel form rows of adjacent ones:
//   channels first    row_vectors = spatial / width    row_stride = channels * spatial
//   channels last     row_vectors = 1                  row_stride = channels; a vector has several channels
// Channels are divided into groups, the vectors of a group into chunks, and a block processes one chunk at a
// time. Its threads are arranged as block_columns (a power of two) columns, each for one vector of channels,
// and 256 / block_columns rows; channels first has one column. A thread reads the chunk in tiles of
// kTileVectors vectors. Groups, chunks and which thread reads what depend on the shape alone: neither on the
// grid nor on the alignment of pointers, and so do the bits.
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {

struct NormTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksPerSm = 8;
  static constexpr int kTileVectors = 8;  ///< vectors that a thread reads before it uses the first
  static constexpr int kMaxBlockColumns = simt::kWarpSize;

  // A chunk has about kChunkValues values, 32 per thread, and at least kChunkChannelValues of each channel:
  // every chunk leaves a partial result that must be merged.
  static constexpr std::int64_t kChunkValues = 8192;
  static constexpr std::int64_t kChunkChannelValues = 256;
};

inline constexpr int kNormWarps = NormTuning::kThreads / simt::kWarpSize;

/// What a vector holds: one value, values of one channel, one value of each of several adjacent channels.
enum class VectorContent { single, one_channel, many_channels };

struct IterationSpace {
  std::int64_t channels, vectors;        ///< vectors per channel
  std::int64_t row_vectors, row_stride;  ///< vectors per row; elements from row to row
  std::int64_t channel_stride;           ///< elements from channel to channel
  std::int64_t groups, chunks, chunk_vectors;
  std::int64_t step_rows, step_columns;  ///< what advances a thread by block_rows() vectors
  int block_columns;
  int width, vector_channels;  ///< values per vector, and channels that they belong to
  VectorContent content;
  bool aligned;  ///< whether the tensors are 16-byte aligned; set by the launchers

  SIMT_HOST_DEVICE std::int64_t items() const { return groups * chunks; }
  SIMT_HOST_DEVICE int block_rows() const { return NormTuning::kThreads / block_columns; }
  SIMT_HOST_DEVICE int group_channels() const { return block_columns * vector_channels; }
};

/// size: values in 16 bytes. No size of the shape is 0.
inline IterationSpace make_iteration_space(const NormShape& shape, int size) {
  const std::int64_t values = shape.batch * shape.spatial;
  // One channel is one row in every layout, and (N, C) is channels last.
  const bool whole = shape.channels == 1;
  const bool last = !whole && (shape.layout == Layout::channels_last || shape.spatial == 1);
  const std::int64_t row_elements = whole ? values : last ? 1 : shape.spatial;
  IterationSpace space{};
  space.content = last ? VectorContent::many_channels : VectorContent::one_channel;
  if ((last ? shape.channels : row_elements) % size != 0) space.content = VectorContent::single;
  space.width = space.content == VectorContent::single ? 1 : size;
  space.vector_channels = space.content == VectorContent::many_channels ? size : 1;
  const int channel_width = space.width / space.vector_channels;
  const auto parts = [](std::int64_t whole_size, std::int64_t part) {
    return (whole_size + part - 1) / part;
  };
  space.block_columns = 1;
  while (last && space.block_columns < NormTuning::kMaxBlockColumns &&
         space.block_columns * space.vector_channels < shape.channels)
    space.block_columns *= 2;
  space.channels = shape.channels;
  space.vectors = values / channel_width;
  space.row_vectors = row_elements / channel_width;
  space.row_stride = shape.channels * row_elements;
  space.channel_stride = row_elements;
  space.groups = parts(shape.channels, space.group_channels());
  const std::int64_t tile = static_cast<std::int64_t>(NormTuning::kTileVectors) * space.block_rows();
  const std::int64_t tiles = parts(NormTuning::kChunkValues, tile * space.block_columns * space.width);
  const std::int64_t channel_tiles = parts(NormTuning::kChunkChannelValues, tile * channel_width);
  space.chunk_vectors = tile * (tiles > channel_tiles ? tiles : channel_tiles);
  space.chunks = parts(space.vectors, space.chunk_vectors);
  space.step_rows = space.block_rows() / space.row_vectors;
  space.step_columns = space.block_rows() % space.row_vectors;
  return space;
}

/// What a block processes at a time. kWidth: values per vector, kChannels: channels per vector; one of them
/// is 1 or they are equal.
template <int kWidth, int kChannels>
struct Chunk {
  std::int64_t index, group, begin, end;  ///< vectors [begin, end)

  SIMT_DEVICE Chunk(const IterationSpace& space, std::int64_t chunk, std::int64_t chunk_group)
      : index(chunk), group(chunk_group), begin(chunk * space.chunk_vectors) {
    end = begin + space.chunk_vectors < space.vectors ? begin + space.chunk_vectors : space.vectors;
  }
  SIMT_DEVICE Chunk(const IterationSpace& space, std::int64_t item)
      : Chunk(space, item / space.groups, item % space.groups) {}
  /// Values per channel.
  SIMT_DEVICE std::int64_t count() const { return (end - begin) * (kWidth / kChannels); }
  /// The channel whose sums column_sums() gives to this thread, -1 if none.
  SIMT_DEVICE std::int64_t owned(const IterationSpace& space) const {
    const int owners = space.block_columns * kChannels;
    const std::int64_t channel = group * owners + simt::thread_index();
    return simt::thread_index() < owners && channel < space.channels ? channel : -1;
  }
  /// Offset of the chunk's first value of a channel.
  SIMT_DEVICE std::int64_t first(const IterationSpace& space, std::int64_t channel) const {
    const std::int64_t row = begin / space.row_vectors;
    return channel * space.channel_stride + row * space.row_stride +
           (begin - row * space.row_vectors) * kWidth;
  }
};

/// The position of a thread in a chunk. 64-bit divisions happen once, not for every vector.
template <int kWidth, int kChannels>
struct Cursor {
  std::int64_t channel;  ///< of the vector's first value
  std::int64_t vector, end, row, column;

  SIMT_DEVICE Cursor(const IterationSpace& space, const Chunk<kWidth, kChannels>& chunk) {
    channel = (chunk.group * space.block_columns + simt::thread_index() % space.block_columns) * kChannels;
    vector = chunk.begin + simt::thread_index() / space.block_columns;
    end = channel < space.channels ? chunk.end : 0;
    row = vector / space.row_vectors;
    column = vector - row * space.row_vectors;
  }
  SIMT_DEVICE bool more() const { return vector < end; }
  SIMT_DEVICE std::int64_t offset(const IterationSpace& space) const {
    return channel * space.channel_stride + row * space.row_stride + column * kWidth;
  }
  SIMT_DEVICE void next(const IterationSpace& space) {
    vector += space.block_rows();
    row += space.step_rows;
    column += space.step_columns;
    if (column >= space.row_vectors) {
      column -= space.row_vectors;
      ++row;
    }
  }
};

}  // namespace bntrain::kernels
