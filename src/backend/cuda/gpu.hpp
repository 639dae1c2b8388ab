// The GPU that is used, what it and the driver are, and whether this build can use them.
#pragma once

#include <cstdint>
#include <string>

#include "bntrain/backend.hpp"

namespace bntrain::cuda {

/// The device that the CUDA runtime counts as 0; CUDA_VISIBLE_DEVICES chooses it.
struct Gpu {
  std::string name;
  int compute_capability = 0;  ///< 90 for 9.0
  int multiprocessors = 0;
  std::int64_t memory_bytes = 0;
};

/// Throws Error(runtime) with the reason where it cannot be used: the driver is too old for the CUDA runtime,
/// there is no GPU, or it is one that this build has no code for.
Gpu usable_gpu();

/// "NVIDIA H200, compute capability 9.0, 132 multiprocessors, 139 GiB".
std::string to_string(const Gpu& gpu);

std::string runtime_version();  ///< of CUDA: "13.0"

/// For cuda_facts().
Facts gpu_facts();

}  // namespace bntrain::cuda
