// What is measured: shapes, layouts, the bytes of a pass, how many buffers it takes to leave the cache.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernels.hpp"

namespace bntrain::benchmarks {

struct NormCase {
  std::int64_t batch = 0, channels = 0, height = 1, width = 1;
  kernels::Layout layout = kernels::Layout::channels_first;

  kernels::NormShape shape() const { return {batch, channels, height * width, layout}; }
  std::int64_t size() const { return batch * channels * height * width; }
  bool operator==(const NormCase&) const = default;
};

/// Of "256x20x24x24" (batch, channels, height, width) or "65536x1024". Throws Error(usage).
NormCase parse_norm_case(std::string_view text);
std::string to_string(const NormCase& c);  ///< the text without the layout
const char* to_string(kernels::Layout layout);
const char* to_string(kernels::NormPass pass);

/// The tutorial's two batch norms, three of a ResNet's, and two without pixels.
inline constexpr const char* kNormShapes[] = {"256x20x24x24",   "256x50x10x10", "32x512x7x7", "128x256x56x56",
                                              "256x64x112x112", "65536x1024",   "256x128"};

/// In both layouts where they differ.
std::vector<NormCase> layouts_of(const NormCase& c);

/// The fewest that a pass moves: forward reads x and writes y, backward reads x and dy and writes dx.
std::int64_t bytes_moved(const NormCase& c, kernels::NormPass pass);

/// How many sets of tensors a launch after the other must take, for each to find nothing of its own in the
/// cache: together they are kCacheFill times as large. 1 where a set is that large itself.
inline constexpr std::int64_t kCacheFill = 4;
std::int64_t cold_sets(std::int64_t set_bytes, std::int64_t cache_bytes);

/// Whether launch after launch on one set finds it in the cache.
bool can_be_hot(std::int64_t set_bytes, std::int64_t cache_bytes);

}  // namespace bntrain::benchmarks
