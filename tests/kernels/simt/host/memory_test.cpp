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
  Device<float> out(32);
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
  Device<float> out(32);
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
  Device<float> in(36);
  Device<float> out(32);
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
  Device<float> in(257);
  for (int i = 0; i < 257; ++i) in[i] = static_cast<float>(i);
  Device<float> out(64);
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

/// Groups of one copy each: element 32 * group + thread.
template <int pending>
SIMT_KERNEL(32)
reads_group(int group, bool commit, const float* in, float* out) {
  SIMT_SHARED(float, tile, 96);
  for (int i = 0; i < 3; ++i) {
    copy_async_keep<1>(tile + 32 * i + thread_index(), in + 32 * i + thread_index());
    if (commit) copies_commit();
  }
  copies_wait<pending>();
  const float value = tile[32 * group + thread_index()];
  out[thread_index()] = value;
}

TEST(SimtHost, ReadingACopyWhoseGroupWasNotWaitedForIsCaught) {
  Device<float> in(96), out(32);
  for (int i = 0; i < 96; ++i) in[i] = static_cast<float>(i);
  expect_passes(kOneWarp, reads_group<0>, 2, true, in, out);
  EXPECT_EQ(out[31], 95);
  expect_passes(kOneWarp, reads_group<2>, 0, true, in, out);
  EXPECT_EQ(out[31], 31);
  expect_caught("] is used before copies_wait()", kOneWarp, reads_group<2>, 1, true, in, out);
  expect_caught("] is used before copies_wait()", kOneWarp, reads_group<1>, 2, true, in, out);
  expect_caught("] is used before copies_wait()", kOneWarp, reads_group<0>, 0, false, in, out);
}

SIMT_KERNEL(32) refills_a_slot(bool barrier, const float* in, float* out) {
  SIMT_SHARED(float, slot, 32);
  copy_async_once<1>(slot + thread_index(), in + thread_index());
  copies_wait();
  block_sync();
  const float value = slot[31 - thread_index()];
  if (barrier) warp_sync();
  copy_async_once<1>(slot + thread_index(), in + 32 + thread_index());
  copies_wait();
  out[thread_index()] = value + slot[thread_index()];
}

TEST(SimtHost, ACopyIntoASlotThatOthersStillReadIsCaught) {
  Device<float> in(64), out(32);
  expect_passes(kOneWarp, refills_a_slot, true, in, out);
  expect_caught("slot[", kOneWarp, refills_a_slot, false, in, out);
}

SIMT_KERNEL(32) moves_vectors(const float* in, float* out) {
  if (thread_index() < 4) store_vec_once(out + 4 * thread_index(), load_vec_keep(in + 4 * thread_index()));
  if (thread_index() < 4) store(out + 16 + thread_index(), load(in + 16 + thread_index()));
}

TEST(SimtHost, HintedVectorAccessesMustBeAligned) {
  Device<float> in(21), out(21);
  for (int i = 0; i < 21; ++i) in[i] = static_cast<float>(i);
  expect_passes(kOneWarp, moves_vectors, in, out);
  EXPECT_TRUE(std::equal(in.begin(), in.begin() + 20, out.begin()));
  expect_caught("misaligned 16-byte access to global memory", kOneWarp, moves_vectors, in + 1, out);
  expect_caught("misaligned 16-byte access to global memory", kOneWarp, moves_vectors, in, out + 1);
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
