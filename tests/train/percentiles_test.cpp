#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/random.hpp"
#include "support/nan.hpp"
#include "train/probe.hpp"

namespace bntrain {
namespace {

using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;
using testing::IsNan;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
using support::kNan;

TEST(Percentiles, OfValuesThatLieOnThem) {
  std::vector<float> values;
  for (int i = 100; i >= 0; --i) values.push_back(static_cast<float>(i) - 50);
  EXPECT_THAT(percentiles(values), ElementsAre(-45, -35, 0, 35, 45));
}

// numpy.percentile([4, 1, 3, 2], [5, 15, 50, 85, 95]): the positions 0.15, 0.45, 1.5, 2.55 and 2.85.
TEST(Percentiles, InterpolateBetweenNeighbours) {
  EXPECT_THAT(percentiles({4, 1, 3, 2}), ElementsAre(DoubleNear(1.15, 1e-12), DoubleNear(1.45, 1e-12), 2.5,
                                                     DoubleNear(3.55, 1e-12), DoubleNear(3.85, 1e-12)));
}

TEST(Percentiles, OfOneValueAreThatValue) {
  EXPECT_THAT(percentiles({-7}), Each(-7));
}

TEST(Percentiles, OfEqualValuesAreThatValue) {
  EXPECT_THAT(percentiles({2, 2, 2, 2, 2}), Each(2));
}

TEST(Percentiles, OfNothingAreNotNumbers) {
  EXPECT_THAT(percentiles({}), Each(IsNan()));
}

TEST(Percentiles, ANanAnywhereMakesAllOfThemNan) {
  EXPECT_THAT(percentiles({1, kNan, 2}), Each(IsNan()));
}

TEST(Percentiles, InfinitiesAreValues) {
  const Percentiles result = percentiles({-kInfinity, -kInfinity, 1, kInfinity, kInfinity});
  EXPECT_THAT(result, ElementsAre(-kInfinity, -kInfinity, 1, kInfinity, kInfinity));
}

TEST(Percentiles, AreThoseOfTheSortedList) {
  for (const std::size_t n : {2, 3, 19, 20, 21, 1000, 4097}) {
    std::vector<float> values(n);
    RandomStream random(1, RandomPurpose::gamma, n);
    for (float& value : values) value = std::round(static_cast<float>(4 * random.normal()));  // with ties
    const Percentiles result = percentiles(values);
    std::ranges::sort(values);
    for (std::size_t i = 0; i < percents.size(); ++i) {
      const double position = percents[i] / 100.0 * static_cast<double>(n - 1);
      const auto below = static_cast<std::size_t>(position);
      const double lower = values[below], upper = values[std::min(below + 1, n - 1)];
      EXPECT_NEAR(result[i], lower + (upper - lower) * (position - std::floor(position)), 1e-9)
          << percents[i] << " of " << n;
    }
  }
}

}  // namespace
}  // namespace bntrain
