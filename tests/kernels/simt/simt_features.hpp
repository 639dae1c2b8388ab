// A launcher for a kernel that uses everything in simt.hpp, right in every schedule.
#pragma once

#include <cstdint>

#include "kernels/kernels.hpp"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {

struct FeatureSizes {
  std::int64_t blocks;  ///< a multiple of `cluster`
  int cluster;
  bool cooperative;
};

/// in: [blocks * 256]; per_block: [blocks] sums over the block's part; per_cluster: [blocks], in each block
/// the sum of its cluster; total: [1], sum over everything by the last block; from_next: [blocks * 256], the
/// values of the next block of the cluster; positive: [blocks], values above 0; by_grid: [blocks], each the
/// sum of per_block after a grid barrier (cooperative only), -1 where messages gave another sum; messages:
/// [blocks], 0 (cooperative only); counter: [1], 0.
void simt_features(const FeatureSizes& sizes, const float* in, double* per_block, double* per_cluster,
                   double* total, float* from_next, unsigned* positive, double* by_grid,
                   simt::Pair<double>* messages, unsigned* counter, const Stream& stream);

}  // namespace bntrain::kernels
