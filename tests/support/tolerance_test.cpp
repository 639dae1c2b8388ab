#include "support/tolerance.hpp"
#include "support/nan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace bntrain::support {
namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

using support::kNan;
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Close, JudgesByTheBound) {
  EXPECT_TRUE(close(Floats{1, 2}, Doubles{1, 2.25}, 0.25));
  EXPECT_FALSE(close(Floats{1, 2}, Doubles{1, 2.26}, 0.25));
  EXPECT_TRUE(close(Floats{1, 2}, Doubles{1, 2}, 0.0));
  EXPECT_FALSE(close(Floats{1, 2}, Doubles{1, std::nextafter(2.0, 3.0)}, 0.0));
  EXPECT_TRUE(close(Floats{1, 2}, Doubles{1.5, 2}, Doubles{0.5, 0}));
  EXPECT_FALSE(close(Floats{1.5, 2}, Doubles{1.5, 2.5}, Doubles{0.5, 0}));
}

TEST(Close, NanMeetsNanOnly) {
  EXPECT_FALSE(close(Floats{kNan}, Doubles{1}, 1e9));
  EXPECT_FALSE(close(Floats{1}, Doubles{kNan}, 1e9));
  EXPECT_FALSE(close(Floats{kInf}, Doubles{kNan}, 1e9));
  EXPECT_FALSE(close(Floats{kNan}, Doubles{kInf}, 1e9));
  EXPECT_TRUE(close(Floats{kNan}, Doubles{kNan}, 0));
}

TEST(Close, InfinityMeetsItsOwnSign) {
  EXPECT_TRUE(close(Floats{kInf, -kInf}, Doubles{kInf, -kInf}, 0));
  EXPECT_TRUE(close(Floats{kInf}, Doubles{1e60}, 0));  // float32 has nothing nearer
  EXPECT_FALSE(close(Floats{kInf}, Doubles{-kInf}, kInf));
  EXPECT_FALSE(close(Floats{kInf}, Doubles{1}, kInf));
  EXPECT_FALSE(close(Floats{1}, Doubles{kInf}, kInf));
}

TEST(Close, RefusesSenselessRequests) {
  EXPECT_FALSE(close(Floats{1}, Doubles{1}, -1.0));
  EXPECT_FALSE(close(Floats{1}, Doubles{1}, static_cast<double>(kNan)));
  EXPECT_FALSE(close(Floats{1, 2}, Doubles{1}, 1.0));
  EXPECT_FALSE(close(Floats{1}, Doubles{1}, Doubles{}));
}

TEST(Close, NamesTheWorstElement) {
  const testing::AssertionResult result = close(Floats{1, 2, 3, 4}, Doubles{1.5, 2, 5, 4.5}, 0.25);
  EXPECT_THAT(result.message(), testing::HasSubstr("3 of 4 values"));
  EXPECT_THAT(result.message(), testing::HasSubstr("[2] = 3, expected 5"));
}

TEST(Bound, GrowsWithTheRootOfTheLength) {
  EXPECT_DOUBLE_EQ(bound(0.5, 0, 1), 2);
  EXPECT_DOUBLE_EQ(bound(0.5, 100, 10), 120);
}

TEST(RelativeNorm, OfKnownVectors) {
  EXPECT_DOUBLE_EQ(relative_norm(Floats{3, 4}, Doubles{3, 0}), 4.0 / 3);
  EXPECT_EQ(relative_norm(Floats{0}, Doubles{0}), 0);
  EXPECT_TRUE(std::isinf(relative_norm(Floats{1}, Doubles{0})));
  EXPECT_TRUE(std::isnan(relative_norm(Floats{kNan}, Doubles{1})));
  EXPECT_TRUE(std::isnan(relative_norm(Floats{1}, Doubles{1, 2})));
}

TEST(Largest, OfAbsoluteValues) {
  EXPECT_EQ(largest(Doubles{1, -3, 2}), 3);
}

}  // namespace
}  // namespace bntrain::support
