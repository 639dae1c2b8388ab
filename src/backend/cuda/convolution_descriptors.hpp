// What cuDNN is told about a convolution, and which of its algorithms may run. Apart from the calls, because
// none of this needs a GPU: the tests read the descriptors back.
#pragma once

#include <memory>
#include <vector>

#include "backend/cuda/library_check.hpp"
#include "backend/cuda/math_libraries.hpp"

namespace bntrain::cuda {

using TensorDescriptor = std::unique_ptr<cudnnTensorStruct, Destroy<cudnnDestroyTensorDescriptor>>;
using FilterDescriptor = std::unique_ptr<cudnnFilterStruct, Destroy<cudnnDestroyFilterDescriptor>>;
using ConvolutionDescriptor =
    std::unique_ptr<cudnnConvolutionStruct, Destroy<cudnnDestroyConvolutionDescriptor>>;

/// "convolution of 256x1x28x28 with 20x1x5x5, stride 1, padding 0", for errors.
std::string to_string(const ConvolutionShape& shape);

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

/// Whether a candidate of cuDNN's may run: it exists for the shape, gives the same bits every time, and keeps
/// to the precision. Both kinds of tensor core arithmetic but the conversion, which may be to float16, are
/// TF32 for float tensors.
template <typename Candidate>
bool is_allowed(const Candidate& candidate, Precision precision) {
  const bool keeps_precision =
      precision == Precision::fp32
          ? candidate.mathType == CUDNN_FMA_MATH || candidate.mathType == CUDNN_DEFAULT_MATH
          : candidate.mathType != CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION;
  return candidate.status == CUDNN_STATUS_SUCCESS && candidate.determinism == CUDNN_DETERMINISTIC &&
         keeps_precision;
}

/// What the descriptor must say when an allowed candidate runs. Under fp32 it says so itself, whatever the
/// candidate does.
template <typename Candidate>
cudnnMathType_t math_type_of(const Candidate& candidate, Precision precision) {
  return precision == Precision::fp32 ? CUDNN_FMA_MATH : candidate.mathType;
}

}  // namespace bntrain::cuda
