// The CUDA backend without a GPU: the executable, the plan and the kernels are the real ones.
#pragma once

#include <memory>

#include "bntrain/backend.hpp"

namespace bntrain::cuda {

std::unique_ptr<Backend> make_host_backend(Precision precision = Precision::fp32);

}  // namespace bntrain::cuda
