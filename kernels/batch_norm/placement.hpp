// Which variant of the batch norm kernels runs, in which grid: variant.cu.
#pragma once

#include "kernels/batch_norm/resident.hpp"
#include "kernels/batch_norm/streamed.hpp"
#include "kernels/simt/launch.hpp"

namespace bntrain::kernels {

struct Choice {
  NormVariant variant = NormVariant::plain;
  ResidentSpace resident{};        ///< for resident, tuned()
  ResidentTuning tuning{};         ///< for resident
  streamed::Placement streamed{};  ///< for streamed
};

/// The variant `wanted`, or for automatic what variant.cu says. Throws std::invalid_argument("<name>: ...")
/// where `wanted` is impossible for this shape on this device.
Choice choose(const char* name, NormPass pass, const NormShape& shape, NormVariant wanted,
              const Stream& stream);

}  // namespace bntrain::kernels
