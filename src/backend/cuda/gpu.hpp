// The GPU that is used, what it and the driver are, and whether this build can use them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bntrain/backend.hpp"

namespace bntrain::cuda {

struct Gpu {
  int index = 0;  ///< as the CUDA runtime counts those that CUDA_VISIBLE_DEVICES shows
  std::string name;
  int compute_capability = 0;  ///< 90 for 9.0
  int multiprocessors = 0;
  std::int64_t memory_bytes = 0;
};

/// The GPU of that number, which becomes the calling thread's. Throws Error(runtime) with the reason where it
/// cannot be used: the driver is too old for the CUDA runtime, there is no GPU, or it is one that this build
/// has no code for; Error(usage) with the GPUs that there are where it is not one of them.
Gpu usable_gpu(int index = 0);

/// Makes it the calling thread's.
void use_gpu(int index);

/// "0: NVIDIA H200, ...; 1: ...".
std::string list(const std::vector<Gpu>& gpus);

/// "NVIDIA H200, compute capability 9.0, 132 multiprocessors, 139 GiB".
std::string to_string(const Gpu& gpu);

std::string runtime_version();  ///< of CUDA: "13.0"

/// For cuda_facts().
Facts gpu_facts();

}  // namespace bntrain::cuda
