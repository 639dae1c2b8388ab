// The CUDA backend is a library of its own that is loaded at run time, so that the program starts and trains
// on the CPU where CUDA's libraries, the driver or the GPU are missing.
#pragma once

#include <memory>
#include <string>

#include "bntrain/backend.hpp"

namespace bntrain {

/// What the library offers. The types below are those of one version only, so `version` comes first and is
/// compared before anything else is touched.
struct CudaModule {
  const char* version;
  /// Throws Error(runtime) with the reason why the GPU cannot be used, Error(usage) where there is none of
  /// that number.
  std::unique_ptr<Backend> (*make_backend)(Precision precision, int gpu);
  Facts (*facts)();
};

/// Its only symbol. A function without C++ in its signature that matters: it throws nothing.
using CudaModuleEntry = const CudaModule* (*)();
inline constexpr char kCudaModuleEntry[] = "bntrain_cuda_module";

/// Throws what CudaModule::make_backend() does, whose message is the reason alone.
std::unique_ptr<Backend> make_cuda_backend(Precision precision, int gpu = 0);

}  // namespace bntrain
