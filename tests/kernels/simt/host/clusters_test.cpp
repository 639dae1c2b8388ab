// Clusters and the shared memory of their blocks.
#include "kernels/simt/host/planted.hpp"

namespace bntrain {
namespace {

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
  Device<float> out(4 * 32);
  expect_passes(kCluster, neighbours, {true, true, false}, out);
  EXPECT_EQ(out[0], 1);
  EXPECT_EQ(out[3 * 32], 2);
  expect_caught("before the first cluster barrier", kCluster, neighbours, {false, true, false}, out);
  expect_caught("tile[", kCluster, neighbours, {true, false, true}, out);
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
  Device<float> out(4 * 32);
  expect_passes(kCluster, reads_the_neighbour, true, out);
  expect_caught("exit", kCluster, reads_the_neighbour, false, out);
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
  Device<float> out(1);
  expect_caught("exit", kCluster, one_block_skips, out);
  expect_passes(kCluster, maps, 1);
  expect_caught("the cluster has no block of rank 2", kCluster, maps, 2);
  expect_caught("multiple of a cluster", {.name = "k", .grid = 3, .block = 32, .cluster = 2}, maps, 1);
  Settings old;
  old.device.compute_capability = 80;
  EXPECT_THAT(run(old, kCluster, maps, 1), HasSubstr("clusters need compute capability 9.0"));
}

}  // namespace
}  // namespace bntrain
