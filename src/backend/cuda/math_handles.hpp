// What the objects that call cuDNN and cuBLASLt share.
#pragma once

#include "backend/cuda/library_check.hpp"
#include "backend/cuda/math_libraries.hpp"

namespace bntrain::cuda {

/// What every tensor that is passed in must be aligned to. The algorithms are chosen for it.
inline constexpr std::uint32_t kAlignment = 16;

inline bool is_aligned(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % kAlignment == 0;
}

struct MathLibraries::Handles {
  explicit Handles(DeviceStream& on) : stream(on) {}

  cudnnContext* cudnn();
  cublasLtContext* cublas();

 private:
  DeviceStream& stream;
  std::unique_ptr<cudnnContext, Destroy<cudnnDestroy>> cudnn_;
  std::unique_ptr<cublasLtContext, Destroy<cublasLtDestroy>> cublas_;
};

std::string cudnn_version();   ///< "9.13.0"
std::string cublas_version();  ///< "13.1.0", of cuBLASLt

}  // namespace bntrain::cuda
