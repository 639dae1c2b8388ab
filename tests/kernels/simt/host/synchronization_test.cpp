// Barriers, shuffles and votes.
#include "kernels/simt/host/planted.hpp"

namespace bntrain {
namespace {

SIMT_KERNEL(64) leaves_early(int n, bool shuffles, float* out) {
  if (thread_index() >= n) return;
  if (shuffles)
    out[thread_index()] = shuffle_xor(1.0f, 1);
  else
    block_sync();
}

TEST(SimtHost, AnEarlyExitBeforeAShuffleOrABarrierIsCaught) {
  Device<float> out(64);
  expect_passes(kOneBlock, leaves_early, 64, true, out);
  expect_passes(kOneBlock, leaves_early, 32, true, out);  // a whole warp may go
  expect_caught("exit", kOneBlock, leaves_early, 63, true, out);
  expect_caught("exit", kOneBlock, leaves_early, 32, false, out);
}

SIMT_KERNEL(64) two_barriers(bool diverge) {
  if (thread_index() < 32 || !diverge)
    block_sync();
  else
    block_sync();
}

TEST(SimtHost, ADivergentBarrierIsCaught) {
  expect_passes(kOneBlock, two_barriers, false);
  expect_caught("divergent block barrier: other threads wait for it at synchronization_test.cpp:", kOneBlock,
                two_barriers, true);
}

SIMT_KERNEL(32) shuffles_with(unsigned mask, int source, float* out) {
  if (thread_index() < 16) out[thread_index()] = shuffle(1.0f, source, mask);
}

TEST(SimtHost, WrongMasksAreCaught) {
  Device<float> out(32);
  expect_passes(kOneWarp, shuffles_with, 0x0000ffffu, 3, out);
  expect_caught("the mask 0x00007fff of this shuffle leaves out the lane that calls it", kOneWarp,
                shuffles_with, 0x00007fffu, 3, out);
  expect_caught("reads lane 20, which is not in its mask 0x0000ffff", kOneWarp, shuffles_with, 0x0000ffffu,
                20, out);
  expect_caught("exit", kOneWarp, shuffles_with, 0xffffffffu, 3, out);
}

SIMT_KERNEL(32) shuffles_or_votes(float* out) {
  if (thread_index() < 16)
    out[thread_index()] = shuffle(1.0f, 0);
  else
    out[thread_index()] = vote_any(true) ? 1.0f : 0.0f;
}

TEST(SimtHost, LanesAtDifferentOperationsAreCaught) {
  Device<float> out(32);
  expect_caught("other lanes of the mask are at a", kOneWarp, shuffles_or_votes, out);
}

/// The two halves of the block meet apart from each other.
SIMT_KERNEL(128) exchange_in_parts(int far, int threads, float* out) {
  SIMT_SHARED(float, tile, 128);
  tile[thread_index()] = static_cast<float>(thread_index());
  part_sync(1 + thread_index() / 64, threads);
  const float value = tile[thread_index() ^ far];
  out[thread_index()] = value;
}

SIMT_KERNEL(128) part_barriers(int id, int second_half) {
  part_sync(thread_index() < 64 ? id : id + 1, 64);
  if (thread_index() < 64) part_sync(id, 64);
  if (thread_index() >= 64 && second_half != 0) part_sync(second_half, 64);
}

TEST(SimtHost, ABarrierOfAPartOrdersThatPartAlone) {
  const LaunchConfig config{.name = "k", .block = 128};
  Device<float> out(128);
  expect_passes(config, exchange_in_parts, 63, 64, out);
  EXPECT_EQ(out[0], 63);
  EXPECT_EQ(out[127], 64);
  expect_caught("tile[", config, exchange_in_parts, 64, 64, out);
  expect_caught("deadlock\n  block 0, thread 0 to 127: at a barrier of a part of the block", config,
                exchange_in_parts, 63, 96, out);
  expect_caught("allowed are multiples of 32", config, exchange_in_parts, 63, 63, out);
  expect_passes(config, part_barriers, 1, 2);
  // The second half comes to the barrier of the first.
  expect_caught("part_sync() with id 1 by ", config, part_barriers, 1, 1);
  expect_caught("part_sync() with id 0", config, part_barriers, 0, 0);
}

SIMT_KERNEL(64) waits_for_two_things() {
  if (thread_index() < 32)
    block_sync();
  else
    cluster_sync();
}

TEST(SimtHost, ADeadlockIsReportedWithWhereEachGroupWaits) {
  expect_caught("deadlock\n  block 0, thread 0 to 31: at a block barrier, synchronization_test.cpp:",
                kOneBlock, waits_for_two_things);
  expect_caught("\n  block 0, thread 32 to 63: at a cluster barrier, synchronization_test.cpp:", kOneBlock,
                waits_for_two_things);
}

SIMT_KERNEL(32) shuffles_structs(Pair<double>* out) {
  const Pair<double> mine{1.0 * thread_index(), -1.0 * thread_index()};
  out[thread_index()] = shuffle_down(mine, 1);
}

TEST(SimtHost, ShufflesMoveWholeStructs) {
  Device<Pair<double>> out(32);
  expect_passes(kOneWarp, shuffles_structs, out);
  for (int lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(out[lane].first, std::min(lane + 1, 31));
    EXPECT_EQ(out[lane].second, -std::min(lane + 1, 31));
  }
}

}  // namespace
}  // namespace bntrain
