// Every feature of simt.hpp in one kernel, for both compilers. simt_features.hpp says what it computes.
#include "kernels/simt/simt_features.hpp"

#include "kernels/simt/launch.hpp"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {
namespace {

using namespace simt;

constexpr int kThreads = 256;
constexpr int kLanes = Vec<float>::kSize;

SIMT_KERNEL(kThreads, 2)
features_kernel(const float* in, double* per_block, double* per_cluster, double* total, float* from_next,
                unsigned* positive, double* by_grid, Pair<double>* messages, unsigned* counter) {
  SIMT_SHARED(double, scratch, kMaxWarps);
  SIMT_SHARED(unsigned, flag, 1);
  SIMT_SHARED(unsigned, above_zero, 1);
  DynamicShared dynamic;
  const Shared<float> tile = dynamic.take<float>("tile", kThreads);
  const Shared<double> sum = dynamic.take<double>("sum", 1);

  grid_dependency_wait();
  grid_dependency_launch();

  // 16-byte copies into the tile, asynchronous ones in every other block; the plain path beside them.
  const int thread = thread_index();
  const float* const part = in + static_cast<std::int64_t>(block_index()) * kThreads;
  if (is_aligned(part)) {
    if (thread < kThreads / kLanes) {
      if (block_index() % 2 == 0) {
        store_vec(tile + thread * kLanes, thread % 2 == 0 ? load_vec_once(part + thread * kLanes)
                                                          : load_vec_keep(part + thread * kLanes));
      } else {
        copy_async_keep<kLanes>(tile + thread * kLanes, part + thread * kLanes);
        copies_commit();
        copies_wait<0>();
      }
    }
  } else if (block_index() % 2 == 0) {
    tile[thread] = load(part + thread);
  } else {
    copy_async_once<1>(tile + thread, part + thread);
    copies_wait();
  }
  if (thread == 0) above_zero[0] = 0;
  block_sync();
  const float value = tile[thread];

  // Votes with a partial mask, and shuffles.
  constexpr unsigned kLower = 0xffff;
  if (lane_index() < 16) {
    const unsigned ballot = vote_ballot(value > 0, kLower);
    const int first = lowest_bit(ballot);
    const float chosen = shuffle(value, first < 0 ? 0 : first, kLower);
    if (lane_index() == 0) atomic_add(above_zero, vote_any(chosen > 0, 1u) ? count_bits(ballot) : 0u);
  } else {
    const unsigned ballot = vote_ballot(value > 0, ~kLower);
    if (lane_index() == 16) atomic_add(above_zero, static_cast<unsigned>(count_bits(ballot)));
  }
  const float next = shuffle_down(value, 1);
  const bool consistent = vote_all(lane_index() == 31 || next == next || value != value);
  warp_sync();

  // Two parts of the block exchange values apart from each other.
  SIMT_SHARED(float, exchanged, kThreads);
  exchanged[thread] = value;
  part_sync(1 + thread / (kThreads / 2), kThreads / 2);
  const float partner = exchanged[thread ^ (kThreads / 2 - 1)];

  const double block_total =
      block_sum(static_cast<double>(value) + static_cast<double>(partner), scratch) / 2;
  if (thread == 0) {
    sum[0] = block_total;
    per_block[block_index()] = block_total;
    positive[block_index()] = consistent ? above_zero[0] : 0u;
  }

  // The neighbours' shared memory.
  if (cluster_size() > 1) {
    cluster_sync();
    double all = 0;
    for (int rank = 0; rank < cluster_size(); ++rank) all += map_shared(sum, rank)[0];
    if (thread == 0) per_cluster[block_index()] = all;
    const Shared<float> neighbour = map_shared(tile, (cluster_rank() + 1) % cluster_size());
    from_next[grid_thread()] = neighbour[thread];
    cluster_sync();
  } else {
    if (thread == 0) per_cluster[block_index()] = block_total;
    store(from_next + grid_thread(), value);
  }

  if (by_grid != nullptr) {
    grid_sync();
    double all = 0;
    for (int block = 0; block < grid_size(); ++block) all += per_block[block];
    if (thread == 0) by_grid[block_index()] = all;

    // The same sums by messages, which say that they are new by a count of those before.
    SIMT_SHARED(double, first_sum, 1);
    const double sent = load_message(&messages[block_index()].second);
    if (thread == 0) first_sum[0] = 0;
    grid_sync();
    if (thread == 0) {
      store_message(messages + block_index(), {block_total, sent + 1});
      for (int block = 0; block < grid_size(); ++block) {
        Pair<double> message;
        do message = load_message(messages + block);
        while (message.second != sent + 1);
        first_sum[0] += message.first;
      }
      if (first_sum[0] != all) by_grid[block_index()] = -1;
    }
  }

  if (is_last_block(counter, static_cast<unsigned>(grid_size()), flag)) {
    double mine = 0;
    for (int block = thread; block < grid_size(); block += block_size()) mine += per_block[block];
    const double all = block_sum(mine, scratch);
    if (thread == 0) *total = all * (inverse_sqrt(4.0f) + inverse_sqrt(4.0));
  }
}

}  // namespace

void simt_features(const FeatureSizes& sizes, const float* in, double* per_block, double* per_cluster,
                   double* total, float* from_next, unsigned* positive, double* by_grid,
                   Pair<double>* messages, unsigned* counter, const Stream& stream) {
  launch(features_kernel,
         {.name = "simt_features",
          .grid = sizes.blocks,
          .block = kThreads,
          .cluster = sizes.cluster,
          .cooperative = sizes.cooperative,
          .dependent = true,
          .shared_bytes = carved_bytes<float>(kThreads) + carved_bytes<double>(1)},
         stream, in, per_block, per_cluster, total, from_next, positive,
         sizes.cooperative ? by_grid : nullptr, messages, counter);
}

}  // namespace bntrain::kernels
