// Checks of the status that CUDA calls return.
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>

namespace bntrain {

/// A call to a CUDA library failed; the message names the call, the place and the reason.
class CudaError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws CudaError. Other CUDA libraries add overloads for their status types, and BNTRAIN_CUDA_CHECK takes
/// them.
[[noreturn]] void throw_cuda_error(cudaError_t status, const char* call, const char* file, int line);

inline bool succeeded(cudaError_t status) {
  return status == cudaSuccess;
}

}  // namespace bntrain

#define BNTRAIN_CUDA_CHECK(call)                                              \
  do {                                                                        \
    const auto bntrain_status = (call);                                       \
    if (!::bntrain::succeeded(bntrain_status))                                \
      ::bntrain::throw_cuda_error(bntrain_status, #call, __FILE__, __LINE__); \
  } while (false)
