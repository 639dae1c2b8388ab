// A storage type: half the bytes of float32 with its range, 8 bits of mantissa. Kernels convert it to
// float32 when they load, compute in float32 and fp64, and round once when they store.
#pragma once

#include <cstring>

#include "kernels/simt/simt.hpp"

namespace bntrain::simt {

struct Bfloat16 {
  std::uint16_t bits;

  Bfloat16() = default;
  /// To the nearest, ties to even; values that overflow become infinite, NaN stays NaN.
  SIMT_HOST_DEVICE explicit Bfloat16(float value) {
    std::uint32_t wide;
    memcpy(&wide, &value, sizeof wide);
    const bool is_nan = (wide & 0x7fff'ffffu) > 0x7f80'0000u;
    const std::uint32_t rounded = (wide + 0x7fffu + (wide >> 16 & 1u)) >> 16;
    bits = static_cast<std::uint16_t>(is_nan ? wide >> 16 | 0x40u : rounded);
  }
  SIMT_HOST_DEVICE explicit operator float() const {
    const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
  }
};

}  // namespace bntrain::simt
