// Tunings of the resident kernels that scripts/tune_kernels.sh measured as faster than the rule's, which they
// replace. The table is part of the program, so that a run can be repeated bit for bit.
#pragma once

#include <initializer_list>

#include "kernels/batch_norm/resident.hpp"

namespace bntrain::kernels {

struct MeasuredTuning {
  int multiprocessors, compute_capability;
  NormShape shape;
  NormPass pass;
  ResidentTuning tuning;
};

inline const std::initializer_list<MeasuredTuning> kMeasuredTunings = {
#include "kernels/batch_norm/resident_tunings.inc"
};

/// The table's tuning for the pass, shape and device; `vectors` is 0 where it has none.
inline ResidentTuning measured_tuning(NormPass pass, const NormShape& shape, const DeviceLimits& device,
                                      const std::initializer_list<MeasuredTuning>& table = kMeasuredTunings) {
  for (const MeasuredTuning& m : table)
    if (m.multiprocessors == device.multiprocessors && m.compute_capability == device.compute_capability &&
        m.pass == pass && m.shape.batch == shape.batch && m.shape.channels == shape.channels &&
        m.shape.spatial == shape.spatial && (m.shape.layout == shape.layout || shape.spatial == 1))
      return m.tuning;
  return {};
}

}  // namespace bntrain::kernels
