// The vector type of one instruction set: one lane, one image. Everything here has internal linkage.
#pragma once

#include <cstdint>

#define BNTRAIN_INLINE static inline __attribute__((always_inline))

namespace bntrain::cpu::BNTRAIN_ISA {

// The register tile of the weight gradients: channels * taps sums, the channels and one tap, of 32 or 16
// registers.
#if defined(__AVX512F__)
constexpr int kLanes = 16, kWeightTileChannels = 5, kWeightTileTaps = 5;
#elif defined(__AVX2__)
constexpr int kLanes = 8, kWeightTileChannels = 3, kWeightTileTaps = 4;
#else
constexpr int kLanes = 4, kWeightTileChannels = 2, kWeightTileTaps = 4;
#endif

typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef std::int32_t IntVec __attribute__((vector_size(kLanes * 4)));
typedef double WideVec __attribute__((vector_size(kLanes * 8)));

BNTRAIN_INLINE Vec load(const float* p) {
  return *reinterpret_cast<const Vec*>(p);
}
BNTRAIN_INLINE void store(float* p, Vec v) {
  *reinterpret_cast<Vec*>(p) = v;
}
BNTRAIN_INLINE Vec splat(float value) {
  return value - Vec{};
}
BNTRAIN_INLINE WideVec widen(Vec v) {
  return __builtin_convertvector(v, WideVec);
}

/// Lanes [0, valid) are all ones.
BNTRAIN_INLINE IntVec first_lanes(int valid) {
  IntVec mask;
  for (int lane = 0; lane < kLanes; ++lane) mask[lane] = lane < valid ? -1 : 0;
  return mask;
}

/// Sum over the lanes as a balanced tree, so that the bits do not depend on the compiler's mood.
BNTRAIN_INLINE float lane_sum(Vec v) {
#if defined(__AVX512F__)
  typedef float Half __attribute__((vector_size(32)));
  const Half h = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                 __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
#else
  const Vec h = v;
#endif
  typedef float Quarter __attribute__((vector_size(16)));
#if defined(__AVX2__)
  const Quarter q = __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
#else
  const Quarter q = h;
#endif
  const Quarter r = q + __builtin_shufflevector(q, q, 2, 3, 0, 1);
  return r[0] + r[1];
}

/// The same in double precision.
BNTRAIN_INLINE double lane_sum_wide(Vec v) {
  double sum = 0;
  for (int lane = 0; lane < kLanes; ++lane) sum += static_cast<double>(v[lane]);
  return sum;
}

}  // namespace bntrain::cpu::BNTRAIN_ISA
