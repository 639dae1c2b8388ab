// Races on shared memory.
#include "kernels/simt/host/planted.hpp"

namespace bntrain {
namespace {

SIMT_KERNEL(64) exchange(bool barrier, float* out) {
  SIMT_SHARED(float, tile, 64);
  tile[thread_index()] = 1;
  if (barrier) block_sync();
  const float other = tile[63 - thread_index()];
  out[thread_index()] = other;
}

TEST(SimtHost, AMissingBarrierBetweenWriteAndReadIsCaught) {
  Device<float> out(64);
  expect_passes(kOneBlock, exchange, true, out);
  // In some schedules the read comes first and finds poison, in others it comes second and finds the race.
  expect_caught("tile[", kOneBlock, exchange, false, out);
  EXPECT_THAT(
      run({}, kOneBlock, exchange, false, out),
      testing::MatchesRegex("kernel k, block 0, thread 0, races_test.cpp:[0-9]+: read of tile\\[63\\], which "
                            "nobody has written"));
}

SIMT_KERNEL(64) reuse(bool barrier, float* out) {
  SIMT_SHARED(float, tile, 64);
  tile[thread_index()] = 1;
  block_sync();
  const float other = tile[63 - thread_index()];
  if (barrier) block_sync();
  tile[thread_index()] = other + 1;
  block_sync();
  const float next = tile[63 - thread_index()];
  out[thread_index()] = next;
}

TEST(SimtHost, AMissingBarrierBeforeReuseIsCaught) {
  Device<float> out(64);
  expect_passes(kOneBlock, reuse, true, out);
  expect_caught("race: tile[", kOneBlock, reuse, false, out);
}

SIMT_KERNEL(64) all_write_one(int writers) {
  SIMT_SHARED(float, one, 1);
  if (thread_index() < writers) one[0] = 1;
}

TEST(SimtHost, TwoWritersOfOneElementAreCaught) {
  expect_passes(kOneBlock, all_write_one, 1);
  expect_caught("race: one[0] was written by block 0, thread", kOneBlock, all_write_one, 2);
}

SIMT_KERNEL(32) within_a_warp(bool barrier, float* out) {
  SIMT_SHARED(float, tile, 32);
  tile[thread_index()] = 1;
  // A shuffle makes the lanes meet, but promises nothing about memory.
  const float one = shuffle(1.0f, 0);
  if (barrier) warp_sync();
  const float other = tile[31 - thread_index()];
  out[thread_index()] = other + one;
}

TEST(SimtHost, TheAssumptionThatAWarpIsInStepIsCaught) {
  Device<float> out(32);
  expect_passes(kOneWarp, within_a_warp, true, out);
  expect_caught("race: tile[", kOneWarp, within_a_warp, false, out);
}

SIMT_KERNEL(64) between_warps(bool block) {
  SIMT_SHARED(float, tile, 64);
  tile[thread_index()] = 1;
  if (block)
    block_sync();
  else
    warp_sync();
  tile[63 - thread_index()] = 2;
}

TEST(SimtHost, AWarpBarrierOrdersNothingBetweenWarps) {
  expect_passes(kOneBlock, between_warps, true);
  expect_caught("race: tile[", kOneBlock, between_warps, false);
}

/// Every reader but one is followed by a barrier of its warp with the writer.
SIMT_KERNEL(64) one_reader_of_many(bool barrier) {
  SIMT_SHARED(float, one, 1);
  if (thread_index() == 0) one[0] = 1;
  block_sync();
  const float value = one[0];
  warp_sync();
  if (barrier) block_sync();
  if (thread_index() == 0) one[0] = value + 1;
}

TEST(SimtHost, OneReaderOfAnotherWarpIsFoundAmongMany) {
  expect_passes(kOneBlock, one_reader_of_many, true);
  // Where warp 0 goes first, the reads of warp 1 come after the write.
  expect_caught("race: one[0]", kOneBlock, one_reader_of_many, false);
}

SIMT_KERNEL(32) last_reader_writes(bool barrier) {
  SIMT_SHARED(float, one, 1);
  if (thread_index() == 0) one[0] = 1;
  block_sync();
  float value = 0;
  if (thread_index() < 2) value = one[0];
  if (barrier) warp_sync();
  if (thread_index() == 1) one[0] = value + 1;
}

TEST(SimtHost, TheLastReaderMayNotWriteEither) {
  expect_passes(kOneWarp, last_reader_writes, true);
  expect_caught("race: one[0]", kOneWarp, last_reader_writes, false);
}

/// Every lane uses gamma, and one of them updates it, in shared or in global memory.
SIMT_KERNEL(32) updates_what_others_read(bool barrier, float* out) {
  SIMT_SHARED(float, gamma, 1);
  if (thread_index() == 0) gamma[0] = 2;
  warp_sync();
  const float mine = gamma[0] * static_cast<float>(thread_index());
  // A shuffle between the two does not help.
  const float largest = shuffle(mine, 31);
  if (barrier) warp_sync();
  if (thread_index() == 0) gamma[0] = 2 + largest;
  out[thread_index()] = mine;
}

SIMT_KERNEL(32) updates_global_memory(bool barrier, float* gamma, float* out) {
  const float mine = load(gamma) * static_cast<float>(thread_index());
  const float largest = shuffle(mine, 31);
  if (barrier) warp_sync();
  if (thread_index() == 0) store(gamma, 2 + largest);
  store(out + thread_index(), mine);
}

TEST(SimtHost, AnUpdateThatOtherLanesMayNotHaveReadBeforeIsCaught) {
  Device<float> gamma(1, 2), out(32);
  expect_passes(kOneWarp, updates_what_others_read, true, out);
  expect_caught("race: gamma[0] was read by block 0, thread", kOneWarp, updates_what_others_read, false, out);
  expect_passes(kOneWarp, updates_global_memory, true, gamma, out);
  expect_caught("race: global memory, byte 0 of this access, was read by block 0, thread", kOneWarp,
                updates_global_memory, false, gamma, out);
}

/// Writes vectors, reads single elements of another thread's.
SIMT_KERNEL(64) exchange_in_global_memory(bool barrier, float* between, float* out) {
  const auto lane = static_cast<float>(thread_index());
  store_vec(between + 4 * thread_index(), {lane, lane, lane, lane});
  if (barrier) block_sync();
  store(out + thread_index(), load(between + 4 * (63 - thread_index()) + 2));
}

TEST(SimtHost, ARaceOnGlobalMemoryWithinABlockIsCaught) {
  Device<float> between(256), out(64);
  expect_passes(kOneBlock, exchange_in_global_memory, true, between, out);
  EXPECT_EQ(out[0], 63);
  expect_caught("race: global memory", kOneBlock, exchange_in_global_memory, false, between, out);
}

SIMT_KERNEL(64) count(bool barrier, unsigned* out) {
  SIMT_SHARED(unsigned, counter, 1);
  if (thread_index() == 0) counter[0] = 0;
  block_sync();
  atomic_add(counter, 1u);
  if (barrier) block_sync();
  const unsigned all = counter[0];
  if (thread_index() == 0) *out = all;
}

TEST(SimtHost, AtomicsDoNotRaceWithEachOtherButWithPlainReads) {
  Device<unsigned> out(1);
  expect_passes(kOneBlock, count, true, out);
  EXPECT_EQ(out[0], 64u);
  expect_caught("race: counter[0]", kOneBlock, count, false, out);
}

}  // namespace
}  // namespace bntrain
