// cuDNN's algorithms for a convolution, one by one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/cuda/device.hpp"
#include "benchmarks/conv_case.hpp"

namespace bntrain::benchmarks {

/// An algorithm for one pass of one shape, which enqueues result = pass(a, b).
struct ConvAlgorithm {
  std::string name;
  std::function<void(const float* a, const float* b, float* result)> run;
};

/// All that give the same bits every time and multiply in float32. They are valid as long as the stream.
std::vector<ConvAlgorithm> cudnn_algorithms(const ConvolutionShape& shape, ConvolutionPass pass,
                                            cuda::DeviceStream& stream);

}  // namespace bntrain::benchmarks
