// Results of products against their sums in double precision.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {

inline reference::Values absolute(const std::vector<float>& values) {
  reference::Values result;
  for (const float value : values) result.push_back(std::abs(static_cast<double>(value)));
  return result;
}

/// Each is the sum of `length` products with these magnitudes, to a quarter of its bound.
inline testing::AssertionResult is_sum(const std::vector<float>& actual, const reference::Values& expected,
                                       const reference::Values& magnitudes, std::int64_t length) {
  std::vector<double> allowed;
  for (const double magnitude : magnitudes)
    allowed.push_back(support::bound(support::kFloatEps, length, magnitude) / 4);
  return support::close(actual, expected, allowed);
}

}  // namespace bntrain
