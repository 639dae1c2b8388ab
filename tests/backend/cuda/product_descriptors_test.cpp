// What cuBLASLt is told. Descriptors need no GPU.
#include "backend/cuda/product_descriptors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "backend/cuda/column_major.hpp"
#include "backend/cuda/math_handles.hpp"
#include "support/reference.hpp"

namespace bntrain::cuda {
namespace {

using reference::Values;

std::uint64_t allowed_implementations(Precision precision) {
  const ProductDescriptors product({.rows = 2, .columns = 3, .inner = 4}, precision);
  return attribute<std::uint64_t>(product.preference.get(), CUBLASLT_MATMUL_PREF_IMPL_MASK);
}

std::int32_t compute_type(Precision precision) {
  const ProductDescriptors product({.rows = 2, .columns = 3, .inner = 4}, precision);
  return attribute<std::int32_t>(product.operation.get(), CUBLASLT_MATMUL_DESC_COMPUTE_TYPE);
}

TEST(ProductDescriptors, Fp32IsStrict) {
  EXPECT_EQ(compute_type(Precision::fp32), CUBLAS_COMPUTE_32F);
  EXPECT_EQ(allowed_implementations(Precision::fp32) & CUBLASLT_NUMERICAL_IMPL_FLAGS_TENSOR_OP_MASK, 0u);
  EXPECT_NE(allowed_implementations(Precision::fp32) & CUBLASLT_NUMERICAL_IMPL_FLAGS_FMA, 0u);
}

TEST(ProductDescriptors, Tf32IsNot) {
  EXPECT_EQ(compute_type(Precision::tf32), CUBLAS_COMPUTE_32F_FAST_TF32);
  EXPECT_NE(allowed_implementations(Precision::tf32) & CUBLASLT_NUMERICAL_IMPL_FLAGS_HMMA, 0u);
}

TEST(ProductDescriptors, AreFloatAndHonestAboutMemory) {
  for (const Precision precision : {Precision::fp32, Precision::tf32}) {
    const ProductDescriptors product({.rows = 2, .columns = 3, .inner = 4}, precision);
    const auto preference = [&](auto name) {
      return attribute<std::uint32_t>(product.preference.get(), name);
    };
    EXPECT_EQ(attribute<std::int32_t>(product.operation.get(), CUBLASLT_MATMUL_DESC_SCALE_TYPE), CUDA_R_32F);
    for (const auto* layout : {product.a.get(), product.b.get(), product.d.get()})
      EXPECT_EQ(attribute<std::uint32_t>(layout, CUBLASLT_MATRIX_LAYOUT_TYPE),
                static_cast<std::uint32_t>(CUDA_R_32F));
    for (const auto matrix :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      EXPECT_EQ(preference(matrix), kAlignment);
    EXPECT_EQ(attribute<std::uint64_t>(product.preference.get(), CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES),
              static_cast<std::uint64_t>(kWorkspaceBytes));
  }
}

// Parts of a sum may be put together in one order only: neither into the result as they come nor rounded to
// its type.
TEST(ProductDescriptors, SplitSumsHaveOneOrder) {
  for (const Precision precision : {Precision::fp32, Precision::tf32}) {
    const ProductDescriptors product({.rows = 2, .columns = 3, .inner = 4}, precision);
    EXPECT_EQ(attribute<std::uint32_t>(product.preference.get(), CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK),
              static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  }
}

Values numbers(std::int64_t size, double first) {
  Values values(static_cast<std::size_t>(size));
  std::iota(values.begin(), values.end(), first);
  return values;
}

// Whole numbers, so that every order of a sum gives the same.
TEST(ProductDescriptors, TheThreeProductsOfALayerAreThoseOfTheReference) {
  for (const LinearShape shape : {LinearShape{2, 3, 5}, LinearShape{1, 1, 1}, LinearShape{7, 1, 4},
                                  LinearShape{1, 6, 2}, LinearShape{4, 5, 1}}) {
    SCOPED_TRACE(testing::PrintToString(std::vector{shape.batch, shape.in, shape.out}));
    const reference::LinearShape plain{.batch = shape.batch, .inputs = shape.in, .outputs = shape.out};
    const Values x = numbers(shape.batch * shape.in, 1), w = numbers(shape.out * shape.in, -3),
                 dy = numbers(shape.batch * shape.out, -2);
    const Values no_bias(static_cast<std::size_t>(shape.out));
    const reference::Gradients expected = reference::linear_backward(x, w, dy, plain);
    const auto product = [](const ProductShape& of) { return ProductDescriptors(of, Precision::fp32); };
    EXPECT_EQ(multiply(product(forward_product(shape)), w, x),
              reference::linear_forward(x, w, no_bias, plain));
    EXPECT_EQ(multiply(product(backward_weights_product(shape)), x, dy), expected.weight);
    EXPECT_EQ(multiply(product(backward_input_product(shape)), w, dy), expected.x);
  }
}

TEST(ProductDescriptors, AnErrorNamesTheLayer) {
  EXPECT_EQ(to_string(LinearShape{.batch = 256, .in = 1250, .out = 128}),
            "fully connected layer of 1250 inputs and 128 outputs, batch 256");
}

TEST(LibraryCheck, NamesStatusCallAndPlace) {
  try {
    BNTRAIN_CUDA_CHECK(CUBLAS_STATUS_NOT_SUPPORTED);
    FAIL() << "nothing was thrown";
  } catch (const CudaError& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("CUBLAS_STATUS_NOT_SUPPORTED"),
                                             testing::HasSubstr("product_descriptors_test.cpp")));
  }
  EXPECT_NO_THROW(BNTRAIN_CUDA_CHECK(CUBLAS_STATUS_SUCCESS));
}

}  // namespace
}  // namespace bntrain::cuda
