#include "kernels/batch_norm/resident_forward.cuh"

namespace bntrain::kernels {

bool resident_forward_fits(const ResidentSpace& space, const ResidentTuning& tuning, const Stream& stream) {
  const void* kernel = address(resident_forward_kernel_for<float>(space, tuning.vectors));
  return co_resident_blocks(kernel, resident_forward_config(space, tuning), stream) >= tuning.cluster;
}

void resident_forward(ResidentSpace space, const ResidentTuning& tuning, std::int64_t count, const float* x,
                      const float* gamma, const float* beta, float* y, const StatisticsOutput& output,
                      const Stream& stream) {
  launch_resident_forward(space, tuning, count, x, gamma, beta, y, output, stream);
}

}  // namespace bntrain::kernels
