// A GPU as a backend.
#pragma once

#include <memory>

#include "bntrain/backend.hpp"

namespace bntrain::cuda {

/// Throws Error(runtime) with the reason why there is no GPU to be used, Error(usage) where there is none of
/// that number or it cannot compute in the precision.
std::unique_ptr<Backend> make_backend(Precision precision, int gpu);

}  // namespace bntrain::cuda
