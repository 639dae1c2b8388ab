// Shared by the tests of the convolutions: shapes, and what float32 may be off by.
#pragma once

#include <cmath>

#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "support/guarded.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {

using kernels::ConvolutionShape;
using support::Guarded;

inline reference::ConvShape wide(const ConvolutionShape& s) {
  return {s.batch, s.in_channels, s.height, s.width, s.out_channels, s.kernel, s.stride, s.padding};
}
inline std::int64_t x_size(const ConvolutionShape& s) {
  return s.batch * s.in_channels * s.height * s.width;
}
inline std::int64_t w_size(const ConvolutionShape& s) {
  return s.out_channels * s.in_channels * s.kernel * s.kernel;
}
inline std::int64_t y_size(const ConvolutionShape& s) {
  return s.batch * s.out_channels * s.out_height() * s.out_width();
}
inline std::string name(const ConvolutionShape& s) {
  std::string text;
  for (const std::int64_t size :
       {s.batch, s.in_channels, s.height, s.width, s.out_channels, s.kernel, s.stride, s.padding})
    text += std::to_string(size) + " ";
  return text;
}
inline std::vector<double> absolute(std::vector<double> values) {
  for (double& value : values) value = std::abs(value);
  return values;
}

/// What a chain of `length` products may be off by, from the same sums over absolute values.
inline std::vector<double> bounds(const std::vector<double>& magnitudes, std::int64_t length) {
  std::vector<double> allowed;
  for (const double magnitude : magnitudes)
    allowed.push_back(support::bound(support::kFloatEps, length, magnitude) / 4);
  return allowed;
}

/// Every kernel size and stride with paddings from 0 to more than the kernel.
inline std::vector<ConvolutionShape> small_shapes() {
  std::vector<ConvolutionShape> shapes;
  for (const std::int64_t kernel : {1, 3, 5, 7})
    for (const std::int64_t stride : {1, 2})
      for (const std::int64_t padding : {std::int64_t{0}, kernel / 2, kernel + 1})
        shapes.push_back({2, 2, 9 + padding % 2, 8, 5, kernel, stride, padding});
  return shapes;
}

/// Several tiles in every direction, several chunks of input channels, several images in a block, single
/// elements, shapes of known networks.
inline const ConvolutionShape kShapes[] = {
    {1, 1, 1, 1, 1, 1, 1, 0},     {1, 1, 1, 1, 1, 3, 2, 1},    {3, 1, 28, 28, 20, 5, 1, 0},
    {2, 20, 12, 12, 50, 3, 1, 0}, {1, 3, 37, 41, 9, 3, 2, 1},  {1, 2, 5, 70, 3, 7, 1, 3},
    {1, 2, 70, 5, 3, 7, 2, 3},    {1, 64, 5, 5, 65, 3, 1, 1},  {1, 1, 1, 1, 200, 7, 1, 3},
    {300, 2, 3, 3, 4, 3, 1, 1},   {300, 3, 4, 5, 17, 5, 2, 2},
};

inline std::vector<ConvolutionShape> all_shapes() {
  std::vector<ConvolutionShape> shapes = small_shapes();
  shapes.insert(shapes.end(), std::begin(kShapes), std::end(kShapes));
  return shapes;
}

}  // namespace bntrain
