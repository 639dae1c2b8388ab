// launch() and co_resident_blocks() of the CUDA runtime, under names of their own: whoever defines those two
// (launch.cpp, or a test program that looks at every launch) calls these.
#pragma once

#include "kernels/simt/launch.hpp"

namespace bntrain::kernels {

void launch_on_device(const KernelCall& call, const LaunchConfig& config, const Stream& stream);
int co_resident_blocks_on_device(const void* kernel, const LaunchConfig& config, const Stream& stream);

}  // namespace bntrain::kernels
