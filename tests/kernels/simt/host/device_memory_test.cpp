// Pointers that a GPU would not take.
#include "kernels/simt/host/planted.hpp"

namespace bntrain {
namespace {

/// Plain accesses, which only the inaccessible pages around an allocation can catch.
SIMT_KERNEL(32) plain_copy(const float* in, float* out, int shift) {
  out[thread_index()] = in[thread_index() + shift];
}

SIMT_KERNEL(32) counted_copy(const float* in, float* out, int shift) {
  store(out + thread_index(), load(in + thread_index() + shift));
}

struct Tensors {
  std::int64_t size;
  const float* in;
  float* out;
};
SIMT_KERNEL(32) copies_in_struct(Tensors tensors) {
  tensors.out[thread_index()] = tensors.in[thread_index()];
}

TEST(SimtHost, PointersToMemoryOfTheHostAreRefused) {
  Device<float> in(32), out(32);
  float on_stack[32] = {};
  static float in_image[32];
  const std::vector<float> on_heap(32);
  expect_passes(kOneWarp, plain_copy, in, out, 0);
  const std::string message = "kernel k: argument 1 points to memory of the host at 0x";
  expect_caught(message, kOneWarp, plain_copy, on_stack, out, 0);
  expect_caught(message, kOneWarp, plain_copy, in_image, out, 0);
  expect_caught(message, kOneWarp, plain_copy, on_heap.data(), out, 0);
  expect_caught("argument 2 points to memory of the host", kOneWarp, plain_copy, in, on_stack, 0);
}

TEST(SimtHost, PointersInStructsAreCheckedToo) {
  Device<float> in(32), out(32);
  float on_stack[32] = {};
  expect_passes(kOneWarp, copies_in_struct, {std::int64_t{1} << 40, in, out});
  expect_caught("kernel k: argument 1 points to memory of the host", kOneWarp, copies_in_struct,
                {32, in, on_stack});
}

TEST(SimtHost, MemoryThatWasReleasedIsRefused) {
  Device<float> out(32);
  const float* gone;
  {
    Device<float> in(32);
    gone = in;
  }
  expect_caught("kernel k: argument 1 points to memory that was released", kOneWarp, plain_copy, gone, out,
                0);
}

TEST(SimtHost, CheckedAccessesOutsideOfAnAllocationAreCaught) {
  Device<float> in(32), out(32);
  EXPECT_THAT(
      run({}, kOneWarp, counted_copy, in, out, 1),
      testing::MatchesRegex("kernel k, block 0, thread 31, device_memory_test.cpp:[0-9]+: access to global "
                            "memory at 0x[0-9a-f]+, 4 bytes past the end of an allocation of 128 bytes"));
  expect_caught("4 bytes before an allocation of 128 bytes", kOneWarp, counted_copy, in, out, -1);
  expect_caught("that of a null pointer", kOneWarp, counted_copy, nullptr, out, 0);
}

TEST(SimtHost, PlainAccessesFarOutsideOfAnAllocationAreCaught) {
#ifdef __x86_64__
  Device<float> in(64), out(32);
  // 256 bytes end at a page's end.
  EXPECT_THAT(
      run({}, kOneWarp, plain_copy, in, out, 60),
      testing::MatchesRegex("kernel k, block 0, thread 4: access to global memory at 0x[0-9a-f]+, 1 bytes "
                            "past the end of an allocation of 256 bytes"));
  expect_caught("past the end of an allocation of 256 bytes", kOneWarp, plain_copy, in, out, 600);
  expect_caught("which is that of a null pointer", kOneWarp, plain_copy, nullptr, out, 0);
  expect_passes(kOneWarp, plain_copy, in, out, 32);  // and the executor works on
#else
  GTEST_SKIP() << "faults are turned into errors on x86-64 alone";
#endif
}

}  // namespace
}  // namespace bntrain
