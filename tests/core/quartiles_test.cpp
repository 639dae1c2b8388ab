#include "core/quartiles.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace bntrain {
namespace {

TEST(Quartiles, AreThoseOfTheSortedSamples) {
  const Quartiles of_five = summarise({5, 1, 4, 2, 3});
  EXPECT_EQ(of_five.first, 2);
  EXPECT_EQ(of_five.median, 3);
  EXPECT_EQ(of_five.third, 4);
  EXPECT_DOUBLE_EQ(of_five.spread(), 2.0 / 3);
}

TEST(Quartiles, LieBetweenTwoSamplesWhereNoneIsInTheMiddle) {
  const Quartiles of_two = summarise({3, 1});
  EXPECT_EQ(of_two.first, 1.5);
  EXPECT_EQ(of_two.median, 2);
  EXPECT_EQ(of_two.third, 2.5);
}

TEST(Quartiles, OneSampleHasNoSpread) {
  const Quartiles of_one = summarise({2});
  EXPECT_EQ(of_one.median, 2);
  EXPECT_EQ(of_one.spread(), 0);
}

TEST(Quartiles, NoSampleIsAMistake) {
  EXPECT_THROW(summarise({}), std::logic_error);
}

}  // namespace
}  // namespace bntrain
