// Between dense tensors and the layout of the CPU kernels: one group of images, [element][lane].
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/cpu/kernels.hpp"
#include "support/guarded.hpp"

namespace bntrain::cpu {

inline std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

/// A plane set of one image.
struct Planes {
  std::int64_t channels = 1, height = 1, width = 1;
  std::int64_t size() const { return channels * height * width; }
};

/// (images, size) -> [size][lane]. Lanes without an image hold `dead`: finite, and nobody's business.
inline support::Guarded to_lanes(std::span<const float> images, std::int64_t size, int lanes,
                                 float dead = 0) {
  const auto valid = static_cast<std::int64_t>(images.size()) / size;
  std::vector<float> group(at(size * lanes), dead);
  for (std::int64_t n = 0; n < valid; ++n)
    for (std::int64_t i = 0; i < size; ++i) group[at(i * lanes + n)] = images[at(n * size + i)];
  return support::Guarded(group);
}

/// [size][lane] -> (valid, size).
inline std::vector<float> from_lanes(std::span<const float> group, int lanes, int valid) {
  const std::int64_t size = static_cast<std::int64_t>(group.size()) / lanes;
  std::vector<float> images(at(size * valid));
  for (std::int64_t n = 0; n < valid; ++n)
    for (std::int64_t i = 0; i < size; ++i) images[at(n * size + i)] = group[at(i * lanes + n)];
  return images;
}

inline GradientLayout dense(const Planes& planes) {
  return {planes.height * planes.width, planes.width, 1, 0};
}

/// Where element `i` of the dense planes lies in `layout`, in vectors.
inline std::int64_t place(std::int64_t i, const Planes& planes, const GradientLayout& layout) {
  const std::int64_t channel = i / (planes.height * planes.width);
  const std::int64_t y = i / planes.width % planes.height;
  return channel * layout.channel + y * layout.row + i % planes.width * layout.column + layout.origin;
}

/// Dense group -> the same in `layout`, `filler` in the `vectors - planes.size()` places between.
inline std::vector<float> spread(std::span<const float> group, const Planes& planes,
                                 const GradientLayout& layout, std::int64_t vectors, int lanes,
                                 float filler) {
  std::vector<float> result(at(vectors * lanes), filler);
  for (std::int64_t i = 0; i < planes.size(); ++i)
    for (std::int64_t lane = 0; lane < lanes; ++lane)
      result[at(place(i, planes, layout) * lanes + lane)] = group[at(i * lanes + lane)];
  return result;
}

}  // namespace bntrain::cpu
