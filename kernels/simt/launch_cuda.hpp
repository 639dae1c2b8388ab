// launch() and co_resident_blocks() of the CUDA runtime, under other names: launch.cpp forwards to them, and
// so does a test program that defines the two itself to observe every launch.
#pragma once

#include "kernels/simt/launch.hpp"

namespace bntrain::kernels {

void launch_on_device(const KernelCall& call, const LaunchConfig& config, const Stream& stream);
int co_resident_blocks_on_device(const void* kernel, const LaunchConfig& config, const Stream& stream);

}  // namespace bntrain::kernels
