#include "kernels/batch_norm/resident_backward.cuh"

namespace bntrain::kernels {

bool resident_backward_fits(const ResidentSpace& space, const ResidentTuning& tuning, const Stream& stream) {
  const void* kernel = address(resident_backward_kernel_for<float>(space, tuning.vectors));
  return co_resident_blocks(kernel, resident_backward_config(space, tuning), stream) >= tuning.cluster;
}

void resident_backward(ResidentSpace space, const ResidentTuning& tuning, std::int64_t count, const float* x,
                       const float* dy, const float* gamma, const float* mean, const float* inv_std,
                       float* dx, float* dgamma, float* dbeta, const Stream& stream) {
  launch_resident_backward(space, tuning, count, x, dy, gamma, mean, inv_std, dx, dgamma, dbeta, stream);
}

}  // namespace bntrain::kernels
