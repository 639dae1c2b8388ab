// The entry of the loadable library, and all that it exports (exports.map).
#include "backend/cuda/backend.hpp"
#include "backend/cuda/gpu.hpp"
#include "backend/cuda_module.hpp"

extern "C" __attribute__((visibility("default"))) const bntrain::CudaModule* bntrain_cuda_module() {
  static constexpr bntrain::CudaModule kModule = {BNTRAIN_VERSION, bntrain::cuda::make_backend,
                                                  bntrain::cuda::gpu_facts};
  return &kModule;
}
