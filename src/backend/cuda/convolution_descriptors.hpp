// What cuDNN is told about a convolution. Apart from the calls, because none of this needs a GPU: the tests
// read the descriptors back.
#pragma once

#include <memory>

#include "backend/cuda/convolution.hpp"
#include "backend/cuda/library_check.hpp"

namespace bntrain::cuda {

using TensorDescriptor = std::unique_ptr<cudnnTensorStruct, Destroy<cudnnDestroyTensorDescriptor>>;
using FilterDescriptor = std::unique_ptr<cudnnFilterStruct, Destroy<cudnnDestroyFilterDescriptor>>;
using ConvolutionDescriptor =
    std::unique_ptr<cudnnConvolutionStruct, Destroy<cudnnDestroyConvolutionDescriptor>>;

/// The instructions that cuDNN may use: for fp32 multiply-adds only (its default allows TF32 for float), for
/// tf32 its default.
cudnnMathType_t math_type(Precision precision);

/// x, w and y of a shape; packed float32. Throws CudaError where cuDNN does not take the sizes.
struct TensorDescriptors {
  explicit TensorDescriptors(const ConvolutionShape& shape);
  TensorDescriptor x, y;
  FilterDescriptor w;
};

/// A cross-correlation with sums in float32.
ConvolutionDescriptor describe_convolution(const ConvolutionShape& shape, cudnnMathType_t math);

/// What a candidate of cuDNN's multiplies with that runs in this precision.
Arithmetic arithmetic_of(cudnnMathType_t math, Precision precision);

}  // namespace bntrain::cuda
