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

MathLibraries::Impl::Impl(DeviceStream& on, Precision asked)
    : stream(on), precision(asked), workspace(kWorkspaceBytes) {
  cudnnHandle_t cudnn = nullptr;
  BNTRAIN_CUDA_CHECK(cudnnCreate(&cudnn));
  cudnn_.reset(cudnn);
  BNTRAIN_CUDA_CHECK(cudnnSetStream(cudnn, stream.kernels().handle));
  cublasLtHandle_t cublas = nullptr;
  BNTRAIN_CUDA_CHECK(cublasLtCreate(&cublas));
  cublas_.reset(cublas);
}

MathLibraries::MathLibraries(DeviceStream& stream, Precision precision)
    : impl_(std::make_unique<Impl>(stream, precision)) {}
MathLibraries::~MathLibraries() = default;

std::string MathLibraries::versions() const {
  return "cuDNN " + cudnn_version() + ", cuBLASLt " + cublas_version();
}

}  // namespace bntrain::cuda
