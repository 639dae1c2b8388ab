// Launches on the device. Nothing else is in this object: a program that defines both functions
// itself is linked without it.
#include "kernels/simt/launch_cuda.hpp"

namespace bntrain::kernels {

void launch(const KernelCall& call, const LaunchConfig& config, const Stream& stream) {
  launch_on_device(call, config, stream);
}

int co_resident_blocks(const void* kernel, const LaunchConfig& config, const Stream& stream) {
  return co_resident_blocks_on_device(kernel, config, stream);
}

}  // namespace bntrain::kernels
