// One convolution over one group with everything that the kernels and the reference want to know about it.
#pragma once

#include <string>
#include <vector>

#include "backend/cpu/kernel_test.hpp"

namespace bntrain::cpu {

/// A convolution named by its output: the input is as large as needed, plus `rest` rows and columns that no
/// window reaches.
struct ConvCase {
  std::int64_t in_channels, out_channels, kernel, stride, padding, out_height, out_width, rest;

  std::int64_t input(std::int64_t out) const { return (out - 1) * stride + kernel - 2 * padding + rest; }
  bool possible() const { return input(out_height) >= 1 && input(out_width) >= 1; }
  std::string name() const {
    return std::to_string(in_channels) + " -> " + std::to_string(out_channels) + " channels, kernel " +
           std::to_string(kernel) + ", stride " + std::to_string(stride) + ", padding " +
           std::to_string(padding) + ", output " + std::to_string(out_height) + "x" +
           std::to_string(out_width) + ", rest " + std::to_string(rest);
  }
};

/// Every tile width with both families of tiles, then every value of every axis in turn.
inline std::vector<ConvCase> conv_cases() {
  std::vector<ConvCase> cases;
  for (std::int64_t width = 1; width <= 13; ++width)
    for (const std::int64_t channels : {4, 5})
      cases.push_back({9 - channels, channels, 3, 1, 1, 2, width, 0});
  const std::int64_t channels[] = {1, 3, 4, 5, 7, 20, 50};
  std::int64_t i = 0;
  for (const std::int64_t kernel : {1, 2, 3, 5, 7})
    for (const std::int64_t stride : {1, 2, 3})
      for (std::int64_t padding = 0; padding < std::min<std::int64_t>(3, kernel); ++padding, ++i)
        cases.push_back({channels[(i * 3 + 1) % 7], channels[(i + i / 7) % 7], kernel, stride, padding,
                         1 + (i * 2) % 5, 1 + (i * 5) % 7, i % stride});
  // Odd and even sides with every padding for transforms, and channels beyond one part of every loop.
  for (std::int64_t side = 1; side <= 14; ++side)
    cases.push_back({9 + side, 20 - side, 3, 1, side % 3, side, 15 - side, 0});
  cases.push_back({20, 50, 3, 1, 0, 10, 10, 0});
  cases.push_back({67, 53, 3, 1, 1, 3, 4, 0});
  std::erase_if(cases, [](const ConvCase& c) { return !c.possible(); });
  return cases;
}

struct ConvProblem {
  reference::ConvShape dense;  ///< as PyTorch sees it
  ConvShape shape;             ///< as the kernels see it: padded
  std::int64_t padding;
  int valid;
  std::vector<float> x, weight, bias, dy;

  Planes input() const { return {dense.in_channels, dense.height, dense.width}; }
  Planes padded() const { return {shape.in_channels, shape.in_height, shape.in_width}; }
  Planes output() const { return {shape.out_channels, shape.out_height, shape.out_width}; }

  /// The input with its border, in lanes; dead lanes hold `dead`, border included.
  support::Guarded padded_lanes(int lanes, float dead) const {
    const Planes from = input(), to = padded();
    std::vector<float> images(at(valid * to.size()), 0.0f);
    const GradientLayout inside{to.height * to.width, to.width, 1, padding * to.width + padding};
    for (std::int64_t n = 0; n < valid; ++n)
      for (std::int64_t i = 0; i < from.size(); ++i)
        images[at(n * to.size() + place(i, from, inside))] = x[at(n * from.size() + i)];
    return to_lanes(images, to.size(), lanes, dead);
  }
};

/// `random(size)` gives numbers.
template <class Random>
ConvProblem make_problem(const ConvCase& c, int valid, Random random) {
  ConvProblem p;
  p.dense = {valid,    c.in_channels, c.input(c.out_height), c.input(c.out_width), c.out_channels, c.kernel,
             c.stride, c.padding};
  p.padding = c.padding;
  p.valid = valid;
  p.shape = {c.in_channels,
             p.dense.height + 2 * c.padding,
             p.dense.width + 2 * c.padding,
             c.out_channels,
             p.dense.out_height(),
             p.dense.out_width(),
             c.kernel,
             c.stride};
  p.x = random(valid * p.input().size());
  p.weight = random(c.out_channels * c.in_channels * c.kernel * c.kernel);
  p.bias = random(c.out_channels);
  p.dy = random(valid * p.output().size());
  return p;
}

/// All that can compute it.
inline std::vector<const ConvAlgorithm*> algorithms_for(const Kernels& kernels, const ConvProblem& p) {
  std::vector<const ConvAlgorithm*> all{kernels.direct};
  if (kernels.winograd2 != nullptr && winograd_supports(p.shape, p.padding))
    all.insert(all.end(), {kernels.winograd2, kernels.winograd4});
  return all;
}

}  // namespace bntrain::cpu
