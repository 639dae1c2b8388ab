// What the objects that call cuDNN and cuBLASLt share.
#pragma once

#include "backend/cuda/library_check.hpp"
#include "backend/cuda/math_libraries.hpp"

namespace bntrain::cuda {

/// Of all calls on the stream together: they run one after the other. One size for all shapes and allocated
/// once, so that its address may stand in captured graphs.
inline constexpr std::int64_t kWorkspaceBytes = std::int64_t{64} << 20;

/// What every tensor that is passed in must be aligned to. The algorithms are chosen for it.
inline constexpr std::uint32_t kAlignment = 16;

inline bool is_aligned(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % kAlignment == 0;
}

struct MathLibraries::Impl {
  Impl(DeviceStream& on, Precision asked);

  cudnnContext* cudnn() const { return cudnn_.get(); }
  cublasLtContext* cublas() const { return cublas_.get(); }

  DeviceStream& stream;
  const Precision precision;
  DeviceArray<std::byte> workspace;

 private:
  std::unique_ptr<cudnnContext, Destroy<cudnnDestroy>> cudnn_;
  std::unique_ptr<cublasLtContext, Destroy<cublasLtDestroy>> cublas_;
};

std::string cudnn_version();   ///< "9.13.0"
std::string cublas_version();  ///< "13.1.0", of cuBLASLt

}  // namespace bntrain::cuda
