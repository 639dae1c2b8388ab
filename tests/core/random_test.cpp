// Fixed values were computed by a separate implementation in another language.
#include "core/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

namespace bntrain {
namespace {

using Counter = std::array<std::uint32_t, 4>;

TEST(Philox, KnownAnswersOfRandom123) {
  constexpr std::uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}),
            (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, TheNumbersNeverChange) {
  RandomStream first(0, RandomPurpose::weight, 0);
  for (const std::uint32_t word : {0x2dce73e5u, 0x1348e23fu, 0xfcf8e0ecu, 0xa287aadbu, 0xe9535be3u}) {
    EXPECT_EQ(first.next_u32(), word);
  }
  // every half of the seed and of the ordinal is used
  RandomStream second(0x123456789abcdef0, RandomPurpose::shuffle, 0x0123456789abcd);
  for (const std::uint32_t word : {0x3e273af2u, 0x3f20ea75u, 0xe5e0f8feu, 0x760a6ceau, 0xf4e58adcu}) {
    EXPECT_EQ(second.next_u32(), word);
  }
  RandomStream third(3, RandomPurpose::synthetic, 1);
  for (const std::uint64_t value : {1, 1, 1, 2, 2, 1, 1, 0, 1, 0, 1, 0}) EXPECT_EQ(third.below(3), value);
  for (const std::uint64_t value : {2970942017u, 1626575344u})
    EXPECT_EQ(third.below(std::uint64_t{1} << 32), value);
  // a bound that rejects a quarter of the draws
  for (const std::uint64_t value : {2067629480u, 765177176u, 1163108115u, 942664172u}) {
    EXPECT_EQ(third.below(std::uint64_t{3} << 30), value);
  }
}

TEST(RandomStream, EveryPartOfTheKeyMakesAnotherStream) {
  const auto start = [](std::uint64_t seed, RandomPurpose purpose, std::uint64_t ordinal) {
    return RandomStream(seed, purpose, ordinal).next_u32();
  };
  const std::uint64_t high = std::uint64_t{1} << 40;
  const std::set<std::uint32_t> starts{
      start(0, RandomPurpose::weight, 0),    start(1, RandomPurpose::weight, 0),
      start(high, RandomPurpose::weight, 0), start(0, RandomPurpose::bias, 0),
      start(0, RandomPurpose::weight, 1),    start(0, RandomPurpose::weight, high),
  };
  EXPECT_EQ(starts.size(), 6u);
  EXPECT_THROW(RandomStream(0, RandomPurpose::weight, std::uint64_t{1} << 56), std::logic_error);
}

TEST(RandomStream, UniformStaysInRangeWithTheRightMoments) {
  RandomStream stream(11, RandomPurpose::synthetic, 0);
  constexpr int count = 100'000;
  double sum = 0, squares = 0;
  for (int i = 0; i < count; ++i) {
    const double value = stream.uniform();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    ASSERT_EQ(static_cast<double>(static_cast<float>(value)), value);
    sum += value;
    squares += (value - 0.5) * (value - 0.5);
  }
  EXPECT_NEAR(sum / count, 0.5, 5 * std::sqrt(1.0 / 12 / count));
  EXPECT_NEAR(squares / count, 1.0 / 12, 5 * std::sqrt(1.0 / 180 / count));
}

TEST(RandomStream, NormalHasTheRightMomentsAndTails) {
  RandomStream stream(11, RandomPurpose::weight, 0);
  constexpr int count = 200'000;
  double sum = 0, squares = 0, fourth = 0;
  int beyond_two = 0;
  for (int i = 0; i < count; ++i) {
    const double value = stream.normal();
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += value * value;
    fourth += value * value * value * value;
    beyond_two += std::abs(value) > 2;
  }
  EXPECT_NEAR(sum / count, 0.0, 5 * std::sqrt(1.0 / count));
  EXPECT_NEAR(squares / count, 1.0, 5 * std::sqrt(2.0 / count));
  EXPECT_NEAR(fourth / count, 3.0, 5 * std::sqrt(96.0 / count));
  EXPECT_NEAR(static_cast<double>(beyond_two) / count, 0.0455, 5 * std::sqrt(0.0455 / count));
}

TEST(RandomStream, BelowIsUniformAndChecksItsBound) {
  RandomStream stream(5, RandomPurpose::synthetic, 0);
  std::array<int, 7> hits{};
  constexpr int count = 70'000;
  for (int i = 0; i < count; ++i) ++hits.at(stream.below(7));
  for (const int hit : hits) EXPECT_NEAR(hit, count / 7, 5 * std::sqrt(count / 7.0));
  EXPECT_EQ(stream.below(1), 0u);
  EXPECT_THROW(stream.below(0), std::logic_error);
  EXPECT_THROW(stream.below((std::uint64_t{1} << 32) + 1), std::logic_error);
}

TEST(EpochOrder, TheOrdersNeverChange) {
  using Order = std::vector<std::int64_t>;
  EXPECT_EQ(epoch_order(10, 0, 0, true), (Order{4, 3, 5, 0, 6, 9, 2, 7, 8, 1}));
  EXPECT_EQ(epoch_order(10, 0, 1, true), (Order{3, 9, 8, 0, 7, 1, 6, 2, 4, 5}));
  EXPECT_EQ(epoch_order(10, 1, 0, true), (Order{8, 0, 4, 7, 5, 2, 3, 6, 9, 1}));
}

TEST(EpochOrder, IsAPermutation) {
  std::vector<std::int64_t> order = epoch_order(60'000, 0, 0, true);
  EXPECT_EQ(order.front(), 22432);
  EXPECT_EQ(order.back(), 9911);
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, epoch_order(60'000, 0, 0, false));
  EXPECT_EQ(order[59'999], 59'999);
  EXPECT_TRUE(epoch_order(0, 0, 0, true).empty());
  EXPECT_EQ(epoch_order(1, 0, 0, true), std::vector<std::int64_t>{0});
  EXPECT_THROW(epoch_order(-1, 0, 0, true), std::logic_error);
}

TEST(EpochOrder, EveryImageIsEquallyLikelyToComeFirst) {
  std::array<int, 5> hits{};
  constexpr int epochs = 5'000;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    ++hits.at(static_cast<std::size_t>(epoch_order(5, 3, epoch, true)[0]));
  }
  for (const int hit : hits) EXPECT_NEAR(hit, epochs / 5, 5 * std::sqrt(epochs / 5.0));
}

}  // namespace
}  // namespace bntrain
