// cuDNN's batch norm.
#pragma once

#include "backend/cuda/math_libraries.hpp"
#include "benchmarks/norm_contender.hpp"

namespace bntrain::benchmarks {

/// "cudnn spatial" and "cudnn persistent", by the calls that PyTorch makes. cuDNN's third mode normalises
/// every element by itself and is no contender. With pooling they are followed by its ReLU and max pooling.
Contenders cudnn_contenders(const NormCase& c, cuda::MathLibraries& libraries);

}  // namespace bntrain::benchmarks
