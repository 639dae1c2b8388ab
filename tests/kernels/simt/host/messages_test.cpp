// Messages between blocks.
#include "kernels/simt/host/planted.hpp"

namespace bntrain {
namespace {

/// Every block sends its number once in each of `rounds`, and adds up what all sent.
SIMT_KERNEL(32) all_to_all(int rounds, int silent, Pair<double>* messages, double* sums) {
  double sum = 0;
  for (int round = 1; round <= rounds; ++round) {
    Pair<double>* const slots = messages + round % 2 * grid_size();
    if (thread_index() == 0 && block_index() != silent)
      store_message(slots + block_index(), {1.0 + block_index(), 1.0 * round});
    for (int block = 0; block < grid_size(); ++block) {
      Pair<double> message;
      do message = load_message(slots + block);
      while (message.second != round);
      sum += message.first;
    }
    // The slots of this round are written again two rounds on, when all have read them: each has then sent
    // its next message after reading.
    warp_sync();
  }
  if (thread_index() == 0) sums[block_index()] = sum;
}

TEST(SimtHost, MessagesArriveAtThreadsThatPoll) {
  constexpr int kRounds = 5;
  for (const Settings& settings : simt_host::all_schedules()) {
    SCOPED_TRACE(to_string(settings.schedule));
    Device<Pair<double>> messages(6);
    Device<double> sums(3);
    EXPECT_EQ(run(settings, kCooperative, all_to_all, kRounds, -1, messages, sums), "");
    EXPECT_THAT(sums, testing::Each(6.0 * kRounds));
  }
}

TEST(SimtHost, APollWithoutEndIsADeadlock) {
  Device<Pair<double>> messages(6);
  Device<double> sums(3);
  expect_caught("deadlock\n  block 0, thread 0 to 31: at a message that does not come, messages_test.cpp:",
                kCooperative, all_to_all, 2, 1, messages, sums);
}

TEST(SimtHost, MessagesNeedACooperativeLaunch) {
  Device<Pair<double>> messages(6);
  Device<double> sums(3);
  expect_caught("load_message() in a launch that is not cooperative", {.name = "k", .grid = 3, .block = 32},
                all_to_all, 2, -1, messages, sums);
}

/// Reads one message more often than messages come.
SIMT_KERNEL(32) reads_again(int times, unsigned long long* message, unsigned long long* out) {
  unsigned long long sum = 0;
  for (int i = 0; i < times; ++i) sum += load_message(message);
  if (thread_index() == 0) *out = sum;
}

TEST(SimtHost, AMessageMayBeReadAgain) {
  Device<unsigned long long> message(1, 3), out(1);
  expect_passes({.name = "k", .block = 32, .cooperative = true}, reads_again, 4, message, out);
  EXPECT_EQ(out[0], 12u);
}

}  // namespace
}  // namespace bntrain
