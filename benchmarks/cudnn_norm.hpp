// cuDNN's batch norm.
#pragma once

#include "backend/cuda/math_libraries.hpp"
#include "benchmarks/norm_contender.hpp"

namespace bntrain::benchmarks {

/// "cudnn spatial" and "cudnn persistent", by the calls that PyTorch makes. cuDNN's third mode normalises
/// every element by itself and is no contender.
Contenders cudnn_contenders(const NormCase& c, cuda::MathLibraries& libraries);

}  // namespace bntrain::benchmarks
