#include "support/tolerance.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <vector>

namespace bntrain::support {
namespace {

/// The error in units of the bound: at most 1 passes, infinity where the kinds of number differ.
double error_in_bounds(double actual, double expected, double bound) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  if (!(bound >= 0)) return kNever;
  if (std::isnan(expected)) return std::isnan(actual) ? 0 : kNever;
  if (std::isnan(actual)) return kNever;
  // A value that rounds to FLT_MAX or to infinity may do either.
  const bool beyond = std::abs(expected) > FLT_MAX;
  if (std::isinf(actual)) return beyond && std::signbit(actual) == std::signbit(expected) ? 0 : kNever;
  if (std::isinf(expected)) return kNever;
  const double error = std::abs(actual - expected);
  if (error <= bound) return bound > 0 ? error / bound : 0;
  return bound > 0 ? error / bound : kNever;
}

}  // namespace

double bound(double eps, std::int64_t length, double magnitude) {
  return eps * (4 + 2 * std::sqrt(static_cast<double>(length))) * magnitude;
}

testing::AssertionResult close(std::span<const float> actual, std::span<const double> expected,
                               double bound) {
  return close(actual, expected, std::vector<double>(expected.size(), bound));
}

testing::AssertionResult close(std::span<const float> actual, std::span<const double> expected,
                               std::span<const double> bounds) {
  if (actual.size() != expected.size() || actual.size() != bounds.size())
    return testing::AssertionFailure()
           << actual.size() << " values, " << expected.size() << " expected, " << bounds.size() << " bounds";
  double worst = -1;
  std::size_t where = 0, failures = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double error = error_in_bounds(actual[i], expected[i], bounds[i]);
    failures += error <= 1 ? 0 : 1;
    if (error > worst) {
      worst = error;
      where = i;
    }
  }
  if (failures == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure() << failures << " of " << actual.size()
                                     << " values are off; the worst is [" << where
                                     << "] = " << testing::PrintToString(actual[where]) << ", expected "
                                     << testing::PrintToString(expected[where]) << ", off by "
                                     << std::abs(actual[where] - expected[where]) << ", allowed "
                                     << bounds[where];
}

double relative_norm(std::span<const float> actual, std::span<const double> expected) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::quiet_NaN();
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    error += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  if (error == 0) return 0;
  return std::sqrt(error) / std::sqrt(norm);
}

double largest(std::span<const double> values) {
  double result = 0;
  for (const double value : values) result = std::max(result, std::abs(value));
  return result;
}

}  // namespace bntrain::support
