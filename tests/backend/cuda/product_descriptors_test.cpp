// What cuBLASLt is told. Descriptors need no GPU.
#include "backend/cuda/product_descriptors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "backend/cuda/column_major.hpp"
#include "backend/cuda/math_handles.hpp"
#include "backend/cuda/ops/linear.hpp"
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
              static_cast<std::uint64_t>(Product::kWorkspaceBytes));
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
  for (const auto& [batch, in, out] :
       std::vector<std::array<std::int64_t, 3>>{{2, 3, 5}, {1, 1, 1}, {7, 1, 4}, {1, 6, 2}, {4, 5, 1}}) {
    SCOPED_TRACE(testing::PrintToString(std::vector{batch, in, out}));
    const reference::LinearShape plain{.batch = batch, .inputs = in, .outputs = out};
    const Values x = numbers(batch * in, 1), w = numbers(out * in, -3), dy = numbers(batch * out, -2);
    const Values no_bias(static_cast<std::size_t>(out));
    const reference::Gradients expected = reference::linear_backward(x, w, dy, plain);
    const auto product = [](const ProductShape& of) { return ProductDescriptors(of, Precision::fp32); };
    EXPECT_EQ(multiply(product(linear_forward(batch, in, out)), w, x),
              reference::linear_forward(x, w, no_bias, plain));
    EXPECT_EQ(multiply(product(linear_backward_weights(batch, in, out)), x, dy), expected.weight);
    EXPECT_EQ(multiply(product(linear_backward_input(batch, in, out)), w, dy), expected.x);
  }
}

TEST(ProductDescriptors, SeveralProductsSayWhereEachBeginsAndWhatItIsAlignedTo) {
  const ProductDescriptors product(
      {.rows = 2, .columns = 3, .inner = 4, .count = 5, .a_stride = 8, .b_stride = 0, .d_stride = 6},
      Precision::fp32);
  const auto stride = [](const auto& layout) {
    return attribute<std::int64_t>(layout.get(), CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
  };
  for (const auto* layout : {product.a.get(), product.b.get(), product.d.get()})
    EXPECT_EQ(attribute<std::int32_t>(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT), 5);
  EXPECT_EQ(stride(product.a), 8);
  EXPECT_EQ(stride(product.b), 0);
  EXPECT_EQ(stride(product.d), 6);
  const auto alignment = [&](auto name) { return attribute<std::uint32_t>(product.preference.get(), name); };
  EXPECT_EQ(alignment(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES), 16u);
  EXPECT_EQ(alignment(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES), 16u);
  EXPECT_EQ(alignment(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES), 4u);
}

TEST(ProductDescriptors, TheLimitOfTheWorkspaceCanBeLowered) {
  const ProductDescriptors product({.rows = 2, .columns = 3, .inner = 4}, Precision::fp32);
  set_workspace_limit(product, 0);
  EXPECT_EQ(attribute<std::uint64_t>(product.preference.get(), CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES), 0u);
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
