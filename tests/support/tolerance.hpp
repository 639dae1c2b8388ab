// Compares float32 results with their double references.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <span>

namespace bntrain::support {

/// The spacing of float32 at 1.
inline constexpr double kFloatEps = std::numeric_limits<float>::epsilon();

/// The error that a sum of `length` terms may have when it is computed with spacing `eps`:
///   eps * (4 + 2 * sqrt(length)) * magnitude
/// `magnitude` is the largest of the numbers added, or better the sum of the terms' absolute values. The root
/// is the random walk of rounding; Higham's worst case, `length` in its place, would let wrong code pass.
double bound(double eps, std::int64_t length, double magnitude);

/// Every |actual - expected| <= bound. NaN must meet NaN, and what lies beyond float32 the infinity of its
/// sign; a bound that is negative or NaN never passes. The message names the worst element.
testing::AssertionResult close(std::span<const float> actual, std::span<const double> expected, double bound);

/// The same with a bound for every element.
testing::AssertionResult close(std::span<const float> actual, std::span<const double> expected,
                               std::span<const double> bounds);

/// |actual - expected| / |expected| in the Euclidean norm; NaN when a value is NaN, so that EXPECT_LE fails.
/// An expected norm of 0 gives 0 for equal values and infinity otherwise.
double relative_norm(std::span<const float> actual, std::span<const double> expected);

/// The largest absolute value, for use as a magnitude.
double largest(std::span<const double> values);

}  // namespace bntrain::support
