// Pictures for reports: images as PNG.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "bntrain/tensor.hpp"

namespace bntrain {

/// A PNG file in memory.
struct Png {
  std::string bytes;
  std::int64_t height = 0, width = 0;
  std::int64_t channels = 1;  ///< 1: grey, 3: RGB
};

/// One image (C, H, W): RGB where it has three channels, else its first channel in
/// grey. An image with a longer side than `longest` pixels is reduced by a whole factor, each pixel the mean
/// of a square of them. Throws Error(runtime) where libpng cannot make it.
Png png(std::span<const std::uint8_t> pixels, const Shape& shape, std::int64_t longest);

/// RFC 4648, with padding.
std::string base64(const std::string& bytes);

}  // namespace bntrain
