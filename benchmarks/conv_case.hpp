// Convolutions that bntrain_conv_bench times: their text, their sizes, and samples of their results in double
// precision.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/convolution/provider.hpp"
#include "kernels/kernels.hpp"

namespace bntrain::benchmarks {

using kernels::ConvolutionPass;
using kernels::ConvolutionShape;

/// Of "256x20x12x12-50k3s1p0": batch x channels x height x width - output channels, kernel, stride, padding;
/// the last two may be left out and are 1 and 0 then. Throws Error(usage).
ConvolutionShape parse_convolution(std::string_view text);
std::string to_string(const ConvolutionShape& shape);
const char* to_string(ConvolutionPass pass);

/// The reference network's two and a 5x5 one, then layers of small residual networks.
inline constexpr const char* kConvolutions[] = {
    "256x1x28x28-20k5",      "256x20x12x12-50k3",   "256x20x12x12-50k5",  "256x3x32x32-16k3p1",
    "256x16x32x32-32k3s2p1", "256x32x16x16-32k3p1", "256x64x16x16-64k3p1"};

std::int64_t x_size(const ConvolutionShape& shape);
std::int64_t w_size(const ConvolutionShape& shape);
std::int64_t y_size(const ConvolutionShape& shape);

/// Multiply-adds of any of the passes.
std::int64_t multiply_adds(const ConvolutionShape& shape);

/// Seeded inputs of one pass: x and w, w and dy, or x and dy in this order, and the pass's result at some
/// places.
struct ConvProblem {
  ConvProblem(const ConvolutionShape& shape, ConvolutionPass pass, std::uint32_t seed);

  /// |actual - expected| / |expected| in the Euclidean norm over the sampled places; NaN where one is NaN.
  double error(const std::vector<float>& result) const;

  std::vector<float> a, b;
  std::int64_t result_size;
  std::vector<std::int64_t> places;
  std::vector<double> expected;
};

}  // namespace bntrain::benchmarks
