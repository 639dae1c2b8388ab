// What this processor reaches at most.
#pragma once

#include "backend/cpu/kernels.hpp"
#include "backend/executable.hpp"

namespace bntrain::cpu {

/// See Backend::measure_peaks(): all threads together, the multiply-adds in the instruction set of
/// `kernels`. The best of a few repetitions each.
DevicePeaks measure_peaks(int threads, const Kernels& kernels);

}  // namespace bntrain::cpu
