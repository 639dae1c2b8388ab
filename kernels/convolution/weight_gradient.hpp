// How the sum of the weights' gradient is divided:
//   dw[o, c, r, s] = sum over n, i, j of dy[n, o, i, j] * x[n, c, i * stride + r - padding, j * stride + s -
//   padding]
#pragma once

#include <algorithm>

#include "kernels/convolution/convolution.hpp"
#include "kernels/convolution/staging.cuh"

namespace bntrain::kernels {

struct WeightGradientTuning {
  static constexpr int kRows = 2, kColumns = 4;  ///< pixels of dy that a thread takes at once
  static constexpr int kMostThreads = 240;       ///< 49 sums of each fit into shared memory
  static constexpr int kBlocksPerSm = 16;
  static constexpr int kMostGroups = 16;  ///< threads with different output channels
  static constexpr int kMostRows = 8, kMostColumns = 8, kMostImages = 8;  ///< such pixels of a tile
  static constexpr std::int64_t kBlocks = 264;  ///< aimed at: two for each multiprocessor of a large device
  static constexpr std::int64_t kMostPartialFloats = 4 << 20;

  /// Output channels of a thread, which has this times kernel^2 sums.
  SIMT_HOST_DEVICE static constexpr int channels(int kernel) { return kernel == 1 ? 8 : kernel == 3 ? 4 : 2; }
};

/// What a thread reads of a row of x, in vectors: floats.
SIMT_HOST_DEVICE constexpr int x_row_floats(int kernel, int stride) {
  return round_up((WeightGradientTuning::kColumns - 1) * stride + kernel, 4);
}

/// A thread's output channels are `groups` apart. A block has `splits` threads for each of `groups` output
/// channel tiles x `ins` input channels. It takes the tiles of dy of one part one after the other: of a tile
/// of images x rows x columns items a thread takes every splits-th.
struct WeightGradientTile {
  int groups, ins, splits;
  int images, rows, columns;
  int tiles_o, tiles_c, tiles_n, tiles_i, tiles_j;
  int part_tiles, parts;
  PlaneTile x, dy;
  Divider by_columns, by_rows;

  SIMT_HOST_DEVICE int lanes() const { return groups * ins; }
  SIMT_HOST_DEVICE int threads() const { return lanes() * splits; }
  SIMT_HOST_DEVICE int items() const { return images * rows * columns; }
  SIMT_HOST_DEVICE std::int64_t tiles() const {
    return static_cast<std::int64_t>(tiles_n) * tiles_i * tiles_j;
  }
  SIMT_HOST_DEVICE std::int64_t units() const { return static_cast<std::int64_t>(parts) * tiles_o * tiles_c; }
  SIMT_HOST_DEVICE int shared_floats(int kernel) const {
    const int staged = x.floats() + dy.floats(), sums = threads() * kernel * kernel;
    return staged > sums ? staged : sums;
  }
};

/// shape: one that has_direct_convolution(), with images.
inline WeightGradientTile tile_of(const ConvolutionShape& shape) {
  using Tuning = WeightGradientTuning;
  const int kernel = static_cast<int>(shape.kernel), stride = static_cast<int>(shape.stride);
  const int channels = Tuning::channels(kernel);
  const auto balanced = [](int whole, int most) { return parts_of(whole, parts_of(whole, most)); };
  const int all_groups = parts_of(shape.out_channels, channels);
  const int all_ins = static_cast<int>(shape.in_channels);
  const int all_rows = parts_of(shape.out_height(), Tuning::kRows);
  const int all_columns = parts_of(shape.out_width(), Tuning::kColumns);
  int groups = balanced(all_groups, Tuning::kMostGroups);
  int ins = balanced(all_ins, Tuning::kMostThreads / groups);
  int rows = balanced(all_rows, Tuning::kMostRows), columns = balanced(all_columns, Tuning::kMostColumns);

  // The tiles in shared memory, with the pitches for which the lanes of the first warp meet least.
  const int column_floats = Tuning::kColumns * stride;
  const auto x_tile = [&](int images, int pitch) {
    return PlaneTile(ins, images, (Tuning::kRows * rows - 1) * stride + kernel, pitch);
  };
  const auto best_x_tile = [&](int images) {
    return x_tile(images,
                  best_pitch((columns - 1) * column_floats + x_row_floats(kernel, stride), [&](int pitch) {
                    const PlaneTile tile = x_tile(images, pitch);
                    return wavefronts([&](int lane) {
                      const int item = lane / (groups * ins);
                      return tile.at(lane / groups % ins, 0, item / columns % rows * Tuning::kRows * stride) +
                             item % columns * column_floats;
                    });
                  }));
  };
  const auto dy_tile = [&](int images, int pitch) {
    return PlaneTile(groups * channels, images, Tuning::kRows * rows, pitch);
  };
  const auto best_dy_tile = [&](int images) {
    return dy_tile(images, best_pitch(columns * Tuning::kColumns, [&](int pitch) {
                     const PlaneTile tile = dy_tile(images, pitch);
                     return wavefronts([&](int lane) {
                       const int item = lane / (groups * ins);
                       return tile.at(lane % groups, 0, item / columns % rows * Tuning::kRows) +
                              item % columns * Tuning::kColumns;
                     });
                   }));
  };
  const auto floats = [&](int images) {
    return best_x_tile(images).floats() + best_dy_tile(images).floats();
  };
  while (floats(1) > kSharedFloats) {
    if (rows > 1)
      rows = balanced(all_rows, (rows + 1) / 2);
    else if (columns > 1)
      columns = balanced(all_columns, (columns + 1) / 2);
    else if (ins > 1)
      ins = balanced(all_ins, (ins + 1) / 2);
    else
      groups = balanced(all_groups, (groups + 1) / 2);
  }

  const int tiles_o = parts_of(all_groups, groups), tiles_c = parts_of(all_ins, ins);
  const int tiles_i = parts_of(all_rows, rows), tiles_j = parts_of(all_columns, columns);
  const std::int64_t blocks_of_part = static_cast<std::int64_t>(tiles_o) * tiles_c;
  const std::int64_t most_blocks = shape.batch * tiles_i * tiles_j * blocks_of_part;
  int images =
      static_cast<int>(std::clamp<std::int64_t>(most_blocks / Tuning::kBlocks, 1, Tuning::kMostImages));
  while (images > 1 && floats(images) > kSharedFloats) --images;
  const int tiles_n = parts_of(shape.batch, images);
  const std::int64_t tiles = static_cast<std::int64_t>(tiles_n) * tiles_i * tiles_j;
  const std::int64_t weights = shape.out_channels * shape.in_channels * kernel * kernel;
  const std::int64_t most_parts = std::min({tiles, (Tuning::kBlocks + blocks_of_part - 1) / blocks_of_part,
                                            std::max<std::int64_t>(1, Tuning::kMostPartialFloats / weights)});
  const int part_tiles = parts_of(tiles, most_parts);
  const int items = images * rows * columns;
  return {.groups = groups,
          .ins = ins,
          .splits = balanced(items, Tuning::kMostThreads / (groups * ins)),
          .images = images,
          .rows = rows,
          .columns = columns,
          .tiles_o = tiles_o,
          .tiles_c = tiles_c,
          .tiles_n = tiles_n,
          .tiles_i = tiles_i,
          .tiles_j = tiles_j,
          .part_tiles = part_tiles,
          .parts = parts_of(tiles, part_tiles),
          .x = best_x_tile(images),
          .dy = best_dy_tile(images),
          .by_columns = Divider(columns),
          .by_rows = Divider(rows)};
}

}  // namespace bntrain::kernels
