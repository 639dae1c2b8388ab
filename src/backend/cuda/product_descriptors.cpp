#include "backend/cuda/product_descriptors.hpp"

#include "backend/cuda/math_handles.hpp"

namespace bntrain::cuda {
namespace {

template <typename T>
void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t name, const T& value) {
  BNTRAIN_CUDA_CHECK(cublasLtMatmulDescSetAttribute(operation, name, &value, sizeof value));
}

template <typename T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t name, const T& value) {
  BNTRAIN_CUDA_CHECK(cublasLtMatmulPreferenceSetAttribute(preference, name, &value, sizeof value));
}

cublasLtMatmulDesc_t make_operation(Precision precision) {
  // CUBLAS_COMPUTE_32F promises at least float32's precision and range everywhere (cublas_api.h); the TF32
  // variant has a name of its own. The pedantic one would add nothing but slower algorithms.
  const cublasComputeType_t compute =
      precision == Precision::fp32 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_FAST_TF32;
  cublasLtMatmulDesc_t operation = nullptr;
  BNTRAIN_CUDA_CHECK(cublasLtMatmulDescCreate(&operation, compute, CUDA_R_32F));
  return operation;
}

/// A packed matrix as it lies in memory.
cublasLtMatrixLayout_t make_layout(std::int64_t rows, std::int64_t columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  BNTRAIN_CUDA_CHECK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, static_cast<std::uint64_t>(rows),
                                                static_cast<std::uint64_t>(columns), rows));
  return layout;
}

cublasLtMatmulPreference_t make_preference() {
  cublasLtMatmulPreference_t preference = nullptr;
  BNTRAIN_CUDA_CHECK(cublasLtMatmulPreferenceCreate(&preference));
  return preference;
}

}  // namespace

std::string to_string(const LinearShape& shape) {
  return "fully connected layer of " + std::to_string(shape.in) + " inputs and " + std::to_string(shape.out) +
         " outputs, batch " + std::to_string(shape.batch);
}

ProductShape forward_product(const LinearShape& shape) {
  return {.rows = shape.out, .columns = shape.batch, .inner = shape.in, .transpose_a = true};
}

ProductShape backward_weights_product(const LinearShape& shape) {
  return {.rows = shape.in, .columns = shape.out, .inner = shape.batch, .transpose_b = true};
}

ProductShape backward_input_product(const LinearShape& shape) {
  return {.rows = shape.in, .columns = shape.batch, .inner = shape.out};
}

ProductDescriptors::ProductDescriptors(const ProductShape& s, Precision precision)
    : operation(make_operation(precision)),
      a(s.transpose_a ? make_layout(s.inner, s.rows) : make_layout(s.rows, s.inner)),
      b(s.transpose_b ? make_layout(s.columns, s.inner) : make_layout(s.inner, s.columns)),
      d(make_layout(s.rows, s.columns)),
      preference(make_preference()) {
  set(operation.get(), CUBLASLT_MATMUL_DESC_TRANSA, s.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(operation.get(), CUBLASLT_MATMUL_DESC_TRANSB, s.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);

  set(preference.get(), CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
      static_cast<std::uint64_t>(kWorkspaceBytes));
  set(preference.get(), CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  for (const auto matrix :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    set(preference.get(), matrix, kAlignment);
  if (precision == Precision::fp32)
    set(preference.get(), CUBLASLT_MATMUL_PREF_IMPL_MASK,
        ~static_cast<std::uint64_t>(CUBLASLT_NUMERICAL_IMPL_FLAGS_TENSOR_OP_MASK));
}

}  // namespace bntrain::cuda
