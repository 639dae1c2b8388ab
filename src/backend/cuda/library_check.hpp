// BNTRAIN_CUDA_CHECK for what cuDNN and cuBLASLt return.
#pragma once

#include <cublasLt.h>
#include <cudnn.h>

#include "kernels/simt/cuda_check.hpp"

namespace bntrain {

[[noreturn]] void throw_cuda_error(cudnnStatus_t status, const char* call, const char* file, int line);
[[noreturn]] void throw_cuda_error(cublasStatus_t status, const char* call, const char* file, int line);

inline bool succeeded(cudnnStatus_t status) {
  return status == CUDNN_STATUS_SUCCESS;
}
inline bool succeeded(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS;
}

}  // namespace bntrain

namespace bntrain::cuda {

/// For the C handles of the libraries: std::unique_ptr<cudnnContext, Destroy<cudnnDestroy>>.
template <auto destroy>
struct Destroy {
  template <typename T>
  void operator()(T* handle) const noexcept {
    destroy(handle);
  }
};

}  // namespace bntrain::cuda
