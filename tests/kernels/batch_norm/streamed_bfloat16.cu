// The streamed kernels over tensors of bfloat16, instantiated for a GPU; streamed_test.cpp runs them on the
// host.
#include "kernels/batch_norm/streamed_launch.cuh"
#include "kernels/simt/bfloat16.hpp"

namespace bntrain::kernels::streamed {

template Kernels kernels<ForwardPass, simt::Bfloat16>();
template Kernels kernels<BackwardPass, simt::Bfloat16>();

}  // namespace bntrain::kernels::streamed
