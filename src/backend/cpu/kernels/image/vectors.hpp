// Vectors of the pixels, inputs or channels of one image: neither aligned nor always full.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "backend/cpu/kernels/vec.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::image {

typedef float LooseVec __attribute__((vector_size(kLanes * 4), aligned(4)));

BNTRAIN_INLINE std::int64_t least(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}

#if defined(__AVX512F__)
#define BNTRAIN_LANES(f) \
  f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)
#elif defined(__AVX2__)
#define BNTRAIN_LANES(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#else
#define BNTRAIN_LANES(f) f(0), f(1), f(2), f(3)
#endif

/// Lanes [0, count) are all ones.
BNTRAIN_INLINE IntVec mask_of(std::int64_t count) {
#define BNTRAIN_NUMBER(i) i
  return IntVec{BNTRAIN_LANES(BNTRAIN_NUMBER)} < static_cast<std::int32_t>(count);
#undef BNTRAIN_NUMBER
}

/// The first `count` lanes, of 0 to kLanes, zeros beyond; nothing beyond is read.
BNTRAIN_INLINE Vec load_first(const float* p, std::int64_t count) {
  if (__builtin_constant_p(count) && count == kLanes) return *reinterpret_cast<const LooseVec*>(p);
#if defined(__AVX512F__)
  return reinterpret_cast<Vec>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p));
#elif defined(__AVX2__)
  return reinterpret_cast<Vec>(_mm256_maskload_ps(p, reinterpret_cast<__m256i>(mask_of(count))));
#else
  if (count == kLanes) return *reinterpret_cast<const LooseVec*>(p);
  alignas(64) float values[kLanes] = {};
#pragma GCC unroll 1
  for (std::int64_t lane = 0; lane < count; ++lane) values[lane] = p[lane];
  return load(values);
#endif
}

/// Writes the first `count` lanes, of 0 to kLanes.
BNTRAIN_INLINE void store_first(float* p, Vec v, std::int64_t count) {
#if defined(__AVX512F__)
  if (!(__builtin_constant_p(count) && count == kLanes)) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), reinterpret_cast<__m512>(v));
    return;
  }
#else
  if (count != kLanes) {
    alignas(64) float values[kLanes];
    store(values, v);
#pragma GCC unroll 1
    for (std::int64_t lane = 0; lane < count; ++lane) p[lane] = values[lane];
    return;
  }
#endif
  *reinterpret_cast<LooseVec*>(p) = v;
}

/// Calls use(first, count) for every vector of `size` elements; `count` is a constant but for the last.
template <class Use>
BNTRAIN_INLINE void for_each_vector(std::int64_t size, const Use& use) {
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) use(i, std::int64_t{kLanes});
  if (i < size) use(i, size - i);
}

/// p[2 * i] = lane i of `even`, p[2 * i + 1] = lane i of `odd`, for i < count.
BNTRAIN_INLINE void store_pairs(float* p, Vec even, Vec odd, std::int64_t count) {
#define BNTRAIN_LOWER(i) i / 2 + i % 2 * kLanes
#define BNTRAIN_UPPER(i) kLanes / 2 + i / 2 + i % 2 * kLanes
  const std::int64_t size = 2 * count;
  store_first(p, __builtin_shufflevector(even, odd, BNTRAIN_LANES(BNTRAIN_LOWER)), least(size, kLanes));
  if (size > kLanes)
    store_first(p + kLanes, __builtin_shufflevector(even, odd, BNTRAIN_LANES(BNTRAIN_UPPER)), size - kLanes);
#undef BNTRAIN_LOWER
#undef BNTRAIN_UPPER
}

/// Lane i = p[i * stride] for i < count. `Stride` 0: a number known at run time.
template <int Stride>
BNTRAIN_INLINE Vec load_strided(const float* p, std::int64_t stride, std::int64_t count) {
  if (Stride == 1) return load_first(p, count);
  if (Stride == 2) {
#define BNTRAIN_EVEN(i) 2 * i
    const std::int64_t size = 2 * count - 1;
    const Vec low = load_first(p, least(size, kLanes));
    const Vec high = size > kLanes ? load_first(p + kLanes, size - kLanes) : Vec{};
    return __builtin_shufflevector(low, high, BNTRAIN_LANES(BNTRAIN_EVEN));
#undef BNTRAIN_EVEN
  }
  alignas(64) float values[kLanes] = {};
#pragma GCC unroll 1
  for (std::int64_t i = 0; i < count; ++i) values[i] = p[i * stride];
  return load(values);
}

/// p[i * stride] = lane i for i < count.
BNTRAIN_INLINE void store_strided(float* p, std::int64_t stride, Vec v, std::int64_t count) {
  if (stride == 1) return store_first(p, v, count);
  alignas(64) float values[kLanes];
  store(values, v);
#pragma GCC unroll 1
  for (std::int64_t i = 0; i < count; ++i) p[i * stride] = values[i];
}

}  // namespace bntrain::cpu::BNTRAIN_ISA::image
