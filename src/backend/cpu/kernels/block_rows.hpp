// Statistics and raw pooling of a few rows at a time, while they are in the first-level cache. The
// convolution calls this in its epilogue and block_reduce() over a whole plane: same functions, same chunks,
// same bits.
#pragma once

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/vec.hpp"

namespace bntrain::cpu::BNTRAIN_ISA {

/// Most output channels that a convolution tile has in flight.
constexpr int kMaxBlockChannels = 5;

/// Running (mean, M2) per lane, of `count` values each.
struct LaneMoments {
  WideVec mean{};
  WideVec m2{};
  double count = 0;
};

/// Whole pooling windows, and enough elements that the merge in double precision costs little beside them.
BNTRAIN_INLINE std::int64_t rows_per_chunk(const BlockShape& b) {
  const std::int64_t windows = (32 + b.pool * b.in_width - 1) / (b.pool * b.in_width);
  return windows * b.pool;
}

/// Adds n vectors to the moments. Within the chunk the two-pass algorithm in float32 with the first-order
/// correction (Chan, Golub and LeVeque 1983, eq. 1.7): it makes the chunk's mean good to double precision.
/// Between chunks Chan's difference form in double precision. Sums of squares would lose 12% of the variance
/// at |mean| / std = 1000.
BNTRAIN_INLINE void add_chunk(const float* x, std::int64_t n, LaneMoments& moments) {
  Vec sum[4] = {};
  std::int64_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int k = 0; k < 4; ++k) sum[k] += load(x + (i + k) * kLanes);
  for (; i < n; ++i) sum[0] += load(x + i * kLanes);
  const Vec center = ((sum[0] + sum[1]) + (sum[2] + sum[3])) * splat(1.0f / static_cast<float>(n));

  Vec square[4] = {};
  Vec rest[4] = {};
  for (i = 0; i + 4 <= n; i += 4)
    for (int k = 0; k < 4; ++k) {
      const Vec d = load(x + (i + k) * kLanes) - center;
      square[k] += d * d;
      rest[k] += d;
    }
  for (; i < n; ++i) {
    const Vec d = load(x + i * kLanes) - center;
    square[0] += d * d;
    rest[0] += d;
  }
  const double count = static_cast<double>(n);
  const WideVec correction = widen((rest[0] + rest[1]) + (rest[2] + rest[3])) * (1.0 / count);
  const WideVec mean = widen(center) + correction;
  const WideVec m2 =
      widen((square[0] + square[1]) + (square[2] + square[3])) - correction * correction * count;

  const double total = moments.count + count;
  const WideVec delta = mean - moments.mean;
  moments.mean += delta * (count / total);
  moments.m2 += m2 + delta * delta * (moments.count * count / total);
  moments.count = total;
}

/// Merges the valid lanes, which all have the same count: the mean of means, then the squares around it.
BNTRAIN_INLINE Moments over_lanes(const LaneMoments& lanes, int valid) {
  double mean = 0;
  for (int lane = 0; lane < valid; ++lane) mean += lanes.mean[lane];
  mean /= valid;
  double m2 = 0;
  for (int lane = 0; lane < valid; ++lane) {
    const double d = lanes.mean[lane] - mean;
    m2 += lanes.m2[lane] + lanes.count * (d * d);
  }
  return {mean, m2};
}

enum class Winner { maximum, minimum, first, maximum_or_nan };

template <Winner W>
BNTRAIN_INLINE Vec winner(Vec best, Vec v) {
  if (W == Winner::maximum) return v > best ? v : best;
  if (W == Winner::minimum) return v < best ? v : best;
  if (W == Winner::maximum_or_nan)
    return (v > best) | (v != v) ? v : best;  // NOLINT(misc-redundant-expression): a test for NaN
  return best;
}

template <Winner W>
static void pool_rows(const BlockShape& b, const float* plane, std::int64_t first, std::int64_t last,
                      float* pooled) {
  const std::int64_t row = b.in_width * kLanes;
  for (std::int64_t y = first; y < last; ++y)
    for (std::int64_t x = 0; x < b.out_width; ++x) {
      const float* window = plane + y * b.pool * row + x * b.pool * kLanes;
      Vec best = load(window);
      if (b.pool == 2) {  // what most networks have: no loop
        best = winner<W>(best, load(window + kLanes));
        best = winner<W>(best, load(window + row));
        best = winner<W>(best, load(window + row + kLanes));
      } else {
        for (std::int64_t i = 1; i < b.pool * b.pool; ++i)
          best = winner<W>(best, load(window + i / b.pool * row + i % b.pool * kLanes));
      }
      store(pooled + (y * b.out_width + x) * kLanes, best);
    }
}

/// Rows [top, bottom) of one channel's plane, a chunk as rows_per_chunk() cuts them. `moments` null: pooling
/// alone.
BNTRAIN_INLINE void reduce_rows(const BlockShape& b, const float* plane, std::int64_t top,
                                std::int64_t bottom, float gamma, LaneMoments* moments, float* pooled) {
  // Wide rows are cut further: float32 sums stay short and the second pass stays in the cache.
  constexpr std::int64_t kLongest = 128;
  const std::int64_t end = bottom * b.in_width;
  for (std::int64_t i = top * b.in_width; moments != nullptr && i < end; i += kLongest)
    add_chunk(plane + i * kLanes, i + kLongest < end ? kLongest : end - i, *moments);
  if (b.pool == 1) return;
  const std::int64_t first = top / b.pool;
  const std::int64_t last = bottom / b.pool;
  // Behind a batch norm a NaN poisons the whole channel through the statistics, so the plain maximum may lose
  // it.
  if (!b.norm)
    pool_rows<Winner::maximum_or_nan>(b, plane, first, last, pooled);
  else if (gamma > 0)
    pool_rows<Winner::maximum>(b, plane, first, last, pooled);
  else if (gamma < 0)
    pool_rows<Winner::minimum>(b, plane, first, last, pooled);
  else
    pool_rows<Winner::first>(b, plane, first, last, pooled);
}

}  // namespace bntrain::cpu::BNTRAIN_ISA
