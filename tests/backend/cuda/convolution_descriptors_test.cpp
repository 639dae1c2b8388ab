// What cuDNN is told. Descriptors need no GPU.
#include "backend/cuda/convolution_descriptors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace bntrain::cuda {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr ConvolutionShape kShape{.batch = 256,
                                  .in_channels = 3,
                                  .height = 28,
                                  .width = 30,
                                  .out_channels = 20,
                                  .kernel = 5,
                                  .stride = 2,
                                  .padding = 1};

std::vector<int> sizes(const TensorDescriptor& tensor, cudnnDataType_t& type) {
  std::array<int, 4> size{}, stride{};
  BNTRAIN_CUDA_CHECK(cudnnGetTensor4dDescriptor(tensor.get(), &type, &size[0], &size[1], &size[2], &size[3],
                                                &stride[0], &stride[1], &stride[2], &stride[3]));
  EXPECT_THAT(stride, ElementsAre(size[1] * size[2] * size[3], size[2] * size[3], size[3], 1));
  return {size.begin(), size.end()};
}

TEST(ConvolutionDescriptors, SayTheShape) {
  const TensorDescriptors tensors(kShape);
  cudnnDataType_t type{};
  EXPECT_THAT(sizes(tensors.x, type), ElementsAre(256, 3, 28, 30));
  EXPECT_EQ(type, CUDNN_DATA_FLOAT);
  EXPECT_THAT(sizes(tensors.y, type), ElementsAre(256, 20, 13, 14));
  EXPECT_EQ(type, CUDNN_DATA_FLOAT);

  std::array<int, 4> filter{};
  cudnnTensorFormat_t format{};
  BNTRAIN_CUDA_CHECK(cudnnGetFilter4dDescriptor(tensors.w.get(), &type, &format, &filter[0], &filter[1],
                                                &filter[2], &filter[3]));
  EXPECT_THAT(filter, ElementsAre(20, 3, 5, 5));
  EXPECT_EQ(type, CUDNN_DATA_FLOAT);
  EXPECT_EQ(format, CUDNN_TENSOR_NCHW);
}

TEST(ConvolutionDescriptors, TheOutputIsWhatCudnnWouldWrite) {
  const TensorDescriptors tensors(kShape);
  const auto convolution = describe_convolution(kShape, CUDNN_FMA_MATH);
  std::array<int, 4> size{};
  BNTRAIN_CUDA_CHECK(cudnnGetConvolution2dForwardOutputDim(
      convolution.get(), tensors.x.get(), tensors.w.get(), &size[0], &size[1], &size[2], &size[3]));
  EXPECT_THAT(size, ElementsAre(kShape.batch, kShape.out_channels, kShape.out_height(), kShape.out_width()));
}

TEST(ConvolutionDescriptors, SumsAreFloatAndTheKernelIsNotFlipped) {
  const auto convolution = describe_convolution(kShape, CUDNN_FMA_MATH);
  std::array<int, 6> p{};
  cudnnConvolutionMode_t mode{};
  cudnnDataType_t compute{};
  BNTRAIN_CUDA_CHECK(cudnnGetConvolution2dDescriptor(convolution.get(), &p[0], &p[1], &p[2], &p[3], &p[4],
                                                     &p[5], &mode, &compute));
  EXPECT_THAT(p, ElementsAre(1, 1, 2, 2, 1, 1));
  EXPECT_EQ(mode, CUDNN_CROSS_CORRELATION);
  EXPECT_EQ(compute, CUDNN_DATA_FLOAT);
}

cudnnMathType_t described(Precision precision) {
  const auto convolution = describe_convolution(kShape, math_type(precision));
  cudnnMathType_t math{};
  BNTRAIN_CUDA_CHECK(cudnnGetConvolutionMathType(convolution.get(), &math));
  return math;
}

TEST(ConvolutionDescriptors, Fp32IsStrictAndTf32IsNot) {
  EXPECT_EQ(described(Precision::fp32), CUDNN_FMA_MATH);
  EXPECT_EQ(described(Precision::tf32), CUDNN_DEFAULT_MATH);
}

TEST(ConvolutionDescriptors, WhatACandidateMultipliesWith) {
  for (const Precision precision : {Precision::fp32, Precision::tf32}) {
    EXPECT_EQ(arithmetic_of(CUDNN_FMA_MATH, precision), Arithmetic::multiply_add);
    EXPECT_EQ(arithmetic_of(CUDNN_TENSOR_OP_MATH, precision), Arithmetic::tensor_cores);
    EXPECT_EQ(arithmetic_of(CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION, precision), Arithmetic::converted);
  }
  EXPECT_EQ(arithmetic_of(CUDNN_DEFAULT_MATH, Precision::fp32), Arithmetic::multiply_add);
  EXPECT_EQ(arithmetic_of(CUDNN_DEFAULT_MATH, Precision::tf32), Arithmetic::tensor_cores);
}

std::string refusal(const ConvolutionShape& shape) {
  try {
    TensorDescriptors descriptors(shape);
  } catch (const CudaError& error) {
    return error.what();
  }
  return "";
}

TEST(ConvolutionDescriptors, RefuseSizesBeyondInt) {
  ConvolutionShape shape = kShape;
  shape.batch = std::int64_t{std::numeric_limits<int>::max()} + 1;
  EXPECT_THAT(refusal(shape), AllOf(HasSubstr("up to 2147483647"), HasSubstr("2147483648")));
}

TEST(ConvolutionDescriptors, CudnnSaysWhatIsWrong) {
  ConvolutionShape shape = kShape;
  shape.batch = 0;
  EXPECT_THAT(refusal(shape), AllOf(HasSubstr("CUDNN_STATUS_BAD_PARAM"), HasSubstr("n <= 0"),
                                    HasSubstr("cudnnSetTensor4dDescriptor")));
}

}  // namespace
}  // namespace bntrain::cuda
