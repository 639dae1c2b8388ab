// What is measured: shapes, layouts, the bytes of a pass, how many buffers it takes to leave the cache.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernels.hpp"

namespace bntrain::benchmarks {

/// A batch norm, or a batch norm with ReLU and max pooling of `pool` x `pool` pixels.
struct NormCase {
  std::int64_t batch = 0, channels = 0, height = 1, width = 1;
  kernels::Layout layout = kernels::Layout::channels_first;
  std::int64_t pool = 0;  ///< 0: the norm alone

  kernels::NormShape shape() const { return {batch, channels, height * width, layout}; }
  std::int64_t size() const { return batch * channels * height * width; }
  bool has_relu() const { return pool > 0; }
  std::int64_t window() const { return pool > 0 ? pool : 1; }
  std::int64_t out_height() const { return height / window(); }
  std::int64_t out_width() const { return width / window(); }
  std::int64_t out_size() const { return batch * channels * out_height() * out_width(); }
  bool operator==(const NormCase&) const = default;
};

/// Of "256x20x24x24" (batch, channels, height, width), "65536x1024" or "256x20x24x24+relu+maxpool2". Throws
/// Error(usage).
NormCase parse_norm_case(std::string_view text);
std::string to_string(const NormCase& c);  ///< the text without the layout
const char* to_string(kernels::Layout layout);
const char* to_string(kernels::NormPass pass);

/// The reference network's two batch norms, three of a ResNet's, two without pixels; the first two with what
/// follows them.
inline constexpr const char* kNormShapes[] = {"256x20x24x24",
                                              "256x50x10x10",
                                              "32x512x7x7",
                                              "128x256x56x56",
                                              "256x64x112x112",
                                              "65536x1024",
                                              "256x128",
                                              "256x20x24x24+relu+maxpool2",
                                              "256x50x10x10+relu+maxpool2"};

/// In both layouts where they differ; with pooling channels first, the only one that is offered.
std::vector<NormCase> layouts_of(const NormCase& c);

/// The fewest that a pass moves: forward reads x and writes y, backward reads x and dy and writes dx. y and
/// dy are small with pooling.
std::int64_t bytes_moved(const NormCase& c, kernels::NormPass pass);

/// How many sets of tensors a launch after the other must take, for each to find nothing of its own in the
/// cache: together they are kCacheFill times as large. 1 where a set is that large itself.
inline constexpr std::int64_t kCacheFill = 4;
std::int64_t cold_sets(std::int64_t set_bytes, std::int64_t cache_bytes);

/// Whether launch after launch on one set finds it in the cache.
bool can_be_hot(std::int64_t set_bytes, std::int64_t cache_bytes);

}  // namespace bntrain::benchmarks
