#include "backend/cuda/convolution_descriptors.hpp"

#include <limits>

namespace bntrain::cuda {
namespace {

/// cuDNN counts in int.
int narrow(std::int64_t size) {
  constexpr int kMost = std::numeric_limits<int>::max();
  if (size > kMost)
    throw CudaError("cuDNN takes sizes up to " + std::to_string(kMost) + ", and one is " +
                    std::to_string(size));
  return static_cast<int>(size);
}

template <typename Owner, typename Handle>
Owner make(cudnnStatus_t (*create)(Handle*)) {
  Handle handle = nullptr;
  BNTRAIN_CUDA_CHECK(create(&handle));
  return Owner(handle);
}

}  // namespace

cudnnMathType_t math_type(Precision precision) {
  return precision == Precision::fp32 ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH;
}

Arithmetic arithmetic_of(cudnnMathType_t math, Precision precision) {
  switch (math) {
    case CUDNN_FMA_MATH:
      return Arithmetic::multiply_add;
    case CUDNN_DEFAULT_MATH:  // what the descriptor says
      return precision == Precision::fp32 ? Arithmetic::multiply_add : Arithmetic::tensor_cores;
    case CUDNN_TENSOR_OP_MATH:
      return Arithmetic::tensor_cores;
    case CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION:
      break;
  }
  return Arithmetic::converted;
}

TensorDescriptors::TensorDescriptors(const ConvolutionShape& shape)
    : x(make<TensorDescriptor>(cudnnCreateTensorDescriptor)),
      y(make<TensorDescriptor>(cudnnCreateTensorDescriptor)),
      w(make<FilterDescriptor>(cudnnCreateFilterDescriptor)) {
  BNTRAIN_CUDA_CHECK(cudnnSetTensor4dDescriptor(x.get(), CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT,
                                                narrow(shape.batch), narrow(shape.in_channels),
                                                narrow(shape.height), narrow(shape.width)));
  BNTRAIN_CUDA_CHECK(cudnnSetFilter4dDescriptor(w.get(), CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW,
                                                narrow(shape.out_channels), narrow(shape.in_channels),
                                                narrow(shape.kernel), narrow(shape.kernel)));
  BNTRAIN_CUDA_CHECK(cudnnSetTensor4dDescriptor(y.get(), CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT,
                                                narrow(shape.batch), narrow(shape.out_channels),
                                                narrow(shape.out_height()), narrow(shape.out_width())));
}

ConvolutionDescriptor describe_convolution(const ConvolutionShape& shape, cudnnMathType_t math) {
  auto convolution = make<ConvolutionDescriptor>(cudnnCreateConvolutionDescriptor);
  const int padding = narrow(shape.padding), stride = narrow(shape.stride);
  constexpr int kDilation = 1;
  BNTRAIN_CUDA_CHECK(cudnnSetConvolution2dDescriptor(convolution.get(), padding, padding, stride, stride,
                                                     kDilation, kDilation, CUDNN_CROSS_CORRELATION,
                                                     CUDNN_DATA_FLOAT));
  BNTRAIN_CUDA_CHECK(cudnnSetConvolutionMathType(convolution.get(), math));
  return convolution;
}

}  // namespace bntrain::cuda
