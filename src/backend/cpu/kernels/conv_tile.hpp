// The inner loop of every convolution: a tile of output channels x output columns held in registers.
#pragma once

#include "backend/cpu/kernels/vec.hpp"

namespace bntrain::cpu::BNTRAIN_ISA {

/// Strides in floats. A tile sums over all input channels, `ky_count` kernel rows and all kernel columns.
struct TileArguments {
  std::int64_t in_channels, in_channel_stride, in_row_stride, in_column_step;
  std::int64_t kernel, ky_count;
  std::int64_t weight_channel_stride, weight_row_stride;
  std::int64_t out_channel_stride;
};

using Tile = void (*)(const TileArguments&, const float* in, const float* weights, const float* bias,
                      int channels, float* out);

/// The kernel size is a run-time number: per (channel, ky, kx) there are OC * X multiply-adds for OC + X
/// loads and three instructions of loop, so instances for common kernel sizes would win nothing that can be
/// measured.
template <int OC, int X>
static void conv_tile(const TileArguments& a, const float* in, const float* weights, const float* bias,
                      int channels, float* out) {
  Vec sum[OC][X];
#pragma GCC unroll 8
  for (int o = 0; o < OC; ++o)
#pragma GCC unroll 8
    for (int x = 0; x < X; ++x) sum[o][x] = splat(bias != nullptr && o < channels ? bias[o] : 0.0f);
  const std::int64_t step = a.in_column_step;
  for (std::int64_t c = 0; c < a.in_channels; ++c) {
    const float* row = in + c * a.in_channel_stride;
    const float* row_weights = weights + c * a.weight_channel_stride;
    for (std::int64_t ky = 0; ky < a.ky_count; ++ky) {
      const float* p = row;
      const float* w = row_weights;
      for (std::int64_t kx = 0; kx < a.kernel; ++kx) {
        Vec v[X];
#pragma GCC unroll 8
        for (int x = 0; x < X; ++x) v[x] = load(p + x * step);
#pragma GCC unroll 8
        for (int o = 0; o < OC; ++o) {
          const Vec weight = splat(w[o]);
#pragma GCC unroll 8
          for (int x = 0; x < X; ++x) sum[o][x] += weight * v[x];
        }
        p += kLanes;
        w += OC;
      }
      row += a.in_row_stride;
      row_weights += a.weight_row_stride;
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < OC; ++o) {
    if (o == channels) return;
#pragma GCC unroll 8
    for (std::int64_t x = 0; x < X; ++x) store(out + o * a.out_channel_stride + x * kLanes, sum[o][x]);
  }
}

/// A family of tiles with the same number of output channels, by width.
struct TileFamily {
  int channels, widest;
  Tile by_width[7];
};

// Register budget: OC * X sums + X inputs + 1 weight: 31 of 32 with AVX-512, 16 of 16 with AVX2.
#if defined(__AVX512F__)
static constexpr TileFamily kFamilies[] = {{4,
                                            6,
                                            {nullptr, conv_tile<4, 1>, conv_tile<4, 2>, conv_tile<4, 3>,
                                             conv_tile<4, 4>, conv_tile<4, 5>, conv_tile<4, 6>}},
                                           {5,
                                            5,
                                            {nullptr, conv_tile<5, 1>, conv_tile<5, 2>, conv_tile<5, 3>,
                                             conv_tile<5, 4>, conv_tile<5, 5>, nullptr}}};
#elif defined(__AVX2__)
static constexpr TileFamily kFamilies[] = {
    {4, 3, {nullptr, conv_tile<4, 1>, conv_tile<4, 2>, conv_tile<4, 3>, nullptr, nullptr, nullptr}},
    {5, 2, {nullptr, conv_tile<5, 1>, conv_tile<5, 2>, nullptr, nullptr, nullptr, nullptr}}};
#else
static constexpr TileFamily kFamilies[] = {
    {4, 2, {nullptr, conv_tile<4, 1>, conv_tile<4, 2>, nullptr, nullptr, nullptr, nullptr}},
    {5, 2, {nullptr, conv_tile<5, 1>, conv_tile<5, 2>, nullptr, nullptr, nullptr, nullptr}}};
#endif

BNTRAIN_INLINE std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// The family with the least work for this output: multiply-adds, wasted channels included, plus half a load
/// each.
BNTRAIN_INLINE const TileFamily& choose_family(std::int64_t channels, std::int64_t width) {
  const TileFamily* best = nullptr;
  double best_cost = 0;
  for (const TileFamily& f : kFamilies) {
    const double tiles = static_cast<double>(ceil_div(channels, f.channels) * ceil_div(width, f.widest));
    const double x = static_cast<double>(width) / static_cast<double>(ceil_div(width, f.widest));
    const double cost = tiles * (f.channels * x + 0.5 * (f.channels + x));
    if (best == nullptr || cost < best_cost) best = &f, best_cost = cost;
  }
  return *best;
}

/// One output row for one block of channels, cut into tiles of nearly equal width.
BNTRAIN_INLINE void conv_row(const TileFamily& family, const TileArguments& a, std::int64_t width,
                             const float* in, const float* weights, const float* bias, int channels,
                             float* out) {
  const std::int64_t tiles = ceil_div(width, family.widest);
  for (std::int64_t t = 0; t < tiles; ++t) {
    const std::int64_t x = width * t / tiles;
    const std::int64_t next = width * (t + 1) / tiles;
    family.by_width[next - x](a, in + x * a.in_column_step, weights, bias, channels, out + x * kLanes);
  }
}

}  // namespace bntrain::cpu::BNTRAIN_ISA
