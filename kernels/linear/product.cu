// Matrix products whose result has few elements and whose sums are long, or the other way round.
//
// Maths: product.hpp. A library that does not divide the sums runs a product of 10 rows on a few
// multiprocessors: measured on an H200, the gradients of a layer of 128 inputs and 10 outputs took 67 us for
// a batch of 256. Here a block computes a tile of the result over one part of k; a second launch adds the
// parts. A thread keeps 4 x 4 sums. Results of up to 16 rows or columns have narrow tiles. Bytes moved: 4 *
// (rows * depth * column tiles + columns * depth * row tiles), and twice the parts' sums.
#include "kernels/linear/product.hpp"

#include <algorithm>
#include <limits>

#include "kernels/kernels.hpp"
#include "kernels/linear/sum_parts.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct ProductTuning {
  static constexpr int kSide = 4;  ///< of a thread's tile
  static constexpr int kWideTile = 64, kNarrowTile = 16;
  static constexpr int kDepth = 32;  ///< of the factors in shared memory at a time
  static constexpr int kBlocksPerSm = 16;
  static constexpr std::int64_t kShortestPart = 2 * kDepth;
  static constexpr std::int64_t kBlocks = 264;  ///< aimed at: two for each multiprocessor of a large device
  /// With so many tiles the sums are not divided: a second launch costs more than idle multiprocessors.
  static constexpr std::int64_t kEnoughTiles = 64;
};

using Tuning = ProductTuning;
constexpr int kSide = Tuning::kSide, kDepth = Tuning::kDepth;

/// `size`: rows of the tile; the pitch is four more than a multiple of 8, so that the lanes that stage eight
/// k of four rows use different banks.
template <int size>
constexpr int kPitch = size + 4;

struct Division {
  std::int64_t row_tiles, column_tiles, parts, part_depth;
};

/// Copies rows [first, first + size) and k in [k0, end) into tile[k][row], and zeros where there are none.
template <int size, bool k_adjacent>
SIMT_DEVICE void stage(const Factor& from, std::int64_t rows, std::int64_t first, std::int64_t k0,
                       std::int64_t end, Shared<float> tile) {
  constexpr int kLanesOfK = 8, kLanesOfRows = kWarpSize / kLanesOfK;
  for (int i = thread_index(); i < size * kDepth; i += block_size()) {
    int row, k;
    if constexpr (k_adjacent) {  // a warp takes eight k of four rows
      const int lane = i % kWarpSize, square = i / kWarpSize;
      k = lane % kLanesOfK + square % (kDepth / kLanesOfK) * kLanesOfK;
      row = lane / kLanesOfK + square / (kDepth / kLanesOfK) * kLanesOfRows;
    } else {
      k = i / size;
      row = i % size;
    }
    const std::int64_t r = first + row, c = k0 + k;
    if (r < rows && c < end)
      copy_async<1>(tile + (k * kPitch<size> + row),
                    from.data + (k_adjacent ? r * from.stride + c : c * from.stride + r));
    else
      tile[k * kPitch<size> + row] = 0.0f;
  }
}

/// c: [parts, rows, columns].
template <int tile_rows, int tile_columns, bool a_k_adjacent, bool b_k_adjacent>
SIMT_KERNEL(tile_rows / kSide * (tile_columns / kSide))
product_kernel(ProductShape shape, Division d, Factor a, Factor b, const float* __restrict__ bias,
               float* __restrict__ c) {
  SIMT_SHARED(float, a_tile, kDepth* kPitch<tile_rows>);
  SIMT_SHARED(float, b_tile, kDepth* kPitch<tile_columns>);
  const int row = thread_index() % (tile_rows / kSide) * kSide;
  const int column = thread_index() / (tile_rows / kSide) * kSide;
  const std::int64_t units = d.row_tiles * d.column_tiles * d.parts;
  for (std::int64_t unit = block_index(); unit < units; unit += grid_size()) {
    const std::int64_t part = unit / (d.row_tiles * d.column_tiles);
    const std::int64_t first_row = unit % d.row_tiles * tile_rows;
    const std::int64_t first_column = unit / d.row_tiles % d.column_tiles * tile_columns;
    const std::int64_t begin = part * d.part_depth;
    const std::int64_t end = begin + d.part_depth < shape.depth ? begin + d.part_depth : shape.depth;
    float sums[kSide][kSide] = {};
    for (std::int64_t k0 = begin; k0 < end; k0 += kDepth) {
      block_sync();  // before the tiles are overwritten
      stage<tile_rows, a_k_adjacent>(a, shape.rows, first_row, k0, end, a_tile);
      stage<tile_columns, b_k_adjacent>(b, shape.columns, first_column, k0, end, b_tile);
      copies_wait();
      block_sync();
      SIMT_UNROLL
      for (int k = 0; k < kDepth; ++k) {
        const Vec<float> u = load_vec(a_tile + (k * kPitch<tile_rows> + row));
        const Vec<float> v = load_vec(b_tile + (k * kPitch<tile_columns> + column));
        SIMT_UNROLL
        for (int i = 0; i < kSide; ++i) SIMT_UNROLL
        for (int j = 0; j < kSide; ++j) sums[i][j] += u.lane[i] * v.lane[j];
      }
    }
    SIMT_UNROLL
    for (int i = 0; i < kSide; ++i) SIMT_UNROLL
    for (int j = 0; j < kSide; ++j) {
      const std::int64_t m = first_row + row + i, n = first_column + column + j;
      if (m < shape.rows && n < shape.columns)
        c[(part * shape.rows + m) * shape.columns + n] = sums[i][j] + (bias != nullptr ? bias[n] : 0.0f);
    }
  }
}

