// The instruction sets that the CPU kernels are compiled for.
#pragma once

#include <string>
#include <vector>

namespace bntrain {

/// The x86-64 psABI levels: v2 = SSE4.2 (4 lanes), v3 = AVX2 + FMA (8 lanes), v4 = AVX-512 (16 lanes).
/// On other processors `automatic` and v2 mean the compiler's baseline with 4 lanes.
enum class CpuIsa { automatic, v2, v3, v4 };

/// Instruction sets that this processor can run, from the smallest to the best; never empty.
std::vector<CpuIsa> available_cpu_isas();

/// "auto", "v2", "v3", "v4".
std::string to_string(CpuIsa isa);

}  // namespace bntrain
