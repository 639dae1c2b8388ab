// What this processor reaches at most.
#pragma once

#include "backend/cpu/kernels.hpp"
#include "bntrain/backend.hpp"

namespace bntrain::cpu {

/// See Backend::measure_ceilings(): all threads together, the multiply-adds in the instruction set of
/// `kernels`. The best of a few repetitions each.
DeviceCeilings measure_ceilings(int threads, const Kernels& kernels);

}  // namespace bntrain::cpu
