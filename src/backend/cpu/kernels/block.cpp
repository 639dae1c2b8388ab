// Batch norm, activation and pooling in one pass, forward and backward, over one group.
// Ioffe and Szegedy 2015, arXiv 1502.03167, algorithm 1 and the gradients of section 3.
#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/activation.hpp"
#include "backend/cpu/kernels/block_average.hpp"
#include "backend/cpu/kernels/block_rows.hpp"
#include "backend/cpu/kernels/entry_points.hpp"

namespace bntrain::cpu::BNTRAIN_ISA {

void block_reduce(const BlockShape& b, const float* x, const float* gamma, int valid, Moments* moments,
                  float* pooled) {
  const std::int64_t chunk = rows_per_chunk(b);
  for (std::int64_t c = 0; c < b.channels; ++c) {
    LaneMoments lanes;
    for (std::int64_t top = 0; top < b.in_height; top += chunk) {
      const std::int64_t bottom = top + chunk < b.in_height ? top + chunk : b.in_height;
      reduce_rows(b, x + c * b.in_height * b.in_width * kLanes, top, bottom,
                  gamma != nullptr ? gamma[c] : 1.0f, moments != nullptr ? &lanes : nullptr,
                  pooled + c * b.out_height * b.out_width * kLanes);
    }
    if (moments != nullptr) moments[c] = over_lanes(lanes, valid);
  }
}

template <Activation A>
static void forward(const BlockShape& b, const float* raw, const NormCoefficients& n, float* y) {
  const std::int64_t plane = b.out_height * b.out_width * kLanes;
  for (std::int64_t c = 0; c < b.channels; ++c, raw += plane, y += plane) {
    // A zero invstd stands for a degenerate variance; multiplying by it could still give inf * 0.
    const bool constant = b.norm && n.invstd[c] == 0;
    const Vec mean = splat(b.norm ? n.mean[c] : 0);
    const Vec scale = splat(b.norm ? n.gamma[c] * n.invstd[c] : 1);
    const Vec beta = splat(b.norm ? n.beta[c] : 0);
    for (std::int64_t i = 0; i < plane; i += kLanes) {
      Vec v = load(raw + i);
      if (b.norm) v = constant ? beta : (v - mean) * scale + beta;
      store(y + i, activate<A>(v));
    }
  }
}

void block_forward(const BlockShape& b, const float* raw, const NormCoefficients& n, float* y) {
  if (averages(b)) return average_forward(b, raw, n, y);
  const auto function = b.activation == Activation::relu      ? forward<Activation::relu>
                        : b.activation == Activation::sigmoid ? forward<Activation::sigmoid>
                                                              : forward<Activation::none>;
  function(b, raw, n, y);
}

template <Activation A>
static void backward_sums(const BlockShape& b, const float* raw, const float* y, const float* dy,
                          const NormCoefficients& n, double* sums) {
  const std::int64_t plane = b.out_height * b.out_width * kLanes;
  constexpr std::int64_t kChunk = std::int64_t{64} * kLanes;  // short float32 sums, then double
  for (std::int64_t c = 0; c < b.channels; ++c, raw += plane, y += plane, dy += plane) {
    const Vec mean = splat(n.mean[c]);
    const Vec invstd = splat(n.invstd[c]);
    const bool constant = n.invstd[c] == 0;
    double total = 0;
    double total_xhat = 0;
    for (std::int64_t start = 0; start < plane; start += kChunk) {
      const std::int64_t end = start + kChunk < plane ? start + kChunk : plane;
      Vec sum{};
      Vec sum_xhat{};
      for (std::int64_t i = start; i < end; i += kLanes) {
        const Vec g = through_activation(A, load(y + i), load(dy + i));
        sum += g;
        sum_xhat += g * ((load(raw + i) - mean) * invstd);
      }
      total += lane_sum_wide(sum);
      total_xhat += constant ? 0 : lane_sum_wide(sum_xhat);
    }
    sums[2 * c] = total;
    sums[2 * c + 1] = total_xhat;
  }
}

void block_backward_sums(const BlockShape& b, const float* raw, const float* y, const float* dy,
                         const NormCoefficients& n, double* sums) {
  if (averages(b)) return average_backward_sums(b, raw, dy, n, sums);
  const auto function = b.activation == Activation::relu      ? backward_sums<Activation::relu>
                        : b.activation == Activation::sigmoid ? backward_sums<Activation::sigmoid>
                                                              : backward_sums<Activation::none>;
  function(b, raw, y, dy, n, sums);
}

/// dx of the first element equal to `best` and of all others in one window: the winner's share of dy, and
/// what comes through the statistics.
template <int Pool, bool Norm>
BNTRAIN_INLINE void window_backward(const ChannelBackward& k, std::int64_t pool, const float* x,
                                    std::int64_t row, Vec best, Vec g, std::int64_t out_row,
                                    std::int64_t out_column, float* dx) {
  if (Pool != 0) pool = Pool;
  // Subtracted before the product, so that one value per channel gives exactly 0.
  const Vec win = Norm ? (g - k.dbeta_mean) * k.scale : g;
  const Vec lose = Norm ? -k.dbeta_mean * k.scale : Vec{};
  IntVec open = ~IntVec{};
  for (std::int64_t wy = 0; wy < pool; ++wy)
    for (std::int64_t wx = 0; wx < pool; ++wx) {
      const Vec v = load(x + wy * row + wx * kLanes);
      Vec d = win;
      if (Pool != 1) {
        const IntVec wins = (v == best) & open;
        open &= ~wins;
        d = wins ? win : lose;
      }
      store(dx + wy * out_row + wx * out_column, Norm ? d - (v - k.mean) * k.slope : d);
    }
}

template <int Pool, bool Norm>
static void plane_backward(const BlockShape& b, const ChannelBackward& k, const float* x, const float* raw,
                           const float* y, const float* dy, const GradientLayout& layout, float* dx) {
  const std::int64_t row = b.in_width * kLanes;
  const std::int64_t out_row = layout.row * kLanes;
  const std::int64_t out_column = layout.column * kLanes;
  for (std::int64_t oy = 0; oy < b.out_height; ++oy)
    for (std::int64_t ox = 0; ox < b.out_width; ++ox) {
      const std::int64_t i = (oy * b.out_width + ox) * kLanes;
      const Vec g = through_activation(b.activation, load(y + i), load(dy + i));
      window_backward<Pool, Norm>(k, b.pool, x + oy * b.pool * row + ox * b.pool * kLanes, row, load(raw + i),
                                  g, out_row, out_column,
                                  dx + oy * b.pool * out_row + ox * b.pool * out_column);
    }
  if (Pool != 1) pixels_without_window<Norm>(b, k, x, layout, dx);
}

/// dx &= mask over one plane.
static void keep_lanes(const BlockShape& b, IntVec mask, const GradientLayout& layout, float* dx) {
  for (std::int64_t y = 0; y < b.in_height; ++y)
    for (std::int64_t x = 0; x < b.in_width; ++x) {
      float* p = dx + (y * layout.row + x * layout.column) * kLanes;
      store(p, mask ? load(p) : Vec{});
    }
}

void block_backward_input(const BlockShape& b, const float* x, const float* raw, const float* y,
                          const float* dy, const NormCoefficients& n, int valid, const GradientLayout& layout,
                          float* dx) {
  const std::int64_t in_plane = b.in_height * b.in_width * kLanes;
  const std::int64_t out_plane = b.out_height * b.out_width * kLanes;
  const auto with_norm = averages(b)   ? average_plane_backward(b)
                         : b.pool == 1 ? plane_backward<1, true>
                         : b.pool == 2 ? plane_backward<2, true>
                                       : plane_backward<0, true>;
  const auto without = averages(b)   ? average_plane_backward(b)
                       : b.pool == 1 ? plane_backward<1, false>
                       : b.pool == 2 ? plane_backward<2, false>
                                     : plane_backward<0, false>;
  ChannelBackward k{};
  for (std::int64_t c = 0; c < b.channels; ++c) {
    if (b.norm) {
      const float scale = n.gamma[c] * n.invstd[c];
      k.mean = splat(n.mean[c]);
      k.beta = splat(n.beta[c]);
      k.scale = splat(scale);
      k.dbeta_mean = splat(n.dbeta_mean[c]);
      k.slope = splat(scale * n.invstd[c] * n.dgamma_mean[c]);
    }
    float* out = dx + (c * layout.channel + layout.origin) * kLanes;
    (b.norm ? with_norm : without)(b, k, x + c * in_plane, raw + c * out_plane, y + c * out_plane,
                                   dy + c * out_plane, layout, out);
    // Lanes without an image would feed the statistics' share into the weights; a degenerate channel has no
    // gradient.
    if (b.norm && (valid < kLanes || n.invstd[c] == 0))
      keep_lanes(b, first_lanes(n.invstd[c] == 0 ? 0 : valid), layout, out);
  }
}

}  // namespace bntrain::cpu::BNTRAIN_ISA
