// Adds the partial results of blocks: out[i] = sum over p of partial[p, i].
//
// A block takes 32 adjacent sums, one per lane; each of its warps adds every eighth part, and the first warp
// adds what the others have. The parts come from the L2 cache: eight warps a sum hide its latency, where one
// thread that adds 128 parts would wait for each. Bytes moved: 4 * size * (parts + 1).
#include "kernels/linear/sum_parts.hpp"

#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct SumTuning {
  static constexpr int kWarps = 8;
  static constexpr int kThreads = kWarps * kWarpSize;
  static constexpr int kBlocksPerSm = 16;
};

SIMT_KERNEL(SumTuning::kThreads)
sum_parts_kernel(PartialSums sums) {
  SIMT_SHARED(float, of_warps, SumTuning::kThreads);
  const std::int64_t step = static_cast<std::int64_t>(grid_size()) * kWarpSize;
  for (std::int64_t first = static_cast<std::int64_t>(block_index()) * kWarpSize; first < sums.size;
       first += step) {
    const std::int64_t i = first + lane_index();
    float sum = 0;
    if (i < sums.size)
      for (std::int64_t p = warp_index(); p < sums.parts; p += SumTuning::kWarps)
        sum += sums.partial[p * sums.size + i];
    of_warps[thread_index()] = sum;
    block_sync();
    if (warp_index() == 0 && i < sums.size) {
      for (int warp = 1; warp < SumTuning::kWarps; ++warp) {
        const float other = of_warps[warp * kWarpSize + lane_index()];
        sum += other;
      }
      if (sums.bias != nullptr) sum += sums.bias[i % sums.columns];
      if (i >= sums.out_size) {
        if (sums.rest != nullptr) sums.rest[i - sums.out_size] = sum;
      } else if (sums.out != nullptr) {
        sums.out[i] = sum;
      }
    }
    block_sync();  // before the next sums
  }
}

}  // namespace

void sum_parts(const char* name, const PartialSums& sums, const Stream& stream) {
  if (sums.size == 0) return;
  launch(sum_parts_kernel,
         {.name = name,
          .grid = strided_grid(sums.size, kWarpSize, SumTuning::kBlocksPerSm, stream),
          .block = SumTuning::kThreads},
         stream, sums);
}

}  // namespace bntrain::kernels
