// Each rule of kernels/simt.hpp broken once: the executor says so in every schedule. The mended kernel
// passes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/launch.hpp"
#include "kernels/reduce.cuh"
#include "kernels/simt.hpp"
#include "support/simt_host/executor.hpp"

namespace bntrain {
namespace {

using namespace simt;
using kernels::LaunchConfig;
using simt_host::Executor;
using simt_host::Settings;
using simt_host::SimtError;
using testing::HasSubstr;

/// The message of the SimtError, "" when the kernel passes.
template <typename... Params>
std::string run(const Settings& settings, const LaunchConfig& config, void (*kernel)(Params...),
                std::type_identity_t<Params>... params) {
  Executor executor(settings);
  try {
    kernels::launch(kernel, config, executor.stream(), params...);
  } catch (const SimtError& error) {
    return error.what();
  }
  return "";
}

template <typename... Params>
void expect_caught(const std::string& message, const LaunchConfig& config, void (*kernel)(Params...),
                   std::type_identity_t<Params>... params) {
  for (const Settings& settings : simt_host::all_schedules()) {
    SCOPED_TRACE(to_string(settings.schedule));
    EXPECT_THAT(run(settings, config, kernel, params...), HasSubstr(message));
  }
}

template <typename... Params>
void expect_passes(const LaunchConfig& config, void (*kernel)(Params...),
                   std::type_identity_t<Params>... params) {
  for (const Settings& settings : simt_host::all_schedules()) {
    SCOPED_TRACE(to_string(settings.schedule));
    EXPECT_EQ(run(settings, config, kernel, params...), "");
  }
}

const LaunchConfig kOneBlock{.name = "k", .block = 64};
const LaunchConfig kOneWarp{.name = "k", .block = 32};
const LaunchConfig kCluster{.name = "k", .grid = 4, .block = 32, .cluster = 2};
const LaunchConfig kCooperative{.name = "k", .grid = 3, .block = 32, .cooperative = true};

// -- Races
// ----------------------------------------------------------------------------------------------------

SIMT_KERNEL(64) exchange(bool barrier, float* out) {
  SIMT_SHARED(float, tile, 64);
  tile[thread_index()] = 1;
  if (barrier) block_sync();
  const float other = tile[63 - thread_index()];
  out[thread_index()] = other;
}

TEST(SimtHost, AMissingBarrierBetweenWriteAndReadIsCaught) {
  float out[64];
  expect_passes(kOneBlock, exchange, true, out);
  // In some schedules the read comes first and finds poison, in others it comes second and finds the race.
  expect_caught("tile[", kOneBlock, exchange, false, out);
  EXPECT_THAT(run({}, kOneBlock, exchange, false, out),
              testing::MatchesRegex(
                  "kernel k, block 0, thread 0, simt_host_test.cpp:[0-9]+: read of tile\\[63\\], which "
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
  float out[64];
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
  float out[32];
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
  unsigned out = 0;
  expect_passes(kOneBlock, count, true, &out);
  EXPECT_EQ(out, 64u);
  expect_caught("race: counter[0]", kOneBlock, count, false, &out);
}

// -- What is read and where
// -----------------------------------------------------------------------------------

SIMT_KERNEL(32) reads_at(int i, float* out) {
  SIMT_SHARED(float, tile, 32);
  SIMT_SHARED(float, next_to_it, 32);
  if (thread_index() < 31) tile[thread_index()] = 1;
  next_to_it[thread_index()] = 2;
  block_sync();
  const float value = tile[i];
  out[thread_index()] = value;
}

TEST(SimtHost, UnwrittenAndOutOfBoundsReadsAreCaught) {
  float out[32];
  expect_passes(kOneWarp, reads_at, 30, out);
  expect_caught("read of tile[31], which nobody has written", kOneWarp, reads_at, 31, out);
  expect_caught("out of bounds: tile[32], the array has 32 elements", kOneWarp, reads_at, 32, out);
  expect_caught("out of bounds: tile[-1]", kOneWarp, reads_at, -1, out);
}

SIMT_KERNEL(32) next_block_reads(float* out) {
  SIMT_SHARED(float, tile, 32);
  if (block_index() == 0) tile[thread_index()] = 1;
  const float value = tile[thread_index()];
  out[thread_index()] = value;
}

TEST(SimtHost, ABlockDoesNotSeeWhatAnotherLeftBehind) {
  float out[32];
  expect_caught("block 1, thread", {.name = "k", .grid = 2, .block = 32}, next_block_reads, out);
}

SIMT_KERNEL(32) copies_vectors(int shift, const float* in, float* out) {
  SIMT_SHARED(float, tile, 36);
  if (thread_index() < 8) store_vec(tile + 4 * thread_index() + shift, load_vec(in + 4 * thread_index()));
  block_sync();
  const float value = tile[thread_index() + shift];
  out[thread_index()] = value;
}

TEST(SimtHost, MisalignedVectorAccessesAreCaught) {
  alignas(16) float in[36] = {};
  float out[32];
  expect_passes(kOneWarp, copies_vectors, 4, in, out);
  expect_caught("misaligned 16-byte access to tile[", kOneWarp, copies_vectors, 2, in, out);
  expect_caught("misaligned 16-byte access to global memory", kOneWarp, copies_vectors, 0, in + 1, out);
  expect_caught("out of bounds: tile[", kOneWarp, copies_vectors, 8, in, out);
}

SIMT_KERNEL(64) copies_while_it_goes_on(bool wait, bool barrier, int shift, const float* in, float* out) {
  SIMT_SHARED(float, tile, 256);
  copy_async<4>(tile + 4 * thread_index(), in + 4 * thread_index());
  if (wait) copies_wait();
  if (barrier) block_sync();
  const float value = tile[4 * ((thread_index() + shift) % 64) + 3];
  out[thread_index()] = value;
}

TEST(SimtHost, ReadingACopyTooEarlyIsCaught) {
  alignas(16) float in[257];
  for (int i = 0; i < 257; ++i) in[i] = static_cast<float>(i);
  float out[64];
  expect_passes(kOneBlock, copies_while_it_goes_on, true, false, 0, in, out);
  EXPECT_EQ(out[63], 255);
  expect_passes(kOneBlock, copies_while_it_goes_on, true, true, 1, in, out);
  EXPECT_EQ(out[63], 3);
  expect_caught("is used before copies_wait()", kOneBlock, copies_while_it_goes_on, false, false, 0, in, out);
  expect_caught("is used before copies_wait()", kOneBlock, copies_while_it_goes_on, false, true, 1, in, out);
  expect_caught("tile[", kOneBlock, copies_while_it_goes_on, true, false, 1, in, out);
  expect_caught("misaligned 16-byte access to global memory", kOneBlock, copies_while_it_goes_on, true, true,
                0, in + 1, out);
}

SIMT_KERNEL(32) carves(int floats) {
  DynamicShared dynamic;
  const Shared<double> first = dynamic.take<double>("first", 3);
  const Shared<float> second = dynamic.take<float>("second", floats);
  if (thread_index() < floats) second[thread_index()] = 1;
  if (thread_index() < 3) first[thread_index()] = 1;
}

SIMT_KERNEL(32) carves_by_thread() {
  DynamicShared dynamic;
  dynamic.take<float>("tile", thread_index() == 5 ? 8 : 4);
}

TEST(SimtHost, DynamicSharedMemoryIsCheckedAgainstTheLaunch) {
  const LaunchConfig config{
      .name = "k", .block = 32, .shared_bytes = carved_bytes<double>(3) + carved_bytes<float>(5)};
  EXPECT_EQ(config.shared_bytes, 32 + 32);
  expect_passes(config, carves, 8);
  expect_caught("second needs 68 bytes of dynamic shared memory, the launch asked for 64", config, carves, 9);
  expect_caught("tile was carved as tile with", config, carves_by_thread);
}

// -- Meeting
// --------------------------------------------------------------------------------------------------

SIMT_KERNEL(64) leaves_early(int n, bool shuffles, float* out) {
  if (thread_index() >= n) return;
  if (shuffles)
    out[thread_index()] = shuffle_xor(1.0f, 1);
  else
    block_sync();
}

TEST(SimtHost, AnEarlyExitBeforeAShuffleOrABarrierIsCaught) {
  float out[64];
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
  expect_caught("divergent block barrier: other threads wait for it at simt_host_test.cpp:", kOneBlock,
                two_barriers, true);
}

SIMT_KERNEL(32) shuffles_with(unsigned mask, int source, float* out) {
  if (thread_index() < 16) out[thread_index()] = shuffle(1.0f, source, mask);
}

TEST(SimtHost, WrongMasksAreCaught) {
  float out[32];
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
  float out[32];
  expect_caught("other lanes of the mask are at a", kOneWarp, shuffles_or_votes, out);
}

SIMT_KERNEL(64) waits_for_two_things() {
  if (thread_index() < 32)
    block_sync();
  else
    cluster_sync();
}

TEST(SimtHost, ADeadlockIsReportedWithWhereEachGroupWaits) {
  expect_caught("deadlock\n  block 0, thread 0 to 31: at a block barrier, simt_host_test.cpp:", kOneBlock,
                waits_for_two_things);
  expect_caught("\n  block 0, thread 32 to 63: at a cluster barrier, simt_host_test.cpp:", kOneBlock,
                waits_for_two_things);
}

SIMT_KERNEL(32) shuffles_structs(Pair<double>* out) {
  const Pair<double> mine{1.0 * thread_index(), -1.0 * thread_index()};
  out[thread_index()] = shuffle_down(mine, 1);
}

TEST(SimtHost, ShufflesMoveWholeStructs) {
  Pair<double> out[32];
  expect_passes(kOneWarp, shuffles_structs, out);
  for (int lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(out[lane].first, std::min(lane + 1, 31));
    EXPECT_EQ(out[lane].second, -std::min(lane + 1, 31));
  }
}

// -- Clusters
// -------------------------------------------------------------------------------------------------

struct ClusterBarriers {
  bool before, between, after;
};

/// Each block writes into the other's array, reads its own, reads the other's.
SIMT_KERNEL(32) neighbours(ClusterBarriers barriers, float* out) {
  SIMT_SHARED(float, tile, 32);
  const Shared<float> other = map_shared(tile, 1 - cluster_rank());
  if (barriers.before) cluster_sync();
  other[thread_index()] = static_cast<float>(block_index());
  if (barriers.between) cluster_sync();
  const float mine = tile[thread_index()];
  out[grid_thread()] = mine;
  if (barriers.after) cluster_sync();
}

TEST(SimtHost, MissingClusterBarriersAreCaught) {
  std::vector<float> out(4 * 32);
  expect_passes(kCluster, neighbours, {true, true, false}, out.data());
  EXPECT_EQ(out[0], 1);
  EXPECT_EQ(out[3 * 32], 2);
  expect_caught("before the first cluster barrier", kCluster, neighbours, {false, true, false}, out.data());
  expect_caught("tile[", kCluster, neighbours, {true, false, true}, out.data());
}

SIMT_KERNEL(32) reads_the_neighbour(bool stays, float* out) {
  SIMT_SHARED(float, tile, 32);
  tile[thread_index()] = 1;
  cluster_sync();
  if (cluster_rank() == 0) {
    const float value = map_shared(tile, 1)[thread_index()];
    out[grid_thread()] = value;
  }
  if (stays) cluster_sync();
}

TEST(SimtHost, RemoteMemoryOfABlockThatMayHaveExitedIsCaught) {
  std::vector<float> out(4 * 32);
  expect_passes(kCluster, reads_the_neighbour, true, out.data());
  expect_caught("exit", kCluster, reads_the_neighbour, false, out.data());
}

SIMT_KERNEL(32) last_block_to_read_writes(bool barrier) {
  SIMT_SHARED(float, one, 1);
  if (thread_index() == 0) one[0] = 1;
  cluster_sync();
  const Shared<float> first = map_shared(one, 0);
  float value = 0;
  if (thread_index() == 0) value = first[0];
  if (barrier) cluster_sync();
  if (thread_index() == 0 && cluster_rank() == 1) first[0] = value + 1;
  cluster_sync();
}

TEST(SimtHost, ARaceBetweenBlocksIsCaught) {
  expect_passes(kCluster, last_block_to_read_writes, true);
  expect_caught("race: one[0]", kCluster, last_block_to_read_writes, false);
}

SIMT_KERNEL(32) one_block_skips(float* out) {
  if (cluster_rank() == 1) return;
  cluster_sync();
  out[0] = 1;
}

SIMT_KERNEL(32) maps(int rank) {
  SIMT_SHARED(float, tile, 32);
  map_shared(tile, rank);
}

TEST(SimtHost, AClusterIsChecked) {
  float out[1];
  expect_caught("exit", kCluster, one_block_skips, out);
  expect_passes(kCluster, maps, 1);
  expect_caught("the cluster has no block of rank 2", kCluster, maps, 2);
  expect_caught("multiple of a cluster", {.name = "k", .grid = 3, .block = 32, .cluster = 2}, maps, 1);
  Settings old;
  old.device.compute_capability = 80;
  EXPECT_THAT(run(old, kCluster, maps, 1), HasSubstr("clusters need compute capability 9.0"));
}

// -- The grid
// -------------------------------------------------------------------------------------------------

SIMT_KERNEL(32) grid_exchange(int leaves, int* out, int* sums) {
  if (block_index() == leaves) return;
  if (thread_index() == 0) out[block_index()] = block_index() + 1;
  grid_sync();
  int sum = 0;
  for (int block = 0; block < grid_size(); ++block) sum += out[block];
  if (thread_index() == 0) sums[block_index()] = sum;
}

TEST(SimtHost, AGridBarrierNeedsEveryBlockAndACooperativeLaunch) {
  int out[3] = {}, sums[3] = {};
  expect_passes(kCooperative, grid_exchange, -1, out, sums);
  EXPECT_THAT(sums, testing::Each(6));
  expect_caught("exit", kCooperative, grid_exchange, 1, out, sums);
  expect_caught("grid_sync() in a launch that is not cooperative", {.name = "k", .grid = 3, .block = 32},
                grid_exchange, -1, out, sums);
  std::vector<int> many(1000);
  expect_caught("does not hold all blocks", {.name = "k", .grid = 1000, .block = 1024, .cooperative = true},
                grid_exchange, -1, many.data(), many.data());
}

SIMT_KERNEL(32) coordinates_of(int* out) {
  if (thread_index() == 0)
    out[block_index_y() * grid_size() + block_index()] = block_index_y() * 100 + block_index();
}

TEST(SimtHost, AGridMayHaveTwoDimensions) {
  int out[6] = {};
  expect_passes({.name = "k", .grid = 3, .grid_y = 2, .block = 32}, coordinates_of, out);
  EXPECT_THAT(out, testing::ElementsAre(0, 1, 2, 100, 101, 102));
}

SIMT_KERNEL(32) nothing() {}

TEST(SimtHost, ImpossibleLaunchesAreRefused) {
  expect_caught("no multiple of 32", {.name = "k", .block = 48}, nothing);
  expect_caught("no multiple of 32", {.name = "k", .block = 1056}, nothing);
  expect_caught("the grid is empty", {.name = "k", .grid = 0}, nothing);
  expect_caught("less shared memory", {.name = "k", .shared_bytes = 1 << 20}, nothing);
}

SIMT_KERNEL(32) throws_by_itself() {
  throw std::runtime_error("from the kernel");
}

TEST(SimtHost, AnExecutorWorksOnAfterAnError) {
  Executor executor;
  EXPECT_THROW(kernels::launch(throws_by_itself, kOneWarp, executor.stream()), std::runtime_error);
  int out[6] = {};
  kernels::launch(coordinates_of, {.name = "k", .grid = 3, .grid_y = 2, .block = 32}, executor.stream(), out);
  EXPECT_EQ(out[5], 102);
  EXPECT_EQ(executor.launches().size(), 2u);
  EXPECT_THROW(thread_index(), std::logic_error);
}

}  // namespace
}  // namespace bntrain
