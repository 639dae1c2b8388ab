// simt_host::Executor on a GPU: launches go to the device, one at a time, and are waited for, because tests
// read results right away. Schedules are the device's own.
#include "kernels/simt/host/executor.hpp"

#include "kernels/simt/cuda_check.hpp"
#include "kernels/simt/launch_cuda.hpp"

namespace bntrain::simt_host {

// Tests tell executors apart by their streams; the device gets its default stream.
void Executor::launch(const kernels::KernelCall& call, const kernels::LaunchConfig& config) {
  launches_.push_back(config);
  kernels::launch(call, config, {});
}

std::vector<Settings> all_schedules() {
  return {{.schedule = Schedule::in_order}, {.schedule = Schedule::random, .seed = 1}};
}

std::string to_string(Schedule) {
  return "device";
}

}  // namespace bntrain::simt_host

namespace bntrain::kernels {

// In place of kernels/simt/launch.cpp.
void launch(const KernelCall& call, const LaunchConfig& config, const Stream& stream) {
  if (stream.handle != nullptr) {
    reinterpret_cast<simt_host::Executor*>(stream.handle)->launch(call, config);
    return;
  }
  launch_on_device(call, config, stream);
  BNTRAIN_CUDA_CHECK(cudaDeviceSynchronize());
}

int co_resident_blocks(const void* kernel, const LaunchConfig& config, const Stream& stream) {
  return co_resident_blocks_on_device(kernel, config, {nullptr, stream.max_blocks});
}

}  // namespace bntrain::kernels
