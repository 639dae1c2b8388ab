// simt_host::Executor on a GPU: launches go to the device, one at a time, and are waited for, because tests
// read results right away. Schedules are the device's own.
#include "support/simt_host/executor.hpp"

#include "kernels/cuda_check.hpp"

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

// The linker's --wrap: who calls kernels::launch() comes here first.
#define BNTRAIN_LAUNCH _ZN7bntrain7kernels6launchERKNS0_10KernelCallERKNS0_12LaunchConfigERKNS0_6StreamE
#define BNTRAIN_CO_RESIDENT _ZN7bntrain7kernels18co_resident_blocksEPKvRKNS0_12LaunchConfigERKNS0_6StreamE
#define BNTRAIN_JOIN_(a, b) a##b
#define BNTRAIN_JOIN(a, b) BNTRAIN_JOIN_(a, b)
#define BNTRAIN_REAL(name) BNTRAIN_JOIN(__real_, name)
#define BNTRAIN_WRAP(name) BNTRAIN_JOIN(__wrap_, name)

using bntrain::kernels::KernelCall;
using bntrain::kernels::LaunchConfig;
using bntrain::kernels::Stream;

extern "C" {

void BNTRAIN_REAL(BNTRAIN_LAUNCH)(const KernelCall&, const LaunchConfig&, const Stream&);
int BNTRAIN_REAL(BNTRAIN_CO_RESIDENT)(const void*, const LaunchConfig&, const Stream&);

void BNTRAIN_WRAP(BNTRAIN_LAUNCH)(const KernelCall& call, const LaunchConfig& config, const Stream& stream) {
  if (stream.handle != nullptr) {
    reinterpret_cast<bntrain::simt_host::Executor*>(stream.handle)->launch(call, config);
    return;
  }
  BNTRAIN_REAL(BNTRAIN_LAUNCH)(call, config, stream);
  BNTRAIN_CUDA_CHECK(cudaDeviceSynchronize());
}

int BNTRAIN_WRAP(BNTRAIN_CO_RESIDENT)(const void* kernel, const LaunchConfig& config, const Stream& stream) {
  return BNTRAIN_REAL(BNTRAIN_CO_RESIDENT)(kernel, config, {nullptr, stream.max_blocks});
}

}  // extern "C"
