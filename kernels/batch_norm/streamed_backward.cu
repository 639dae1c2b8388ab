// Batch norm backward in training by the streamed kernels: streamed.hpp.
#include "kernels/batch_norm/streamed_launch.cuh"

namespace bntrain::kernels::streamed {

Placement place_backward(const NormShape& shape, const Stream& stream) {
  return place(kernels<BackwardPass, float>(), shape, stream);
}

void backward(const Placement& placement, const BackwardArguments<float>& arguments, void* workspace,
              const Stream& stream) {
  launch_streamed<BackwardPass, float>(placement, arguments, workspace, stream);
}

}  // namespace bntrain::kernels::streamed
