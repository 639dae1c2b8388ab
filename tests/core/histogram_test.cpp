#include "core/histogram.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace bntrain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr float infinity = std::numeric_limits<float>::infinity();

TEST(HistogramTest, CountsInIntervalsOfEqualWidthWithoutTheirUpperEnds) {
  const Histogram h = histogram(std::vector<float>{-1, 3, 0, 0.5F, 1, 2.9F}, 4);
  EXPECT_EQ(h.min, -1);
  EXPECT_EQ(h.max, 3);
  EXPECT_EQ(h.count, 6);
  EXPECT_NEAR(h.sum, 6.4, 1e-6);
  EXPECT_NEAR(h.sum_squares, 1 + 9 + 0.25 + 1 + 8.41, 1e-6);
  EXPECT_THAT(h.counts, ElementsAre(1, 2, 1, 2));
  EXPECT_EQ(h.upper_end(0), 0);
  EXPECT_EQ(h.upper_end(2), 2);
  EXPECT_EQ(h.upper_end(3), 3);
}

TEST(HistogramTest, LeavesOutWhatIsNotFinite) {
  const Histogram h =
      histogram(std::vector<float>{infinity, 1, std::numeric_limits<float>::quiet_NaN(), 2}, 2);
  EXPECT_EQ(h.count, 2);
  EXPECT_EQ(h.max, 2);
  EXPECT_THAT(h.counts, ElementsAre(1, 1));
  EXPECT_THAT(histogram(std::vector<float>{-infinity}).counts, IsEmpty());
  EXPECT_EQ(histogram({}).count, 0);
}

TEST(HistogramTest, OfOneValueHasOneInterval) {
  const Histogram h = histogram(std::vector<float>{5, 5, 5});
  EXPECT_THAT(h.counts, ElementsAre(3));
  EXPECT_EQ(h.upper_end(0), 5);
}

TEST(HistogramTest, OfTheWidestRangeCountsEveryValue) {
  const float most = std::numeric_limits<float>::max(), least = std::numeric_limits<float>::denorm_min();
  EXPECT_THAT(histogram(std::vector<float>{-most, 0, most}, 2).counts, ElementsAre(1, 2));
  EXPECT_THAT(histogram(std::vector<float>{0, least}, 2).counts, ElementsAre(1, 1));
}

}  // namespace
}  // namespace bntrain
