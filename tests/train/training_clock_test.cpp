#include "train/training_clock.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace bntrain {
namespace {

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

TEST(TrainingClock, LeavesPausesOut) {
  const double begin = wall_seconds();
  TrainingClock clock;
  const double paused = clock.pause_for([] { std::this_thread::sleep_for(std::chrono::milliseconds(50)); });
  const double counted = clock.seconds();
  EXPECT_GE(paused, 0.05);
  EXPECT_GE(counted, 0);
  // Were the pause counted too, both would not fit into the time that passed.
  EXPECT_LE(counted + paused, wall_seconds() - begin);
}

TEST(TrainingClock, GoesOnFromAnEarlierPart) {
  const TrainingClock clock(100);
  EXPECT_GE(clock.seconds(), 100);
}

}  // namespace
}  // namespace bntrain
