// What is read, and where.
#include "kernels/simt/host/planted.hpp"

namespace bntrain {
namespace {

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

}  // namespace
}  // namespace bntrain
