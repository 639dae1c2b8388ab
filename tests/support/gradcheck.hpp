// Checks a gradient by central differences, in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace bntrain::support {

/// (f(x + h e_i) - f(x - h e_i)) / 2h for every i, with h = step * max(1, |x_i|). `f` takes a vector<double>
/// and gives a double. The default step balances the error of the formula, h^2, against rounding, 1e-16 / h.
template <typename Function>
std::vector<double> central_differences(Function f, std::vector<double> x, double step = 1e-5) {
  std::vector<double> gradient(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double value = x[i];
    const double h = step * std::max(1.0, std::abs(value));
    x[i] = value + h;
    const double above = f(x);
    x[i] = value - h;
    const double below = f(x);
    x[i] = value;
    gradient[i] = (above - below) / (2 * h);
  }
  return gradient;
}

/// Whether `gradient` is the gradient of `f` at `x`, to `tolerance` times the largest difference quotient (or
/// 1).
template <typename Function>
testing::AssertionResult is_gradient(const std::vector<double>& gradient, Function f,
                                     const std::vector<double>& x, double tolerance = 1e-7) {
  const std::vector<double> expected = central_differences(f, x);
  if (gradient.size() != expected.size())
    return testing::AssertionFailure() << gradient.size() << " values, " << expected.size() << " expected";
  double magnitude = 1;
  for (const double value : expected) magnitude = std::max(magnitude, std::abs(value));
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (!(std::abs(gradient[i] - expected[i]) <= tolerance * magnitude))  // also false for NaN
      return testing::AssertionFailure()
             << "d/dx[" << i << "] is " << gradient[i] << ", the difference quotient " << expected[i];
  return testing::AssertionSuccess();
}

}  // namespace bntrain::support
