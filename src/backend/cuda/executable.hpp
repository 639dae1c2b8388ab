// The compiled training step on a GPU: every batch size a captured graph.
#pragma once

#include <memory>

#include "bntrain/backend.hpp"

namespace bntrain::cuda {

/// The data set goes to the device here, as bytes, and must not change afterwards.
std::unique_ptr<Executable> make_executable(const Plan& plan, const Dataset& dataset, Precision precision);

}  // namespace bntrain::cuda
