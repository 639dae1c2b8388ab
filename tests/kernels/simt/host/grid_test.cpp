// Grids, launches, and the executor itself.
#include <functional>

#include "kernels/simt/host/planted.hpp"

namespace bntrain {
namespace {

SIMT_KERNEL(32) grid_exchange(int leaves, int* out, int* sums) {
  if (block_index() == leaves) return;
  if (thread_index() == 0) out[block_index()] = block_index() + 1;
  grid_sync();
  int sum = 0;
  for (int block = 0; block < grid_size(); ++block) sum += out[block];
  if (thread_index() == 0) sums[block_index()] = sum;
}

TEST(SimtHost, AGridBarrierNeedsEveryBlockAndACooperativeLaunch) {
  Device<int> out(3), sums(3);
  expect_passes(kCooperative, grid_exchange, -1, out, sums);
  EXPECT_THAT(sums, testing::Each(6));
  expect_caught("exit", kCooperative, grid_exchange, 1, out, sums);
  expect_caught("grid_sync() in a launch that is not cooperative", {.name = "k", .grid = 3, .block = 32},
                grid_exchange, -1, out, sums);
  Device<int> many(1000);
  expect_caught("does not hold all blocks", {.name = "k", .grid = 1000, .block = 1024, .cooperative = true},
                grid_exchange, -1, many, many);
}

enum class Order { waits_first, writes_first, never_waits };

SIMT_KERNEL(32) follows_another(Order order, int* out) {
  grid_dependency_launch();
  if (order == Order::waits_first) grid_dependency_wait();
  if (order != Order::never_waits) store(out + thread_index(), 1);
  if (order == Order::writes_first) grid_dependency_wait();
}

TEST(SimtHost, ADependentLaunchMustWaitForTheOneBefore) {
  const LaunchConfig dependent{.name = "k", .block = 32, .dependent = true};
  Device<int> out(32);
  expect_passes(dependent, follows_another, Order::waits_first, out);
  expect_caught("writes to global memory before grid_dependency_wait()", dependent, follows_another,
                Order::writes_first, out);
  expect_caught("exits without grid_dependency_wait()", dependent, follows_another, Order::never_waits, out);
  expect_passes(kOneWarp, follows_another, Order::writes_first, out);
}

SIMT_KERNEL(32) coordinates_of(int* out) {
  if (thread_index() == 0)
    out[block_index_y() * grid_size() + block_index()] = block_index_y() * 100 + block_index();
}

TEST(SimtHost, AGridMayHaveTwoDimensions) {
  Device<int> out(6);
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
  Device<int> out(6);
  kernels::launch(coordinates_of, {.name = "k", .grid = 3, .grid_y = 2, .block = 32}, executor.stream(), out);
  EXPECT_EQ(out[5], 102);
  EXPECT_EQ(executor.launches().size(), 2u);
  EXPECT_THROW(thread_index(), std::logic_error);
}

SIMT_KERNEL(32) adds(const float* amount, float scale, float* sum) {
  if (thread_index() == 0) *sum += *amount * scale;
}

TEST(SimtHost, ARecordingRunsWhenItIsCalledWithTheArgumentsOfItsTime) {
  Executor executor;
  Device<float> amount(1, 1.0f), sum(1);
  executor.begin_recording();
  for (float scale : {1.0f, 10.0f}) {
    kernels::launch(adds, kOneWarp, executor.stream(), amount, scale, sum);
    scale = -1;  // a launch takes its arguments by value
  }
  executor.enqueue([&sum] { sum[0] += 0.5f; });
  const std::function<void()> recorded = executor.end_recording();
  EXPECT_EQ(sum[0], 0);
  recorded();
  EXPECT_EQ(sum[0], 11.5f);
  amount[0] = 2;  // what lies behind a pointer is read when the recording runs
  recorded();
  EXPECT_EQ(sum[0], 34);
  kernels::launch(adds, kOneWarp, executor.stream(), amount, 1.0f, sum);
  EXPECT_EQ(sum[0], 36);
}

TEST(SimtHost, ARecordingInsideOfAnotherIsRefused) {
  Executor executor;
  executor.begin_recording();
  EXPECT_THROW(executor.begin_recording(), SimtError);
  executor.end_recording()();
  EXPECT_FALSE(executor.is_recording());
}

}  // namespace
}  // namespace bntrain
