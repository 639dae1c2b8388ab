#include "train/logit_difference.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace bntrain {
namespace {

constexpr double kStep = 0x1p-23;

class LogitDifferences : public testing::Test {
 protected:
  LogitDifference compare(const std::vector<float>& a, const std::vector<float>& b) const {
    return compare_logits(network_, a, b);
  }
  Network network_ = Network::parse("conv2x3,bn,relu,fc3,bn,fc2", {1, 5, 5, false}, 2);  // three with weights
};

TEST_F(LogitDifferences, AllowRoundingsByLayersAndMagnitude) {
  const LogitDifference same = compare({1, -4}, {1, -4});
  EXPECT_EQ(same.largest, 0);
  EXPECT_EQ(same.logit, 4);
  EXPECT_DOUBLE_EQ(same.allowed, 16 * kStep * 3 * 4);
  EXPECT_TRUE(same.is_rounding());
}

TEST_F(LogitDifferences, TellRoundingFromMore) {
  const float allowed = 16 * 3 * 0x1p-23F * 8;
  EXPECT_TRUE(compare({8, 0}, {8, allowed}).is_rounding());
  EXPECT_FALSE(compare({8, 0}, {8, -std::nextafter(allowed, 1.0F)}).is_rounding());
  EXPECT_FLOAT_EQ(static_cast<float>(compare({8, 1}, {8, 3}).largest), 2);
}

TEST_F(LogitDifferences, NothingThatIsNotFiniteIsRounding) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(compare({nan, 1}, {nan, 1}).is_rounding());
  EXPECT_FALSE(compare({1, 1}, {1, nan}).is_rounding());
  EXPECT_FALSE(compare({inf, 1}, {inf, 1}).is_rounding());
}

TEST_F(LogitDifferences, ZerosMustStayZeros) {
  EXPECT_TRUE(compare({0, 0}, {0, 0}).is_rounding());
  EXPECT_FALSE(compare({0, 0}, {0, 1e-30F}).is_rounding());
}

}  // namespace
}  // namespace bntrain
