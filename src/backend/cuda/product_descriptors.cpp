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

template <typename T>
void set(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t name, const T& value) {
  BNTRAIN_CUDA_CHECK(cublasLtMatrixLayoutSetAttribute(layout, name, &value, sizeof value));
}

/// Packed matrices as they lie in memory.
MatrixLayout make_layout(std::int64_t rows, std::int64_t columns, std::int64_t count, std::int64_t stride) {
  cublasLtMatrixLayout_t handle = nullptr;
  BNTRAIN_CUDA_CHECK(cublasLtMatrixLayoutCreate(&handle, CUDA_R_32F, static_cast<std::uint64_t>(rows),
                                                static_cast<std::uint64_t>(columns), rows));
  MatrixLayout layout(handle);
  set(handle, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<std::int32_t>(count));
  set(handle, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
  return layout;
}

/// What the matrices of all products are aligned to.
std::uint32_t alignment(std::int64_t count, std::int64_t stride) {
  const bool all = count == 1 || stride % static_cast<std::int64_t>(kAlignment / sizeof(float)) == 0;
  return all ? kAlignment : static_cast<std::uint32_t>(sizeof(float));
}

cublasLtMatmulPreference_t make_preference() {
  cublasLtMatmulPreference_t preference = nullptr;
  BNTRAIN_CUDA_CHECK(cublasLtMatmulPreferenceCreate(&preference));
  return preference;
}

}  // namespace

ProductDescriptors::ProductDescriptors(const ProductShape& s, Precision precision)
    : operation(make_operation(precision)),
      a(s.transpose_a ? make_layout(s.inner, s.rows, s.count, s.a_stride)
                      : make_layout(s.rows, s.inner, s.count, s.a_stride)),
      b(s.transpose_b ? make_layout(s.columns, s.inner, s.count, s.b_stride)
                      : make_layout(s.inner, s.columns, s.count, s.b_stride)),
      d(make_layout(s.rows, s.columns, s.count, s.d_stride)),
      preference(make_preference()) {
  set(operation.get(), CUBLASLT_MATMUL_DESC_TRANSA, s.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(operation.get(), CUBLASLT_MATMUL_DESC_TRANSB, s.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);

  set_workspace_limit(*this, Product::kWorkspaceBytes);
  set(preference.get(), CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set(preference.get(), CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(s.count, s.a_stride));
  set(preference.get(), CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(s.count, s.b_stride));
  set(preference.get(), CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(s.count, s.d_stride));
  set(preference.get(), CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(s.count, s.d_stride));
  if (precision == Precision::fp32)
    set(preference.get(), CUBLASLT_MATMUL_PREF_IMPL_MASK,
        ~static_cast<std::uint64_t>(CUBLASLT_NUMERICAL_IMPL_FLAGS_TENSOR_OP_MASK));
}

void set_workspace_limit(const ProductDescriptors& product, std::int64_t bytes) {
  set(product.preference.get(), CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(bytes));
}

}  // namespace bntrain::cuda
