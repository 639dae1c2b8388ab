// The block with average pooling, of one image: as ../block_average.cpp.
#include "backend/cpu/kernels/activation.hpp"
#include "backend/cpu/kernels/image/block.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::image {

/// Calls use(row, column) for every pixel of the windows whose first ones begin there.
template <class Use>
BNTRAIN_INLINE void for_each_pixel(const BlockShape& b, std::int64_t top, std::int64_t left, const Use& use) {
  for (std::int64_t i = 0; i < b.pool * b.pool; ++i) use(top + i / b.pool, left + i % b.pool);
}

template <bool HasNorm, class A>
static void forward(const BlockShape& b, const A& activation, const float* x, const NormCoefficients& n,
                    float* y) {
  const Vec size = splat(static_cast<float>(b.pool * b.pool));
  for (std::int64_t c = 0; c < b.channels;
       ++c, x += b.in_height * b.in_width, y += b.out_height * b.out_width) {
    const Norm norm(n, c, kLanes, true);
    for_each_output(b, [&](std::int64_t i, std::int64_t top, std::int64_t left, std::int64_t count) {
      Vec sum{};
      for_each_pixel(b, top, left, [&](std::int64_t iy, std::int64_t ix) {
        const Vec v = load_strided<0>(x + iy * b.in_width + ix, b.pool, count);
        sum += activation.forward(HasNorm ? norm(v) : v);
      });
      store_first(y + i, sum / size, count);
    });
  }
}

/// The gradient before the activation of a pixel of an average, from the value v of x and its share of dy.
template <class A>
BNTRAIN_INLINE Vec share_before(const A& activation, Vec before, Vec share) {
  return activation.backward(A::kFromOutput ? activation.forward(before) : before, share);
}

template <class A>
static void backward_sums(const BlockShape& b, const A& activation, const float* x, const float* dy,
                          const NormCoefficients& n, double* sums) {
  const Vec size = splat(static_cast<float>(b.pool * b.pool));
  for (std::int64_t c = 0; c < b.channels;
       ++c, x += b.in_height * b.in_width, dy += b.out_height * b.out_width) {
    const Norm norm(n, c, kLanes, true);
    double total = 0, total_xhat = 0;
    for_each_output(b, [&](std::int64_t i, std::int64_t top, std::int64_t left, std::int64_t count) {
      const Vec share = load_first(dy + i, count) / size;
      Sums part;
      for_each_pixel(b, top, left, [&](std::int64_t iy, std::int64_t ix) {
        const Vec v = load_strided<0>(x + iy * b.in_width + ix, b.pool, count);
        part.add(share_before(activation, norm(v), share), v, norm, count);
      });
      total += lane_sum_wide(part.g);
      total_xhat += lane_sum_wide(part.g_xhat);
    });
    sums[2 * c] = total;
    sums[2 * c + 1] = n.inv_std[c] == 0 ? 0 : total_xhat;
  }
}

template <bool HasNorm, class A>
static void plane_backward(const BlockShape& b, const A& activation, const Norm& norm, const float* x,
                           const float* dy, const GradientLayout& layout, float* dx) {
  const Vec size = splat(static_cast<float>(b.pool * b.pool));
  for_each_output(b, [&](std::int64_t i, std::int64_t top, std::int64_t left, std::int64_t count) {
    const Vec share = load_first(dy + i, count) / size;
    for_each_pixel(b, top, left, [&](std::int64_t iy, std::int64_t ix) {
      const Vec v = load_strided<0>(x + iy * b.in_width + ix, b.pool, count);
      const Vec g = share_before(activation, HasNorm ? norm(v) : v, share);
      store_strided(dx + iy * layout.row + ix * layout.column, b.pool * layout.column,
                    input_gradient<HasNorm>(norm, g, v), count);
    });
  });
  pixels_without_window<HasNorm>(b, norm, x, layout, dx);
}

void average_forward(const BlockShape& b, const float* x, const NormCoefficients& n, float* y) {
  with_activation(b.activation, [&](const auto& activation) {
    b.norm ? forward<true>(b, activation, x, n, y) : forward<false>(b, activation, x, n, y);
  });
}

void average_backward_sums(const BlockShape& b, const float* x, const float* dy, const NormCoefficients& n,
                           double* sums) {
  with_activation(b.activation,
                  [&](const auto& activation) { backward_sums(b, activation, x, dy, n, sums); });
}

void average_plane_backward(const BlockShape& b, const Norm& norm, const float* x, const float* dy,
                            const GradientLayout& layout, float* dx) {
  with_activation(b.activation, [&](const auto& activation) {
    b.norm ? plane_backward<true>(b, activation, norm, x, dy, layout, dx)
           : plane_backward<false>(b, activation, norm, x, dy, layout, dx);
  });
}

}  // namespace bntrain::cpu::BNTRAIN_ISA::image
