// Batch norm, activation and pooling of one image: as ../block.cpp, with the columns of a plane in the lanes,
// and with the channels there where a plane is one pixel.
#include <type_traits>

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/activation.hpp"
#include "backend/cpu/kernels/block_rows.hpp"
#include "backend/cpu/kernels/image/block.hpp"
#include "backend/cpu/kernels/image/entry_points.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::image {

constexpr std::int64_t kShortSum = 64 * kLanes;  // elements of a sum in float32, then double precision

BNTRAIN_INLINE bool one_pixel(const BlockShape& b) {
  return b.in_height * b.in_width == 1;
}

/// Calls use(first element, count, norm) for all vectors of planes of `plane` elements.
template <class Use>
BNTRAIN_INLINE void for_each_plane(const BlockShape& b, std::int64_t plane, const NormCoefficients& n,
                                   const Use& use) {
  if (plane == 1 && one_pixel(b))
    for_each_vector(b.channels,
                    [&](std::int64_t c, std::int64_t count) { use(c, count, Norm(n, c, count, false)); });
  else
    for (std::int64_t c = 0; c < b.channels; ++c) {
      const Norm norm(n, c, kLanes, true);
      for_each_vector(plane, [&](std::int64_t i, std::int64_t count) { use(c * plane + i, count, norm); });
    }
}

/// Two passes in double precision.
static Moments moments_of(const float* x, std::int64_t size) {
  const auto sum = [&](double center, bool squares) {
    const auto term = [&](double v) { return squares ? (v - center) * (v - center) : v; };
    WideVec lanes{};
    double total = 0;
    std::int64_t i = 0;
    for (; i + kLanes <= size; i += kLanes) {
      const WideVec v = widen(load_first(x + i, kLanes)) - center;
      lanes += squares ? v * v : v;
    }
    for (; i < size; ++i) total += squares ? term(x[i]) : x[i] - center;
    for (int lane = 0; lane < kLanes; ++lane) total += lanes[lane];
    return total;
  };
  const double mean = sum(0, false) / static_cast<double>(size);
  return {mean, sum(mean, true)};
}

template <Winner W, int Pool>
static void pool_plane(const BlockShape& b, const float* x, float* pooled) {
  const std::int64_t pool = Pool != 0 ? Pool : b.pool;
  for (std::int64_t y = 0; y < b.out_height; ++y)
    for_each_vector(b.out_width, [&](std::int64_t column, std::int64_t count) {
      const float* window = x + y * pool * b.in_width + column * pool;
      Vec best = load_strided<Pool>(window, pool, count);
      for (std::int64_t i = 1; i < pool * pool; ++i)
        best = winner<W>(best, load_strided<Pool>(window + i / pool * b.in_width + i % pool, pool, count));
      store_first(pooled + y * b.out_width + column, best, count);
    });
}

template <Winner W>
static void pool_plane(const BlockShape& b, const float* x, float* pooled) {
  b.pool == 2 ? pool_plane<W, 2>(b, x, pooled) : pool_plane<W, 0>(b, x, pooled);
}

void block_reduce(const BlockShape& b, const float* x, const float* gamma, int /*valid*/, Moments* moments,
                  float* pooled) {
  const std::int64_t plane = b.in_height * b.in_width, out_plane = b.out_height * b.out_width;
  for (std::int64_t c = 0; c < b.channels; ++c, x += plane) {
    if (moments != nullptr) moments[c] = moments_of(x, plane);
    if (!pools_raw(b)) continue;
    float* to = pooled + c * out_plane;
    const float sign = gamma != nullptr ? gamma[c] : 1.0f;
    // After a batch norm a NaN poisons the whole channel through the statistics, so the plain maximum may
    // lose it.
    if (!b.norm)
      pool_plane<Winner::maximum_or_nan>(b, x, to);
    else if (sign > 0)
      pool_plane<Winner::maximum>(b, x, to);
    else if (sign < 0)
      pool_plane<Winner::minimum>(b, x, to);
    else
      pool_plane<Winner::first>(b, x, to);
  }
}

template <bool HasNorm, class A>
static void forward(const BlockShape& b, const A& activation, const float* raw, const NormCoefficients& n,
                    float* y) {
  for_each_plane(b, b.out_height * b.out_width, n, [&](std::int64_t i, std::int64_t count, const Norm& norm) {
    const Vec v = load_first(raw + i, count);
    store_first(y + i, activation.forward(HasNorm ? norm(v) : v), count);
  });
}

