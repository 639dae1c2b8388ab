// The parts of launch.hpp that are the same with the CUDA runtime and with the executor.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/simt/launch.hpp"

namespace bntrain::kernels {

std::int64_t strided_grid(std::int64_t work, std::int64_t per_block, int blocks_per_sm,
                          const Stream& stream) {
  std::int64_t most = static_cast<std::int64_t>(device_limits(stream).multiprocessors) * blocks_per_sm;
  if (stream.max_blocks > 0) most = std::min<std::int64_t>(most, stream.max_blocks);
  return std::clamp<std::int64_t>((work + per_block - 1) / per_block, 1, most);
}

void require(bool condition, const char* kernel, const char* what) {
  if (!condition) throw std::invalid_argument(std::string(kernel) + ": " + what);
}

}  // namespace bntrain::kernels
