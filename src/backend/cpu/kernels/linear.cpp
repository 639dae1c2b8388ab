// Fully connected layers over one group: every activation is a vector of images, every weight a broadcast
// number.
#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/entry_points.hpp"
#include "backend/cpu/kernels/vec.hpp"

namespace bntrain::cpu::BNTRAIN_ISA {

#if defined(__AVX512F__)
constexpr int kPanelRows = 24, kOuterRows = 5, kOuterColumns = 5;
#elif defined(__AVX2__)
constexpr int kPanelRows = 12, kOuterRows = 3, kOuterColumns = 4;
#else
constexpr int kPanelRows = 8, kOuterRows = 2, kOuterColumns = 4;
#endif

/// `Rows` outputs; the weights of one k are contiguous, so each multiply-add takes its number from memory
/// directly.
template <int Rows>
static void panel(const float* a, std::int64_t stride, std::int64_t k, const float* b, const float* bias,
                  bool relu, float* out) {
  Vec sum[Rows];
#pragma GCC unroll 32
  for (int i = 0; i < Rows; ++i) sum[i] = splat(bias != nullptr ? bias[i] : 0.0f);
  for (std::int64_t j = 0; j < k; ++j, a += stride) {
    const Vec v = load(b + j * kLanes);
#pragma GCC unroll 32
    for (int i = 0; i < Rows; ++i) sum[i] += splat(a[i]) * v;
  }
#pragma GCC unroll 32
  for (std::int64_t i = 0; i < Rows; ++i)
    store(out + i * kLanes, relu ? (sum[i] < 0 ? Vec{} : sum[i]) : sum[i]);
}

void panel_product(const float* a, std::int64_t stride, std::int64_t m, std::int64_t k, const float* b,
                   const float* bias, bool relu, float* out) {
  std::int64_t i = 0;
  const auto next = [&](auto rows, void (*function)(const float*, std::int64_t, std::int64_t, const float*,
                                                    const float*, bool, float*)) {
    for (; i + rows <= m; i += rows)
      function(a + i, stride, k, b, bias != nullptr ? bias + i : nullptr, relu, out + i * kLanes);
  };
  next(kPanelRows, panel<kPanelRows>);
  next(8, panel<8>);
  next(4, panel<4>);
  next(1, panel<1>);
}

void panel_outer(const float* a, std::int64_t a_size, const float* b, std::int64_t b_size,
                 std::int64_t groups, std::int64_t first, std::int64_t last, float* out, float* row_sums) {
  for (std::int64_t i = first; i < last; i += kOuterRows) {
    std::int64_t row[kOuterRows];
#pragma GCC unroll 8
    for (int r = 0; r < kOuterRows; ++r) row[r] = (i + r < last ? i + r : i) * kLanes;
    for (std::int64_t j = 0; j < b_size; j += kOuterColumns) {
      std::int64_t column[kOuterColumns];
#pragma GCC unroll 8
      for (int c = 0; c < kOuterColumns; ++c) column[c] = (j + c < b_size ? j + c : j) * kLanes;
      Vec sum[kOuterRows][kOuterColumns] = {};
      for (std::int64_t g = 0; g < groups; ++g) {
        const float* pa = a + g * a_size * kLanes;
        const float* pb = b + g * b_size * kLanes;
        Vec va[kOuterRows];
#pragma GCC unroll 8
        for (int r = 0; r < kOuterRows; ++r) va[r] = load(pa + row[r]);
#pragma GCC unroll 8
        for (int c = 0; c < kOuterColumns; ++c) {
          const Vec vb = load(pb + column[c]);
#pragma GCC unroll 8
          for (int r = 0; r < kOuterRows; ++r) sum[r][c] += va[r] * vb;
        }
      }
#pragma GCC unroll 8
      for (int r = 0; r < kOuterRows; ++r)
#pragma GCC unroll 8
        for (int c = 0; c < kOuterColumns; ++c)
          if (i + r < last && j + c < b_size) out[(i + r) * b_size + j + c] = lane_sum(sum[r][c]);
    }
  }
  for (std::int64_t i = first; i < last; ++i) {
    Vec sum{};
    for (std::int64_t g = 0; g < groups; ++g) sum += load(a + (g * a_size + i) * kLanes);
    row_sums[i] = lane_sum(sum);
  }
}

void relu_backward(std::int64_t size, const float* y, float* gradient) {
  for (std::int64_t i = 0; i < size * kLanes; i += kLanes)
    store(gradient + i, load(y + i) <= 0 ? Vec{} : load(gradient + i));
}

void transpose(const float* in, std::int64_t rows, std::int64_t columns, std::int64_t first,
               std::int64_t last, float* out) {
  constexpr std::int64_t kTile = 16;  // a cache line of the output at a time
  for (std::int64_t j0 = 0; j0 < columns; j0 += kTile)
    for (std::int64_t i = first; i < last; ++i)
      for (std::int64_t j = j0; j < j0 + kTile && j < columns; ++j) out[j * rows + i] = in[i * columns + j];
}

}  // namespace bntrain::cpu::BNTRAIN_ISA
