#include "backend/cuda/math_libraries.hpp"

#include "backend/cuda/math_handles.hpp"

namespace bntrain::cuda {
namespace {

/// From major * 10000 + minor * 100 + patch.
std::string version_text(std::size_t number) {
  return std::to_string(number / 10000) + "." + std::to_string(number / 100 % 100) + "." +
         std::to_string(number % 100);
}

}  // namespace

std::string cudnn_version() {
  return version_text(cudnnGetVersion());
}

std::string cublas_version() {
  return version_text(cublasLtGetVersion());
}

cudnnContext* MathLibraries::Handles::cudnn() {
  if (!cudnn_) {
    cudnnHandle_t handle = nullptr;
    BNTRAIN_CUDA_CHECK(cudnnCreate(&handle));
    cudnn_.reset(handle);
    BNTRAIN_CUDA_CHECK(cudnnSetStream(handle, stream.kernels().handle));
  }
  return cudnn_.get();
}

cublasLtContext* MathLibraries::Handles::cublas() {
  if (!cublas_) {
    cublasLtHandle_t handle = nullptr;
    BNTRAIN_CUDA_CHECK(cublasLtCreate(&handle));
    cublas_.reset(handle);
  }
  return cublas_.get();
}

MathLibraries::MathLibraries(DeviceStream& on, Precision asked)
    : stream(on), precision(asked), handles_(std::make_unique<Handles>(on)) {}
MathLibraries::~MathLibraries() = default;

}  // namespace bntrain::cuda
