// The CPU as a backend.
#pragma once

#include <memory>

#include "bntrain/backend.hpp"

namespace bntrain::cpu {

/// Throws Error(usage) when the instruction set is not to be had here.
std::unique_ptr<Backend> make_cpu_backend(int threads, CpuIsa isa);

}  // namespace bntrain::cpu
