#include "backend/cuda/backend.hpp"

#include "backend/cuda/executable.hpp"
#include "backend/cuda/gpu.hpp"
#include "backend/cuda/math_handles.hpp"
#include "backend/cuda/peaks.hpp"
#include "bntrain/error.hpp"
#include "core/machine_limits.hpp"

namespace bntrain::cuda {
namespace {

/// The first generation with TF32, Ampere.
constexpr int kTf32Capability = 80;

class CudaBackend final : public Backend {
 public:
  CudaBackend(Gpu gpu, Precision precision) : gpu_(std::move(gpu)), precision_(precision) {}

  std::unique_ptr<Executable> compile(const PlanRequest& request) override {
    const auto refuse = [&](const std::string& reason) {
      return Error(ErrorKind::runtime, "batch_size",
                   "the network with batches of " + std::to_string(request.batch_size) +
                       " images cannot be compiled for " + gpu_.name + ": " + reason +
                       "; a smaller batch needs less memory, and there is the CPU (device cpu)");
    };
    try {
      use_gpu(gpu_.index);  // of this thread, which may not be the one that made the backend
      Plan plan = make_plan(request, {});
      const std::int64_t needed = Workspace::bytes(plan), free = free_memory();
      if (needed > free)
        throw refuse("it needs " + memory_text(needed) + " of memory, and the GPU has " + memory_text(free) +
                     " left");
      return std::make_unique<CudaExecutable>(std::move(plan), precision_);
    } catch (const CudaError& error) {
      throw refuse(error.what());
    }
  }

  std::int64_t memory_bytes(const PlanRequest& request) override {
    return Workspace::bytes(make_plan(request, {}));
  }

  DevicePeaks measure_peaks() override {
    use_gpu(gpu_.index);
    DeviceStream stream;
    return cuda::measure_peaks(stream);
  }

  std::string description() const override {
    return "CUDA, " + to_string(gpu_) + ", " + (precision_ == Precision::tf32 ? "tf32" : "fp32") + ", CUDA " +
           runtime_version() + ", cuDNN " + cudnn_version() + ", cuBLASLt " + cublas_version();
  }

 private:
  Gpu gpu_;
  Precision precision_;
};

}  // namespace

std::unique_ptr<Backend> make_backend(Precision precision, int gpu_index) {
  try {
    Gpu gpu = usable_gpu(gpu_index);
    if (precision == Precision::tf32 && gpu.compute_capability < kTf32Capability)
      throw Error(ErrorKind::usage, "precision",
                  "tf32 needs a GPU of compute capability 8.0 or above, which " + gpu.name +
                      " is not; allowed there: fp32");
    return std::make_unique<CudaBackend>(std::move(gpu), precision);
  } catch (const CudaError& error) {
    throw Error(ErrorKind::runtime, error.what());
  }
}

}  // namespace bntrain::cuda
