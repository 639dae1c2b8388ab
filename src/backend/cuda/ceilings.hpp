// What this device reaches at most.
#pragma once

#include "backend/cuda/device.hpp"
#include "bntrain/backend.hpp"

namespace bntrain::cuda {

/// See Backend::measure_ceilings(). The best of a few repetitions each; arrays of `copy_bytes`.
DeviceCeilings measure_ceilings(DeviceStream& stream, std::int64_t copy_bytes = std::int64_t{1} << 30);

}  // namespace bntrain::cuda
