// The shape of one image, or of one layer's output for one image, and sets of images.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bntrain {

/// (C, H, W) of one image; after flattening (C), with height and width 1. The batch is never part of it.
struct Shape {
  std::int64_t channels = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;
  bool flat = false;  ///< a vector of `channels` features rather than an image

  std::int64_t spatial() const { return height * width; }
  std::int64_t size() const { return channels * height * width; }
  bool operator==(const Shape&) const = default;
};

/// Images of one shape with one label each. Pixels stay bytes until a batch is gathered (pixel / 255).
struct ImageSet {
  Shape shape;
  std::int64_t count = 0;
  std::vector<std::uint8_t> pixels;  ///< [count][channels][height][width]
  std::vector<std::uint8_t> labels;  ///< [count], each below Dataset::classes
};

/// "(20, 12, 12)" or "(1250)"; with a batch "(256, 20, 12, 12)".
std::string to_string(const Shape& shape);
std::string to_string(const Shape& shape, std::int64_t batch);

}  // namespace bntrain