int tile_side(std::int64_t size, std::int64_t other) {
  return size <= Tuning::kNarrowTile && size <= other ? Tuning::kNarrowTile : Tuning::kWideTile;
}

Division divide(const ProductShape& s) {
  const auto parts_of = [](std::int64_t whole, std::int64_t part) { return (whole + part - 1) / part; };
  Division d{};
  const int tile_rows = tile_side(s.rows, s.columns);
  d.row_tiles = parts_of(s.rows, tile_rows);
  d.column_tiles = parts_of(
      s.columns, tile_rows == Tuning::kNarrowTile ? Tuning::kWideTile : tile_side(s.columns, s.rows));
  const std::int64_t tiles = d.row_tiles * d.column_tiles;
  const std::int64_t most = std::min(Tuning::kBlocks / tiles, s.depth / Tuning::kShortestPart);
  const std::int64_t parts = tiles >= Tuning::kEnoughTiles ? 1 : std::max<std::int64_t>(1, most);
  d.part_depth = std::max<std::int64_t>(1, parts_of(parts_of(s.depth, parts), kDepth) * kDepth);
  d.parts = std::max<std::int64_t>(1, parts_of(s.depth, d.part_depth));
  return d;
}

template <int tile_rows, int tile_columns>
void launch_tiles(const char* name, const ProductShape& shape, const Division& d, const Factor& a,
                  const Factor& b, const float* bias, float* c, const Stream& stream) {
  constexpr int kThreads = tile_rows / kSide * (tile_columns / kSide);
  const auto kernel = a.k_adjacent ? (b.k_adjacent ? product_kernel<tile_rows, tile_columns, true, true>
                                                   : product_kernel<tile_rows, tile_columns, true, false>)
                                   : product_kernel<tile_rows, tile_columns, false, false>;
  launch(kernel,
         {.name = name,
          .grid = strided_grid(d.row_tiles * d.column_tiles * d.parts, 1, Tuning::kBlocksPerSm, stream),
          .block = kThreads},
         stream, shape, d, a, b, bias, c);
}

std::int64_t size_of(const ProductShape& s) {
  return s.rows * s.columns;
}

}  // namespace

std::int64_t product_workspace(const ProductShape& shape) {
  if (size_of(shape) == 0) return 0;
  const std::int64_t parts = divide(shape).parts;
  return parts == 1 ? 0 : parts * size_of(shape) * static_cast<std::int64_t>(sizeof(float));
}

void product(const char* name, const ProductShape& shape, const Factor& a, const Factor& b, const float* bias,
             float* c, void* workspace, const Stream& stream) {
  if (size_of(shape) == 0) return;
  const Division d = divide(shape);
  auto* partial = static_cast<float*>(workspace);
  require(d.parts == 1 || (partial != nullptr && is_aligned(partial)), name,
          "the workspace is null or not 16-byte aligned");
  const auto run = [&](auto launcher) {
    launcher(name, shape, d, a, b, d.parts == 1 ? bias : nullptr, d.parts == 1 ? c : partial, stream);
  };
  constexpr int kWide = Tuning::kWideTile, kNarrow = Tuning::kNarrowTile;
  if (tile_side(shape.rows, shape.columns) == kNarrow)
    run(launch_tiles<kNarrow, kWide>);
  else if (tile_side(shape.columns, shape.rows) == kNarrow)
    run(launch_tiles<kWide, kNarrow>);
  else
    run(launch_tiles<kWide, kWide>);
  if (d.parts > 1)
    sum_parts(name,
              {.partial = partial,
               .parts = d.parts,
               .size = size_of(shape),
               .out = c,
               .out_size = size_of(shape),
               .bias = bias,
               .columns = shape.columns},
              stream);
}

}  // namespace bntrain::kernels
