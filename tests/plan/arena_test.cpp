#include <gtest/gtest.h>

#include <algorithm>

#include "core/random.hpp"
#include "plan/plan.hpp"

namespace bntrain {
namespace {

bool overlap(std::int64_t a, std::int64_t a_size, std::int64_t b, std::int64_t b_size) {
  return a < b + b_size && b < a + a_size;
}

/// Floats alive at the busiest moment: no arena can be smaller.
std::int64_t peak(const std::vector<BufferRequest>& requests, int moments) {
  std::int64_t highest = 0;
  for (int moment = 0; moment < moments; ++moment) {
    std::int64_t alive = 0;
    for (const BufferRequest& request : requests) {
      if (request.first <= moment && moment <= request.last) alive += request.size;
    }
    highest = std::max(highest, alive);
  }
  return highest;
}

TEST(PlanArena, RandomRequestsNeverOverlapAndPackWell) {
  constexpr int moments = 30;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    RandomStream random(seed, RandomPurpose::synthetic, 0);
    std::vector<BufferRequest> requests(1 + random.below(40));
    std::int64_t sum = 0;
    for (BufferRequest& request : requests) {
      request.first = static_cast<int>(random.below(moments));
      request.last =
          request.first + static_cast<int>(random.below(static_cast<std::uint64_t>(moments - request.first)));
      request.size = static_cast<std::int64_t>(random.below(1000));
      sum += request.size;
    }
    std::int64_t total = -1;
    const std::vector<std::int64_t> offsets = plan_arena(requests, total);
    ASSERT_EQ(offsets.size(), requests.size());
    std::int64_t end = 0;
    for (std::size_t a = 0; a < requests.size(); ++a) {
      ASSERT_GE(offsets[a], 0);
      end = std::max(end, offsets[a] + requests[a].size);
      for (std::size_t b = a + 1; b < requests.size(); ++b) {
        const bool together = requests[a].first <= requests[b].last && requests[b].first <= requests[a].last;
        ASSERT_FALSE(together && overlap(offsets[a], requests[a].size, offsets[b], requests[b].size))
            << "seed " << seed << " buffers " << a << " and " << b;
      }
    }
    EXPECT_EQ(total, end);
    EXPECT_GE(total, peak(requests, moments));
    EXPECT_LE(total, std::min(sum, 2 * peak(requests, moments)));
    std::int64_t again = 0;
    EXPECT_EQ(plan_arena(requests, again), offsets);
  }
}

TEST(PlanArena, FillsTheGapBelow) {
  // 100 all the time; 50, then 30 and 20 in its place
  std::int64_t total = 0;
  EXPECT_EQ(plan_arena({{100, 0, 9}, {50, 0, 4}, {30, 5, 9}, {20, 5, 9}}, total),
            (std::vector<std::int64_t>{0, 100, 100, 130}));
  EXPECT_EQ(total, 150);
  // a gap between two buffers that fits exactly
  EXPECT_EQ(plan_arena({{100, 0, 9}, {80, 0, 4}, {80, 0, 9}, {80, 5, 9}}, total),
            (std::vector<std::int64_t>{0, 100, 180, 100}));
}

TEST(PlanArena, TheLastMomentIsIncluded) {
  std::int64_t total = 0;
  EXPECT_EQ(plan_arena({{10, 0, 3}, {10, 3, 5}}, total), (std::vector<std::int64_t>{0, 10}));
  EXPECT_EQ(plan_arena({{10, 0, 3}, {10, 4, 5}}, total), (std::vector<std::int64_t>{0, 0}));
  EXPECT_EQ(total, 10);
}

TEST(PlanArena, Empty) {
  std::int64_t total = -1;
  EXPECT_TRUE(plan_arena({}, total).empty());
  EXPECT_EQ(total, 0);
}

}  // namespace
}  // namespace bntrain