void block_forward(const BlockShape& b, const float* raw, const NormCoefficients& n, float* y) {
  if (averages(b)) return average_forward(b, raw, n, y);
  with_activation(b.activation, [&](const auto& activation) {
    b.norm ? forward<true>(b, activation, raw, n, y) : forward<false>(b, activation, raw, n, y);
  });
}

void feature_moments(std::int64_t channels, std::int64_t images, std::int64_t first, std::int64_t last,
                     const float* x, Moments* moments) {
  const double n = static_cast<double>(images);
  for (std::int64_t c = first; c < last; ++c) {
    double sum = 0, m2 = 0;
    for (std::int64_t i = 0; i < images; ++i) sum += x[i * channels + c];
    const double mean = sum / n;
    for (std::int64_t i = 0; i < images; ++i) {
      const double d = x[i * channels + c] - mean;
      m2 += d * d;
    }
    moments[c] = {mean, m2};
  }
}

template <class A>
static void backward_sums(const BlockShape& b, const A& activation, const float* raw, const float* y,
                          const float* dy, const NormCoefficients& n, double* sums) {
  const std::int64_t plane = b.out_height * b.out_width;
  for (std::int64_t c = 0; c < b.channels; ++c, raw += plane, y += plane, dy += plane) {
    const Norm norm(n, c, kLanes, true);
    double total = 0, total_xhat = 0;
    for (std::int64_t first = 0; first < plane; first += kShortSum) {
      Sums part;
      for_each_vector(least(kShortSum, plane - first), [&](std::int64_t j, std::int64_t count) {
        const std::int64_t i = first + j;
        const Vec v = load_first(raw + i, count);
        part.add(activation.backward(A::kFromOutput ? load_first(y + i, count) : norm(v),
                                     load_first(dy + i, count)),
                 v, norm, count);
      });
      total += lane_sum_wide(part.g);
      total_xhat += lane_sum_wide(part.g_xhat);
    }
    sums[2 * c] = total;
    sums[2 * c + 1] = n.inv_std[c] == 0 ? 0 : total_xhat;
  }
}

void block_backward_sums(const BlockShape& b, const float* raw, const float* y, const float* dy,
                         const NormCoefficients& n, double* sums) {
  if (averages(b)) return average_backward_sums(b, raw, dy, n, sums);
  with_activation(b.activation,
                  [&](const auto& activation) { backward_sums(b, activation, raw, y, dy, n, sums); });
}

void feature_backward_sums(const BlockShape& b, std::int64_t images, std::int64_t first, std::int64_t last,
                           const float* raw, const float* y, const float* dy, const NormCoefficients& n,
                           double* sums) {
  with_activation(b.activation, [&](const auto& activation) {
    using A = std::remove_cvref_t<decltype(activation)>;
    for_each_vector(last - first, [&](std::int64_t j, std::int64_t count) {
      const Norm norm(n, first + j, count, false);
      WideVec total{}, total_xhat{};
      for (std::int64_t image = 0; image < images; ++image) {
        const std::int64_t i = image * b.channels + first + j;
        const Vec v = load_first(raw + i, count);
        Sums part;
        part.add(activation.backward(A::kFromOutput ? load_first(y + i, count) : norm(v),
                                     load_first(dy + i, count)),
                 v, norm, count);
        total += widen(part.g);
        total_xhat += widen(part.g_xhat);
      }
      for (std::int64_t lane = 0; lane < count; ++lane) {
        const std::int64_t c = first + j + lane;
        sums[2 * c] = total[lane];
        sums[2 * c + 1] = n.inv_std[c] == 0 ? 0 : total_xhat[lane];
      }
    });
  });
}

