// What the executor counts.
#include "kernels/simt/host/planted.hpp"

namespace bntrain {
namespace {

using simt_host::LaunchCounts;
using simt_host::Traffic;

template <typename... Params>
LaunchCounts counts_of(const LaunchConfig& config, void (*kernel)(Params...),
                       std::type_identity_t<Params>... params) {
  LaunchCounts first{};
  for (Settings settings : simt_host::all_schedules()) {
    settings.count = true;
    Executor executor(settings);
    kernels::launch(kernel, config, executor.stream(), params...);
    const LaunchCounts& counts = executor.counts().at(0);
    if (settings.schedule == simt_host::Schedule::in_order) first = counts;
    EXPECT_EQ(counts.reads, first.reads) << to_string(settings.schedule);
    EXPECT_EQ(counts.writes, first.writes) << to_string(settings.schedule);
  }
  return first;
}

SIMT_KERNEL(32) strided_copy(int count, int stride, const float* in, float* out) {
  for (int i = thread_index(); i < count; i += 32) store(out + i, load(in + i * stride));
}

TEST(SimtHost, SectorsAreCountedForEachAccessOfAWarp) {
  Device<float> in(8 * 96 + 8);
  Device<float> out(96);
  const Traffic contiguous{.accesses = 3, .bytes = 4 * 96, .sectors = 12, .fewest_sectors = 12};
  const LaunchCounts whole = counts_of(kOneWarp, strided_copy, 96, 1, in, out);
  EXPECT_EQ(whole.reads, contiguous);
  EXPECT_EQ(whole.writes, contiguous);
  // Each element in a sector of its own; all lanes at one element; a rest; across the sectors' borders.
  EXPECT_EQ(counts_of(kOneWarp, strided_copy, 96, 8, in, out).reads, (Traffic{3, 4 * 96, 96, 12}));
  EXPECT_EQ(counts_of(kOneWarp, strided_copy, 96, 0, in, out).reads, (Traffic{3, 3 * 4, 3, 3}));
  EXPECT_EQ(counts_of(kOneWarp, strided_copy, 33, 1, in, out).reads, (Traffic{2, 4 * 33, 5, 5}));
  EXPECT_EQ(counts_of(kOneWarp, strided_copy, 96, 1, in + 1, out).reads, (Traffic{3, 4 * 96, 15, 12}));
}

SIMT_KERNEL(64) moves_counted_vectors(const float* in, float* out) {
  SIMT_SHARED(float, tile, 256);
  copy_async<4>(tile + 4 * thread_index(), in + 4 * thread_index());
  copies_wait();
  block_sync();
  store_vec(out + 4 * thread_index(), load_vec(tile + 4 * (63 - thread_index())));
  store_vec_once(out + 4 * thread_index(), load_vec_once(in + 4 * thread_index()));
}

TEST(SimtHost, VectorsAndCopiesAreCountedSharedMemoryIsNot) {
  Device<float> in(256), out(256);
  const LaunchCounts counts =
      counts_of({.name = "k", .grid = 3, .block = 64}, moves_counted_vectors, in, out);
  const Traffic twice{.accesses = 12, .bytes = 3 * 2 * 1024, .sectors = 3 * 64, .fewest_sectors = 3 * 64};
  EXPECT_EQ(counts.reads, twice);
  EXPECT_EQ(counts.writes, twice);
  EXPECT_EQ(counts.block_barriers, 3);
}

SIMT_KERNEL(64) meets(unsigned* counter, double* message) {
  block_sync();
  part_sync(1 + thread_index() / 32, 32);
  cluster_sync();
  grid_sync();
  grid_sync();
  warp_sync();
  if (shuffle_xor(1.0f, 1) > 0 && thread_index() == 0) atomic_add(counter, 1u);
  if (thread_index() < 32) shuffle(thread_index(), 3);
  if (grid_thread() == 0) store_message(message, 1);
}

TEST(SimtHost, BarriersShufflesAtomicsAndMessagesAreCounted) {
  Device<unsigned> counter(1);
  Device<double> message(1);
  const LaunchConfig config{.name = "k", .grid = 4, .block = 64, .cluster = 2, .cooperative = true};
  const LaunchCounts counts = counts_of(config, meets, counter, message);
  EXPECT_EQ(counts.block_barriers, 4 + 8);
  EXPECT_EQ(counts.cluster_barriers, 2);
  EXPECT_EQ(counts.grid_barriers, 2);
  EXPECT_EQ(counts.shuffles, 8 + 4);
  EXPECT_EQ(counts.atomics, 4);
  EXPECT_EQ(counts.messages, 1);
}

TEST(SimtHost, CountsAreKeptForEachLaunchWhereTheyAreAskedFor) {
  Device<float> in(32), out(32);
  Executor silent, counting({.count = true});
  for (Executor* executor : {&silent, &counting})
    for (const int count : {32, 8})
      kernels::launch(strided_copy, kOneWarp, executor->stream(), count, 1, in, out);
  EXPECT_TRUE(silent.counts().empty());
  ASSERT_EQ(counting.counts().size(), 2u);
  LaunchCounts sum = counting.counts()[0];
  sum += counting.counts()[1];
  EXPECT_EQ(counting.counts()[1].reads.bytes, 32);
  EXPECT_EQ(sum.reads, (Traffic{2, 160, 5, 5}));
}

}  // namespace
}  // namespace bntrain
