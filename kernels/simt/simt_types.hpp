// Types and constants that are the same for nvcc and for the host. Include simt.hpp, never this file.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bntrain::simt {

inline constexpr int kWarpSize = 32;
inline constexpr unsigned kFullMask = 0xffff'ffffu;
inline constexpr int kVecBytes = 16;

/// The widest single access to memory: 4 floats, 8 values of 16 bits, 16 bytes.
template <typename T>
struct alignas(kVecBytes) Vec {
  static constexpr int kSize = kVecBytes / static_cast<int>(sizeof(T));
  T lane[kSize];
};

/// What `count` elements take of a block's dynamic shared memory; every carved array is 16-byte aligned.
template <typename T>
SIMT_HOST_DEVICE constexpr std::int64_t carved_bytes(std::int64_t count) {
  return (count * static_cast<std::int64_t>(sizeof(T)) + kVecBytes - 1) / kVecBytes * kVecBytes;
}

}  // namespace bntrain::simt
