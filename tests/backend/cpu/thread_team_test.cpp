#include "backend/cpu/thread_team.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "backend/cpu/backend.hpp"
#include "core/machine_limits.hpp"

namespace bntrain::cpu {
namespace {

class ThreadTeamTest : public testing::TestWithParam<int> {
 protected:
  ThreadTeam team{GetParam()};
};

TEST_P(ThreadTeamTest, EveryTaskRunsOnceOnAThreadOfTheTeam) {
  EXPECT_EQ(team.size(), GetParam());
  for (const std::int64_t count : {0, 1, 2, 3, 7, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
    std::atomic<bool> known_thread = true;
    team.for_each(count, [&](std::int64_t number, int thread) {
      ++runs.at(static_cast<std::size_t>(number));
      if (thread < 0 || thread >= team.size()) known_thread = false;
    });
    for (const auto& each : runs) EXPECT_EQ(each, 1);
    EXPECT_TRUE(known_thread);
  }
}

TEST_P(ThreadTeamTest, AThreadNumberIsNeverUsedTwiceAtATime) {
  std::vector<std::atomic<int>> inside(static_cast<std::size_t>(team.size()));
  std::atomic<bool> clash = false;
  team.for_each(200, [&](std::int64_t, int thread) {
    if (inside[static_cast<std::size_t>(thread)]++ != 0) clash = true;
    std::this_thread::yield();
    --inside[static_cast<std::size_t>(thread)];
  });
  EXPECT_FALSE(clash);
}

TEST_P(ThreadTeamTest, WhatTasksWroteIsThereAfterEachOfManyRounds) {
  std::vector<std::int64_t> sums(5, 0);  // plain numbers: the team orders the accesses
  for (std::int64_t round = 0; round < 2000; ++round)
    team.for_each(round % 6,
                  [&](std::int64_t number, int) { sums[static_cast<std::size_t>(number)] += round; });
  std::vector<std::int64_t> expected(5, 0);
  for (std::int64_t round = 0; round < 2000; ++round)
    for (std::int64_t number = 0; number < round % 6; ++number)
      expected[static_cast<std::size_t>(number)] += round;
  EXPECT_EQ(sums, expected);
}

TEST_P(ThreadTeamTest, EndsWithoutEverHavingWorked) {
  for (int i = 0; i < 20; ++i) ThreadTeam{GetParam()};
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadTeamTest, testing::Values(1, 2, 3, 8));

TEST(UsableCores, AreThoseOfTheThreadsAffinityUpToTheQuota) {
  std::thread([] {  // it alone is bound
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    const int cores = CPU_COUNT(&set), quota = cpu_quota();
    EXPECT_EQ(usable_cores(), quota > 0 ? std::min(cores, quota) : cores);
    int first = 0;
    while (!CPU_ISSET(first, &set)) ++first;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    ASSERT_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
    EXPECT_EQ(usable_cores(), 1);
  })
      .join();
}

TEST(ThreadTeam, NeedsAThread) {
  EXPECT_THROW(ThreadTeam{0}, std::logic_error);
}

}  // namespace
}  // namespace bntrain::cpu
