#include "bench/statistic.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace bntrain::bench {
namespace {

TEST(StatisticTest, AgreesWithAComputationByHand) {
  // mean 5; squared distances 9 + 1 + 1 + 9 = 20; 20 / 3.
  const auto statistic = describe({2, 4, 6, 8});
  ASSERT_TRUE(statistic.has_value());
  EXPECT_EQ(statistic->n, 4);
  EXPECT_DOUBLE_EQ(statistic->mean, 5);
  EXPECT_DOUBLE_EQ(statistic->sd.value(), std::sqrt(20.0 / 3));
  EXPECT_EQ(statistic->min, 2);
  EXPECT_EQ(statistic->max, 8);
}

TEST(StatisticTest, ASingleNumberHasNoSpread) {
  const auto statistic = describe({0.75});
  ASSERT_TRUE(statistic.has_value());
  EXPECT_EQ(statistic->n, 1);
  EXPECT_EQ(statistic->mean, 0.75);
  EXPECT_FALSE(statistic->sd.has_value());
  EXPECT_EQ(statistic->min, 0.75);
  EXPECT_EQ(statistic->max, 0.75);
}

TEST(StatisticTest, NothingHasNoStatistic) {
  EXPECT_FALSE(describe({}).has_value());
}

TEST(StatisticTest, ASpreadFarFromZeroKeepsItsDigits) {
  // The textbook E[x^2] - E[x]^2 gives 0 or a negative number here.
  const auto statistic = describe({1e9 + 1, 1e9 + 2, 1e9 + 3});
  EXPECT_DOUBLE_EQ(statistic->sd.value(), 1);
}

TEST(StatisticTest, RefusesWhatIsNotFinite) {
  EXPECT_THROW(describe({1, std::numeric_limits<double>::quiet_NaN()}), std::logic_error);
}

}  // namespace
}  // namespace bntrain::bench
