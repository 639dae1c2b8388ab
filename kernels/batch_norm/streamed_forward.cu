// Batch norm forward in training by the streamed kernels: streamed.hpp.
#include "kernels/batch_norm/streamed_launch.cuh"

namespace bntrain::kernels::streamed {

Placement place_forward(const NormShape& shape, const Stream& stream) {
  return place(kernels<ForwardPass, float>(), shape, stream);
}

void forward(const Placement& placement, const ForwardArguments<float>& arguments, void* workspace,
             const Stream& stream) {
  launch_streamed<ForwardPass, float>(placement, arguments, workspace, stream);
}

}  // namespace bntrain::kernels::streamed
