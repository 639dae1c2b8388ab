// What the host hands out in place of a GPU, and what it has in place of cuDNN. Tests count it, and let it
// run out.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "backend/cuda/convolution.hpp"

namespace bntrain::cuda {

struct HostResources {
  std::int64_t live = 0;   ///< memory, streams, events, graphs: handed out and not given back
  std::int64_t left = -1;  ///< so many more until it throws std::runtime_error; negative: no end
  std::int64_t free_bytes = std::numeric_limits<std::int64_t>::max();  ///< what free_memory() says
  /// Sums of convolutions and matrix products are one chain of multiply-adds in float32 each, the least
  /// accurate that a library may make of them; else in double, rounded once.
  bool float_chains = false;
  /// What the heuristics offer for every computation of every convolution. All compute the same.
  std::vector<ConvolutionCandidate> cudnn_algorithms = {{.name = "loops", .deterministic = true}};
};
HostResources& host_resources();

}  // namespace bntrain::cuda
