// Convolutions of 3x3 with stride 1 by Winograd's F(m x m, 3x3): Lavin and Gray 2015, "Fast Algorithms for
// Convolutional Neural Networks", arXiv 1509.09308. An output tile y of m x m pixels comes from an input tile
// d of (m+2) x (m+2) and weights g by
//   y = A^T [(G g G^T) * (B^T d B)] A      (* element by element, summed over input channels)
// 16 products for 4 outputs (m = 2) and 36 for 16 (m = 4), where the direct way has 36 and 144. The elements
// of a transformed tile are called points. The gradient of the weights is the adjoint,
// dg = G^T [sum (A dy A^T) * (B^T d B)] G, and that of the input a forward pass over dy with the weights
// turned.
#pragma once

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/vec.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::winograd {

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

/// F(2x2, 3x3), one dimension of it: the points 0, 1, -1 and infinity.
struct Tile2 {
  static constexpr int kOut = 2, kIn = 4, kPoints = kIn * kIn;

  /// v = B^T d
  static BNTRAIN_METHOD void input(const Vec (&d)[kIn], Vec (&v)[kIn]) {
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[1] - d[3];
  }
  /// y = A^T m
  static BNTRAIN_METHOD void output(const Vec (&m)[kIn], Vec (&y)[kOut]) {
    y[0] = (m[0] + m[1]) + m[2];
    y[1] = (m[1] - m[2]) - m[3];
  }
  /// m = A y
  static BNTRAIN_METHOD void output_gradient(const Vec (&y)[kOut], Vec (&m)[kIn]) {
    m[0] = y[0];
    m[1] = y[0] + y[1];
    m[2] = y[0] - y[1];
    m[3] = -y[1];
  }
  /// u = G g
  static BNTRAIN_METHOD void weights(const Vec (&g)[3], Vec (&u)[kIn]) {
    u[0] = g[0];
    u[1] = 0.5f * ((g[0] + g[1]) + g[2]);
    u[2] = 0.5f * ((g[0] - g[1]) + g[2]);
    u[3] = g[2];
  }
  /// g = G^T u
  static BNTRAIN_METHOD void weight_gradient(const Vec (&u)[kIn], Vec (&g)[3]) {
    const Vec sum = 0.5f * (u[1] + u[2]);
    g[0] = u[0] + sum;
    g[1] = 0.5f * (u[1] - u[2]);
    g[2] = sum + u[3];
  }
};

/// F(4x4, 3x3), one dimension of it: the points 0, a, -a, b, -b and infinity. With 5/8 and 3/2 the error is
/// twice that of the direct sum (64 and 128 channels); with 1 and 2, as in the paper, it is four times as
/// large.
struct Tile4 {
  static constexpr int kOut = 4, kIn = 6, kPoints = kIn * kIn;
  static constexpr float a = 0.625f, b = 1.5f, a2 = a * a, b2 = b * b;
  // What the points' rows of G are divided by: the products of a point's distances to the others.
  static constexpr float g0 = 1 / (a2 * b2), ga = 1 / (2 * a2 * (a2 - b2)), gb = 1 / (2 * b2 * (b2 - a2));

  static BNTRAIN_METHOD void input(const Vec (&d)[kIn], Vec (&v)[kIn]) {
    v[0] = (d[4] - (a2 + b2) * d[2]) + (a2 * b2) * d[0];
    const Vec even_a = d[4] - b2 * d[2], odd_a = a * (d[3] - b2 * d[1]);
    v[1] = even_a + odd_a;
    v[2] = even_a - odd_a;
    const Vec even_b = d[4] - a2 * d[2], odd_b = b * (d[3] - a2 * d[1]);
    v[3] = even_b + odd_b;
    v[4] = even_b - odd_b;
    v[5] = (d[5] - (a2 + b2) * d[3]) + (a2 * b2) * d[1];
  }
  static BNTRAIN_METHOD void output(const Vec (&m)[kIn], Vec (&y)[kOut]) {
    const Vec even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = (m[0] + even_a) + even_b;
    y[1] = a * odd_a + b * odd_b;
    y[2] = a2 * even_a + b2 * even_b;
    y[3] = (a2 * a * odd_a + b2 * b * odd_b) + m[5];
  }
  static BNTRAIN_METHOD void output_gradient(const Vec (&y)[kOut], Vec (&m)[kIn]) {
    m[0] = y[0];
    const Vec even_a = y[0] + a2 * y[2], odd_a = a * (y[1] + a2 * y[3]);
    m[1] = even_a + odd_a;
    m[2] = even_a - odd_a;
    const Vec even_b = y[0] + b2 * y[2], odd_b = b * (y[1] + b2 * y[3]);
    m[3] = even_b + odd_b;
    m[4] = even_b - odd_b;
    m[5] = y[3];
  }
  static BNTRAIN_METHOD void weights(const Vec (&g)[3], Vec (&u)[kIn]) {
    u[0] = g0 * g[0];
    const Vec even_a = ga * (g[0] + a2 * g[2]), odd_a = (ga * a) * g[1];
    u[1] = even_a + odd_a;
    u[2] = even_a - odd_a;
    const Vec even_b = gb * (g[0] + b2 * g[2]), odd_b = (gb * b) * g[1];
    u[3] = even_b + odd_b;
    u[4] = even_b - odd_b;
    u[5] = g[2];
  }
  static BNTRAIN_METHOD void weight_gradient(const Vec (&u)[kIn], Vec (&g)[3]) {
    const Vec even_a = ga * (u[1] + u[2]), even_b = gb * (u[3] + u[4]);
    g[0] = (g0 * u[0] + even_a) + even_b;
    g[1] = (ga * a) * (u[1] - u[2]) + (gb * b) * (u[3] - u[4]);
    g[2] = (a2 * even_a + b2 * even_b) + u[5];
  }
};

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

/// to = T from T^T for the matrix T that `transform` applies to one dimension; at(y, x) gives `from`.
template <int To, int From, class Transform, class At>
BNTRAIN_INLINE void transform_tile(Transform transform, At at, Vec (&to)[To * To]) {
  Vec half[To][From];
#pragma GCC unroll 6
  for (int x = 0; x < From; ++x) {
    Vec column[From], result[To];
#pragma GCC unroll 6
    for (int y = 0; y < From; ++y) column[y] = at(y, x);
    transform(column, result);
#pragma GCC unroll 6
    for (int y = 0; y < To; ++y) half[y][x] = result[y];
  }
#pragma GCC unroll 6
  for (int y = 0; y < To; ++y) {
    Vec result[To];
    transform(half[y], result);
#pragma GCC unroll 6
    for (int x = 0; x < To; ++x) to[y * To + x] = result[x];
  }
}

/// v = B^T d B of the tile at (y, x) of a channel.
template <class Tile>
BNTRAIN_INLINE void transform_input(const ConvShape& s, const float* in, std::int64_t channel, std::int64_t y,
                                    std::int64_t x, Vec (&v)[Tile::kPoints]) {
  const TileSource d{in + ((channel * s.in_height + y) * s.in_width + x) * kLanes, s.in_width * kLanes,
                     s.in_height - y, s.in_width - x};
  const auto rows = [](const auto& from, auto& to) { Tile::input(from, to); };
  if (d.rows >= Tile::kIn && d.columns >= Tile::kIn)
    transform_tile<Tile::kIn, Tile::kIn>(
        rows, [&](int i, int j) { return d.at<true>(i, j); }, v);
  else
    transform_tile<Tile::kIn, Tile::kIn>(
        rows, [&](int i, int j) { return d.at<false>(i, j); }, v);
}

/// m = A dy A^T
template <class Tile>
BNTRAIN_INLINE void transform_output_gradient(const TileSource& dy, Vec (&m)[Tile::kPoints]) {
  const auto rows = [](const auto& from, auto& to) { Tile::output_gradient(from, to); };
  if (dy.rows >= Tile::kOut && dy.columns >= Tile::kOut)
    transform_tile<Tile::kIn, Tile::kOut>(
        rows, [&](int i, int j) { return dy.at<true>(i, j); }, m);
  else
    transform_tile<Tile::kIn, Tile::kOut>(
        rows, [&](int i, int j) { return dy.at<false>(i, j); }, m);
}

BNTRAIN_INLINE std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// Runs of at most kVectors neighbouring tiles of one row of tiles, of nearly equal length.
template <class Tile>
struct TileRuns {
  std::int64_t tiles, count;

  explicit BNTRAIN_METHOD TileRuns(std::int64_t width)
      : tiles(ceil_div(width, Tile::kOut)), count(ceil_div(tiles, kVectors)) {}
  BNTRAIN_METHOD std::int64_t first(std::int64_t run) const { return tiles * run / count; }
  BNTRAIN_METHOD std::int64_t length(std::int64_t run) const { return first(run + 1) - first(run); }
};

}  // namespace bntrain::cpu::BNTRAIN_ISA::winograd
