// ReLU and sigmoid over a vector of images, and their gradients.
#pragma once

#include <string.h>

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/vec.hpp"

namespace bntrain::cpu::BNTRAIN_ISA {

typedef std::uint32_t Bits __attribute__((vector_size(kLanes * 4)));

/// 2^n for n of [-126, 127]; any bits for other n.
BNTRAIN_INLINE Vec power_of_two(Bits n) {
  return reinterpret_cast<Vec>((n + 127u) << 23);
}

/// exp(v) for v <= 0, with an error of less than 1.5 spacings of float32; 0 where that underflows. NaN
/// passes. v = n ln 2 + r with |r| <= ln 2 / 2; exp(r) is the Taylor polynomial of degree 7, whose remainder
/// is below 5e-9; n ln 2 is subtracted in two parts, the first of 9 bits, so that n times it is exact.
BNTRAIN_INLINE Vec exp_of_negative(Vec v) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded to an integer
  v = v < -104.0f ? splat(-104.0f) : v;  // exp(-104) is below half of the smallest number
  const Vec shifted = v * 1.44269504f + kRound;
  const Vec n = shifted - kRound;
  const Vec r = (v - n * 0.693359375f) + n * 2.12194440e-4f;
  constexpr float kTaylor[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
  Vec p = splat(1.0f / 5040);
  for (const float c : kTaylor) p = p * r + c;
  // In two factors: n goes down to -150, where the result is subnormal.
  const IntVec whole = reinterpret_cast<IntVec>(shifted) - 0x4B400000;
  const IntVec half = whole >> 1;
  return p * power_of_two(reinterpret_cast<Bits>(half)) * power_of_two(reinterpret_cast<Bits>(whole - half));
}

/// 1 / (1 + exp(-v)), by exp(-|v|) <= 1, which cannot overflow; error below 3 spacings of float32.
BNTRAIN_INLINE Vec sigmoid(Vec v) {
  const Vec e = exp_of_negative(v < 0 ? v : -v);
  return (v < 0 ? e : splat(1.0f)) / (1.0f + e);
}

template <Activation A>
BNTRAIN_INLINE Vec activate(Vec v) {
  if (A == Activation::relu) return v < 0 ? Vec{} : v;  // keeps NaN, which fmax(NaN, 0) would hide
  return A == Activation::sigmoid ? sigmoid(v) : v;
}

/// The gradient of the activation's input from its output y and the gradient g of that.
BNTRAIN_INLINE Vec through_activation(Activation activation, Vec y, Vec g) {
  if (activation == Activation::relu) return y <= 0 ? Vec{} : g;
  return activation == Activation::sigmoid ? g * (y * (1.0f - y)) : g;
}

}  // namespace bntrain::cpu::BNTRAIN_ISA
