// From [element][image] to [image][element], a vector of each.
#pragma once

#include "backend/cpu/kernels/vec.hpp"

namespace bntrain::cpu::BNTRAIN_ISA {

/// Element i of a, then of b, for those i whose bit of value `Step` is not set; the other half of each pair
/// comes from kLanes: one stage of a transpose by exchange.
template <int Step, int Half, class V>
BNTRAIN_INLINE V exchanged(V a, V b) {
  constexpr auto from = [](int i) {
    const bool upper = (i & Step) != 0;
    if (Half == 0) return upper ? kLanes + i - Step : i;
    return upper ? kLanes + i : i + Step;
  };
#if defined(__AVX512F__)
  return __builtin_shufflevector(a, b, from(0), from(1), from(2), from(3), from(4), from(5), from(6), from(7),
                                 from(8), from(9), from(10), from(11), from(12), from(13), from(14),
                                 from(15));
#elif defined(__AVX2__)
  return __builtin_shufflevector(a, b, from(0), from(1), from(2), from(3), from(4), from(5), from(6),
                                 from(7));
#else
  return __builtin_shufflevector(a, b, from(0), from(1), from(2), from(3));
#endif
}

template <int Step>
BNTRAIN_INLINE void transpose_stage(Vec (&rows)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if ((i & Step) != 0) continue;
    const Vec a = rows[i], b = rows[i + Step];
    rows[i] = exchanged<Step, 0>(a, b);
    rows[i + Step] = exchanged<Step, 1>(a, b);
  }
}

/// Exchanges as a transpose does, but adds the two vectors of each exchange.
template <int Step>
BNTRAIN_INLINE void sum_stage(Vec (&rows)[kLanes]) {
#pragma GCC unroll 8
  for (int i = 0; i < Step; ++i)
    rows[i] = exchanged<Step, 0>(rows[i], rows[i + Step]) + exchanged<Step, 1>(rows[i], rows[i + Step]);
}

/// Lane i = the sum over the lanes of rows[i], which are lost.
BNTRAIN_INLINE Vec sums_of_rows(Vec (&rows)[kLanes]) {
#if defined(__AVX512F__)
  sum_stage<8>(rows);
#endif
#if defined(__AVX2__)
  sum_stage<4>(rows);
#endif
  sum_stage<2>(rows);
  sum_stage<1>(rows);
  return rows[0];
}

/// out[lane * stride + i] = in[i][lane] for i < kLanes, 0 from `valid` on.
BNTRAIN_INLINE void transpose(const float* in, std::int64_t valid, float* out, std::int64_t stride) {
  Vec rows[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) rows[i] = i < valid ? load(in + i * kLanes) : Vec{};
  transpose_stage<1>(rows);
  transpose_stage<2>(rows);
#if defined(__AVX2__)
  transpose_stage<4>(rows);
#endif
#if defined(__AVX512F__)
  transpose_stage<8>(rows);
#endif
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) store(out + i * stride, rows[i]);
}

}  // namespace bntrain::cpu::BNTRAIN_ISA
