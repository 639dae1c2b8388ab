#include "support/cuda_host/backend.hpp"

#include "backend/cuda/executable.hpp"
#include "backend/cuda/peaks.hpp"

namespace bntrain::cuda {
namespace {

class HostBackend final : public Backend {
 public:
  explicit HostBackend(Precision precision) : precision_(precision) {}
  std::unique_ptr<Executable> compile(const PlanRequest& request) override {
    return std::make_unique<CudaExecutable>(make_plan(request, {}), precision_);
  }
  std::int64_t memory_bytes(const PlanRequest& request) override {
    return Workspace::bytes(make_plan(request, {}));
  }
  DevicePeaks measure_peaks() override {
    DeviceStream stream;
    return cuda::measure_peaks(stream, 1 << 20);
  }
  std::string description() const override { return "CUDA kernels on the host"; }

 private:
  Precision precision_;
};

}  // namespace

std::unique_ptr<Backend> make_host_backend(Precision precision) {
  return std::make_unique<HostBackend>(precision);
}

}  // namespace bntrain::cuda
