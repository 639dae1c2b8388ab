// What this device reaches at most.
#pragma once

#include "backend/cuda/device.hpp"
#include "backend/executable.hpp"

namespace bntrain::cuda {

/// See Backend::measure_peaks(). The best of a few repetitions each; arrays of `copy_bytes`.
DevicePeaks measure_peaks(DeviceStream& stream, std::int64_t copy_bytes = std::int64_t{1} << 30);

}  // namespace bntrain::cuda
