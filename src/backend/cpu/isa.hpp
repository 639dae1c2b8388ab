// Choice of the kernels for this processor.
#pragma once

#include "backend/cpu/kernels.hpp"
#include "bntrain/backend.hpp"

namespace bntrain::cpu {

/// The kernels of that instruction set, `automatic` being the best that this processor runs. Throws
/// Error(usage) that lists the available ones when it cannot run them.
const Kernels& select_kernels(CpuIsa isa);

}  // namespace bntrain::cpu