template <int Pool, bool HasNorm, class A>
static void plane_backward(const BlockShape& b, const A& activation, const Norm& norm, const float* x,
                           const float* raw, const float* y, const float* dy, const GradientLayout& layout,
                           float* dx) {
  const std::int64_t pool = Pool != 0 ? Pool : b.pool;
  for_each_output(b, [&](std::int64_t i, std::int64_t top, std::int64_t left, std::int64_t count) {
    const Vec best = load_first(raw + i, count);
    Vec g = activation.backward(A::kFromOutput ? load_first(y + i, count)
                                : HasNorm      ? norm(best)
                                               : best,
                                load_first(dy + i, count));
    if (!HasNorm) asm("" : "+v"(g));  // as in ../block.cpp: one rounding with and without a pooling
    IntVec open = ~IntVec{};
    Vec even{};  // of a pair of columns
    for (std::int64_t p = 0; p < pool * pool; ++p) {
      const std::int64_t iy = top + p / pool, ix = left + p % pool;
      const Vec v = load_strided<Pool>(x + iy * b.in_width + ix, pool, count);
      Vec share = g;
      if (Pool != 1) {
        const IntVec wins = (v == best) & open;
        open &= ~wins;
        share = wins ? g : Vec{};
      }
      const Vec d = input_gradient<HasNorm>(norm, share, v);
      float* to = dx + iy * layout.row + ix * layout.column;
      if (Pool != 2 || layout.column != 1)
        store_strided(to, pool * layout.column, d, count);
      else if (p % 2 == 0)
        even = d;
      else
        store_pairs(to - 1, even, d, count);
    }
  });
  if (Pool != 1) pixels_without_window<HasNorm>(b, norm, x, layout, dx);
}

/// dx = 0 for one plane.
static void clear_plane(const BlockShape& b, const GradientLayout& layout, float* dx) {
  for (std::int64_t y = 0; y < b.in_height; ++y)
    for (std::int64_t x = 0; x < b.in_width; ++x) dx[y * layout.row + x * layout.column] = 0;
}

template <bool HasNorm, class A>
static void backward_input(const BlockShape& b, const A& activation, const float* x, const float* raw,
                           const float* y, const float* dy, const NormCoefficients& n,
                           const GradientLayout& layout, float* dx) {
  const auto backward = b.pool == 1   ? plane_backward<1, HasNorm, A>
                        : b.pool == 2 ? plane_backward<2, HasNorm, A>
                                      : plane_backward<0, HasNorm, A>;
  const std::int64_t in_plane = b.in_height * b.in_width, out_plane = b.out_height * b.out_width;
  float* to = dx + layout.origin;
  BlockShape row = b;  // what is dense is one long row
  GradientLayout dense = layout;
  if (one_pixel(b) && b.pool == 1 && layout.channel == 1) {
    for_each_vector(b.channels, [&](std::int64_t c, std::int64_t count) {
      row.in_width = row.out_width = count;
      dense.column = 1;
      backward(row, activation, Norm(n, c, count, false), x + c, raw + c, y + c, dy + c, dense, to + c);
    });
  } else {
    if (b.pool == 1 && layout.row == b.in_width && layout.column == 1) {
      row.in_height = row.out_height = 1;
      row.in_width = row.out_width = in_plane;
    }
    for (std::int64_t c = 0; c < b.channels; ++c)
      backward(row, activation, Norm(n, c, kLanes, true), x + c * in_plane, raw + c * out_plane,
               y + c * out_plane, dy + c * out_plane, layout, to + c * layout.channel);
  }
}

void block_backward_input(const BlockShape& b, const float* x, const float* raw, const float* y,
                          const float* dy, const NormCoefficients& n, int /*valid*/,
                          const GradientLayout& layout, float* dx) {
  if (averages(b)) {
    const std::int64_t in_plane = b.in_height * b.in_width, out_plane = b.out_height * b.out_width;
    for (std::int64_t c = 0; c < b.channels; ++c)
      average_plane_backward(b, Norm(n, c, kLanes, true), x + c * in_plane, dy + c * out_plane, layout,
                             dx + layout.origin + c * layout.channel);
  } else {
    with_activation(b.activation, [&](const auto& activation) {
      b.norm ? backward_input<true>(b, activation, x, raw, y, dy, n, layout, dx)
             : backward_input<false>(b, activation, x, raw, y, dy, n, layout, dx);
    });
  }
  // A degenerate channel has no gradient.
  for (std::int64_t c = 0; c < b.channels; ++c)
    if (b.norm && n.inv_std[c] == 0) clear_plane(b, layout, dx + layout.origin + c * layout.channel);
}

}  // namespace bntrain::cpu::BNTRAIN_ISA::image
