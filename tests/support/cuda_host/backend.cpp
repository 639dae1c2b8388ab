#include "support/cuda_host/backend.hpp"

#include "backend/cuda/ceilings.hpp"
#include "backend/cuda/executable.hpp"

namespace bntrain::cuda {
namespace {

class HostBackend final : public Backend {
 public:
  PlanOptions plan_options() const override { return {}; }
  std::unique_ptr<Executable> compile(const Plan& plan, const Dataset& dataset) override {
    return std::make_unique<CudaExecutable>(plan, dataset, Precision::fp32);
  }
  DeviceCeilings measure_peaks() override {
    DeviceStream stream;
    return cuda::measure_ceilings(stream, 1 << 20);
  }
  std::string description() const override { return "CUDA kernels on the host"; }
};

}  // namespace

std::unique_ptr<Backend> make_host_backend() {
  return std::make_unique<HostBackend>();
}

}  // namespace bntrain::cuda
