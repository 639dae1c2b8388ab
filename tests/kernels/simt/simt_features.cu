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
                unsigned* positive, double* by_grid, unsigned* counter) {
  SIMT_SHARED(double, scratch, kMaxWarps);
  SIMT_SHARED(unsigned, flag, 1);
  SIMT_SHARED(unsigned, above_zero, 1);
  DynamicShared dynamic;
  const Shared<float> tile = dynamic.take<float>("tile", kThreads);
  const Shared<double> sum = dynamic.take<double>("sum", 1);

  // 16-byte copies into the tile; the plain path beside them.
  const int thread = thread_index();
  const float* const part = in + static_cast<std::int64_t>(block_index()) * kThreads;
  if (is_aligned(part)) {
    if (thread < kThreads / kLanes) store_vec(tile + thread * kLanes, load_vec_once(part + thread * kLanes));
  } else {
    tile[thread] = part[thread];
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

  const double block_total = block_sum(static_cast<double>(value), scratch);
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
    from_next[grid_thread()] = value;
  }

  if (by_grid != nullptr) {
    grid_sync();
    double all = 0;
    for (int block = 0; block < grid_size(); ++block) all += per_block[block];
    if (thread == 0) by_grid[block_index()] = all;
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
                   double* total, float* from_next, unsigned* positive, double* by_grid, unsigned* counter,
                   const Stream& stream) {
  launch(features_kernel,
         {.name = "simt_features",
          .grid = sizes.blocks,
          .block = kThreads,
          .cluster = sizes.cluster,
          .cooperative = sizes.cooperative,
          .shared_bytes = carved_bytes<float>(kThreads) + carved_bytes<double>(1)},
         stream, in, per_block, per_cluster, total, from_next, positive,
         sizes.cooperative ? by_grid : nullptr, counter);
}

}  // namespace bntrain::kernels
