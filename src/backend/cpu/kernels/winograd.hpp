// Convolutions of 3x3 with stride 1 by Winograd's F(2x2, 3x3): Lavin and Gray 2015, "Fast Algorithms for
// Convolutional Neural Networks", arXiv 1509.09308. An output tile y of 2x2 pixels comes from an input tile d
// of 4x4 and weights g by
//   y = A^T [(G g G^T) * (B^T d B)] A      (* element by element, summed over input channels)
// 16 products where the direct way has 36. The 16 elements are called points. The gradient of the weights is
// the adjoint, dg = G^T [sum (A dy A^T) * (B^T d B)] G, and that of the input a forward pass over dy with the
// weights turned.
#pragma once

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/vec.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::winograd {

constexpr int kPoints = 16;

// The register tile of the products: kChannels * kVectors sums, kVectors vectors and a broadcast, of 32 or 16
// registers. In the forward pass a vector is an output tile of a group, in the weights' gradient a vector of
// input channels.
#if defined(__AVX512F__)
constexpr int kChannels = 6, kVectors = 4;
#else
constexpr int kChannels = 4, kVectors = 3;
#endif

// What one point's memory is longer than its elements: at a distance of a power of two they would share cache
// sets.
constexpr std::int64_t kSkew = 5 * 16;

/// Rows `stride` apart of a plane that ends after `rows` rows and `columns` columns; beyond them a tile reads
/// zeros, which reach only outputs that are not there either.
struct TileSource {
  const float* data;
  std::int64_t stride, rows, columns;

  template <bool Whole>
  BNTRAIN_METHOD Vec at(int y, int x) const {
    return Whole || (y < rows && x < columns) ? load(data + y * stride + x * kLanes) : Vec{};
  }
};

/// v = B^T d B
template <bool Whole>
BNTRAIN_INLINE void transform_input(const TileSource& d, Vec (&v)[kPoints]) {
  Vec t[4][4];
#pragma GCC unroll 4
  for (int x = 0; x < 4; ++x) {
    const Vec d0 = d.at<Whole>(0, x), d1 = d.at<Whole>(1, x), d2 = d.at<Whole>(2, x), d3 = d.at<Whole>(3, x);
    t[0][x] = d0 - d2;
    t[1][x] = d1 + d2;
    t[2][x] = d2 - d1;
    t[3][x] = d1 - d3;
  }
#pragma GCC unroll 4
  for (int y = 0; y < 4; ++y) {
    v[4 * y] = t[y][0] - t[y][2];
    v[4 * y + 1] = t[y][1] + t[y][2];
    v[4 * y + 2] = t[y][2] - t[y][1];
    v[4 * y + 3] = t[y][1] - t[y][3];
  }
}

/// The same of the tile at (y, x) of a channel.
BNTRAIN_INLINE void transform_input_tile(const ConvShape& s, const float* in, std::int64_t channel,
                                         std::int64_t y, std::int64_t x, Vec (&v)[kPoints]) {
  const TileSource d{in + ((channel * s.in_height + y) * s.in_width + x) * kLanes, s.in_width * kLanes,
                     s.in_height - y, s.in_width - x};
  if (d.rows >= 4 && d.columns >= 4)
    transform_input<true>(d, v);
  else
    transform_input<false>(d, v);
}

/// y = A^T m A
BNTRAIN_INLINE void transform_output(const Vec (&m)[kPoints], Vec (&y)[2][2]) {
  Vec t[2][4];
#pragma GCC unroll 4
  for (int x = 0; x < 4; ++x) {
    t[0][x] = (m[x] + m[4 + x]) + m[8 + x];
    t[1][x] = (m[4 + x] - m[8 + x]) - m[12 + x];
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    y[i][0] = (t[i][0] + t[i][1]) + t[i][2];
    y[i][1] = (t[i][1] - t[i][2]) - t[i][3];
  }
}

/// m = A dy A^T
template <bool Whole>
BNTRAIN_INLINE void transform_output_gradient(const TileSource& dy, Vec (&m)[kPoints]) {
  Vec t[4][2];
#pragma GCC unroll 2
  for (int x = 0; x < 2; ++x) {
    const Vec y0 = dy.at<Whole>(0, x), y1 = dy.at<Whole>(1, x);
    t[0][x] = y0;
    t[1][x] = y0 + y1;
    t[2][x] = y0 - y1;
    t[3][x] = -y1;
  }
#pragma GCC unroll 4
  for (int y = 0; y < 4; ++y) {
    m[4 * y] = t[y][0];
    m[4 * y + 1] = t[y][0] + t[y][1];
    m[4 * y + 2] = t[y][0] - t[y][1];
    m[4 * y + 3] = -t[y][1];
  }
}

/// u = G g G^T, number by number
BNTRAIN_INLINE void transform_weights(const float (&g)[9], float (&u)[kPoints]) {
  float t[4][3];
  for (int x = 0; x < 3; ++x) {
    t[0][x] = g[x];
    t[1][x] = 0.5f * ((g[x] + g[3 + x]) + g[6 + x]);
    t[2][x] = 0.5f * ((g[x] - g[3 + x]) + g[6 + x]);
    t[3][x] = g[6 + x];
  }
  for (int y = 0; y < 4; ++y) {
    u[4 * y] = t[y][0];
    u[4 * y + 1] = 0.5f * ((t[y][0] + t[y][1]) + t[y][2]);
    u[4 * y + 2] = 0.5f * ((t[y][0] - t[y][1]) + t[y][2]);
    u[4 * y + 3] = t[y][2];
  }
}

/// dg = G^T du G
BNTRAIN_INLINE void transform_weight_gradient(const Vec (&du)[kPoints], Vec (&dg)[9]) {
  Vec t[3][4];
#pragma GCC unroll 4
  for (int x = 0; x < 4; ++x) {
    const Vec sum = 0.5f * (du[4 + x] + du[8 + x]);
    t[0][x] = du[x] + sum;
    t[1][x] = 0.5f * (du[4 + x] - du[8 + x]);
    t[2][x] = sum + du[12 + x];
  }
#pragma GCC unroll 3
  for (int y = 0; y < 3; ++y) {
    const Vec sum = 0.5f * (t[y][1] + t[y][2]);
    dg[3 * y] = t[y][0] + sum;
    dg[3 * y + 1] = 0.5f * (t[y][1] - t[y][2]);
    dg[3 * y + 2] = sum + t[y][3];
  }
}

BNTRAIN_INLINE std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// Runs of at most kVectors neighbouring tiles of one row of tiles, of nearly equal length.
struct TileRuns {
  std::int64_t tiles, count;

  explicit TileRuns(std::int64_t width) : tiles(ceil_div(width, 2)), count(ceil_div(tiles, kVectors)) {}
  std::int64_t first(std::int64_t run) const { return tiles * run / count; }
  std::int64_t length(std::int64_t run) const { return first(run + 1) - first(run); }
};

/// What backward_weights() needs of the scratch memory.
std::int64_t weight_scratch_floats(const ConvShape& s);

}  // namespace bntrain::cpu::BNTRAIN_ISA::winograd
