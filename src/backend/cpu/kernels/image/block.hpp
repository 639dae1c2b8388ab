// What the passes over the blocks of one image share.
#pragma once

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/image/vectors.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::image {

/// The coefficient of one channel in all lanes, or those of `count` channels from `first` on; null: 0.
BNTRAIN_INLINE Vec read(const float* p, std::int64_t first, std::int64_t count, bool one_channel) {
  return p == nullptr ? Vec{} : one_channel ? splat(p[first]) : load_first(p + first, count);
}

/// What a batch norm multiplies and adds: of one channel in all lanes, or of `count` channels from `first`
/// on.
struct Norm {
  Vec mean, inv_std, scale, beta, dbeta_mean, slope;

  BNTRAIN_METHOD Norm(const NormCoefficients& n, std::int64_t first, std::int64_t count, bool one_channel) {
    mean = read(n.mean, first, count, one_channel);
    inv_std = read(n.inv_std, first, count, one_channel);
    scale = read(n.gamma, first, count, one_channel) * inv_std;
    beta = read(n.beta, first, count, one_channel);
    dbeta_mean = read(n.dbeta_mean, first, count, one_channel);
    slope = scale * inv_std * read(n.dgamma_mean, first, count, one_channel);
  }
  /// A zero inv_std stands for a degenerate variance; multiplying by it could still give inf * 0.
  BNTRAIN_METHOD Vec operator()(Vec v) const { return inv_std == 0 ? beta : (v - mean) * scale + beta; }
};

/// Calls use(index of an output, row and column of its window's first pixel, count) for all vectors of
/// outputs of one plane.
template <class Use>
BNTRAIN_INLINE void for_each_output(const BlockShape& b, const Use& use) {
  for (std::int64_t y = 0; y < b.out_height; ++y)
    for (std::int64_t x = 0; x < b.out_width; x += kLanes)
      use(y * b.out_width + x, y * b.pool, x * b.pool, least(kLanes, b.out_width - x));
}

/// sum(g) and sum(g * xhat), where an absent element has no share: times zero, an infinite xhat would be NaN.
struct Sums {
  Vec g{}, g_xhat{};
  BNTRAIN_METHOD void add(Vec gradient, Vec x, const Norm& norm, std::int64_t count) {
    g += gradient;
    const Vec product = gradient * ((x - norm.mean) * norm.inv_std);
    g_xhat += count == kLanes ? product : mask_of(count) ? product : Vec{};
  }
};

/// dx of a pixel with the value v from the gradient after its batch norm.
template <bool HasNorm>
BNTRAIN_INLINE Vec input_gradient(const Norm& norm, Vec g, Vec v) {
  // Subtracted before the product, so that one value per channel gives exactly 0.
  return HasNorm ? (g - norm.dbeta_mean) * norm.scale - (v - norm.mean) * norm.slope : g;
}

/// Pixels that no window covers took part in the statistics alone.
template <bool HasNorm>
BNTRAIN_INLINE void pixels_without_window(const BlockShape& b, const Norm& norm, const float* x,
                                          const GradientLayout& layout, float* dx) {
  for (std::int64_t iy = 0; iy < b.in_height; ++iy)
    for (std::int64_t ix = iy < b.out_height * b.pool ? b.out_width * b.pool : 0; ix < b.in_width; ++ix) {
      const Vec d = input_gradient<HasNorm>(norm, Vec{}, load_first(x + iy * b.in_width + ix, 1));
      dx[iy * layout.row + ix * layout.column] = d[0];
    }
}

/// As block_forward(), block_backward_sums() and the part of block_backward_input() for one plane, with
/// average pooling.
void average_forward(const BlockShape& b, const float* x, const NormCoefficients& n, float* y);
void average_backward_sums(const BlockShape& b, const float* x, const float* dy, const NormCoefficients& n,
                           double* sums);
void average_plane_backward(const BlockShape& b, const Norm& norm, const float* x, const float* dy,
                            const GradientLayout& layout, float* dx);

}  // namespace bntrain::cpu::BNTRAIN_ISA::image
