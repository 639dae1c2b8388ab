#include "support/cuda_host/backend.hpp"

#include "backend/cuda/executable.hpp"
#include "backend/cuda/peaks.hpp"

namespace bntrain::cuda {
namespace {

class HostBackend final : public Backend {
 public:
  std::unique_ptr<Executable> compile(const PlanRequest& request) override {
    return std::make_unique<CudaExecutable>(make_plan(request, {}), Precision::fp32);
  }
  DevicePeaks measure_peaks() override {
    DeviceStream stream;
    return cuda::measure_peaks(stream, 1 << 20);
  }
  std::string description() const override { return "CUDA kernels on the host"; }
};

}  // namespace

std::unique_ptr<Backend> make_host_backend() {
  return std::make_unique<HostBackend>();
}

}  // namespace bntrain::cuda
