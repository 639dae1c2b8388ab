#include "benchmarks/tuned_norm.hpp"

#include "kernels/batch_norm/statistics_output.cuh"

namespace bntrain::benchmarks {
namespace {

using kernels::ResidentSpace;
using kernels::ResidentTuning;

constexpr int kLargestCluster = 16, kMostColumns = 32;

ResidentSpace space_of(const NormCase& c) {
  return kernels::resident_space(c.shape(), simt::Vec<float>::kSize);
}

bool can_run(const ResidentSpace& space, const ResidentTuning& tuning, kernels::NormPass pass,
             const kernels::Stream& stream) {
  const ResidentSpace laid_out = kernels::tuned(space, tuning);
  return pass == kernels::NormPass::forward ? kernels::resident_forward_fits(laid_out, tuning, stream)
                                            : kernels::resident_backward_fits(laid_out, tuning, stream);
}

}  // namespace

std::string to_string(const ResidentTuning& tuning) {
  return std::to_string(tuning.cluster) + "x" + std::to_string(tuning.threads) + "x" +
         std::to_string(tuning.vectors) + "x" + std::to_string(tuning.columns);
}

ResidentTuning rule_tuning(const NormCase& c, kernels::NormPass pass, const kernels::Stream& stream) {
  const ResidentSpace space = space_of(c);
  if (space.vectors == 0 || c.pool > 0) return {};
  const ResidentTuning tuning = kernels::resident_tuning(space, kernels::device_limits(stream));
  return tuning.vectors > 0 && can_run(space, tuning, pass, stream) ? tuning : ResidentTuning{};
}

std::vector<ResidentTuning> resident_tunings(const NormCase& c, kernels::NormPass pass,
                                             const kernels::Stream& stream) {
  const ResidentSpace space = space_of(c);
  std::vector<ResidentTuning> tunings;
  if (space.vectors == 0 || c.pool > 0) return tunings;
  const bool first = space.columns == 1;  // one channel is a group
  const std::int64_t across = first ? 1 : space.channels / static_cast<unsigned>(space.channels_per_vector);
  const int largest = kernels::device_limits(stream).compute_capability >= 90 ? kLargestCluster : 1;
  for (int columns = 1; columns <= kMostColumns && columns < 2 * across; columns *= 2)
    for (int cluster = 1; cluster <= largest; cluster *= 2)
      for (const int vectors : kernels::kResidentVectors) {
        const std::int64_t share = (std::int64_t{space.vectors} + cluster - 1) / cluster * columns;
        const std::int64_t per_warp = std::int64_t{vectors} * simt::kWarpSize;
        const std::int64_t threads = (share + per_warp - 1) / per_warp * simt::kWarpSize;
        if (threads > kernels::resident_threads(vectors)) continue;
        const ResidentTuning tuning{vectors, static_cast<int>(threads), cluster, columns};
        if (can_run(space, tuning, pass, stream)) tunings.push_back(tuning);
      }
  return tunings;
}

void forward_tuned(const NormCase& c, const ResidentTuning& tuning, const NormBuffers& b,
                   const kernels::Stream& stream) {
  kernels::resident_forward(kernels::tuned(space_of(c), tuning), tuning, c.batch * c.height * c.width, b.x,
                            b.gamma, b.beta, b.y,
                            {{.eps = kEps, .momentum = kMomentum},
                             c.channels,
                             b.mean,
                             b.var,
                             b.invstd,
                             b.running_mean,
                             b.running_var},
                            stream);
}

void backward_tuned(const NormCase& c, const ResidentTuning& tuning, const NormBuffers& b,
                    const kernels::Stream& stream) {
  kernels::resident_backward(kernels::tuned(space_of(c), tuning), tuning, c.batch * c.height * c.width, b.x,
                             b.dy, b.gamma, b.mean, b.invstd, b.dx, b.dgamma, b.dbeta, stream);
}

}  // namespace bntrain::benchmarks
