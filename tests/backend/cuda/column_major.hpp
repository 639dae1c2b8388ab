// What cuBLASLt computes for a descriptor, as plain loops over what the descriptor says.
#pragma once

#include <vector>

#include "backend/cuda/product_descriptors.hpp"

namespace bntrain::cuda {

template <typename T>
T attribute(const cublasLtMatmulDescOpaque_t* operation, cublasLtMatmulDescAttributes_t name) {
  T value{};
  std::size_t written = 0;
  BNTRAIN_CUDA_CHECK(cublasLtMatmulDescGetAttribute(const_cast<cublasLtMatmulDescOpaque_t*>(operation), name,
                                                    &value, sizeof value, &written));
  return value;
}

template <typename T>
T attribute(const cublasLtMatrixLayoutOpaque_t* layout, cublasLtMatrixLayoutAttribute_t name) {
  T value{};
  std::size_t written = 0;
  BNTRAIN_CUDA_CHECK(cublasLtMatrixLayoutGetAttribute(const_cast<cublasLtMatrixLayoutOpaque_t*>(layout), name,
                                                      &value, sizeof value, &written));
  return value;
}

template <typename T>
T attribute(const cublasLtMatmulPreferenceOpaque_t* preference, cublasLtMatmulPreferenceAttributes_t name) {
  T value{};
  std::size_t written = 0;
  BNTRAIN_CUDA_CHECK(cublasLtMatmulPreferenceGetAttribute(
      const_cast<cublasLtMatmulPreferenceOpaque_t*>(preference), name, &value, sizeof value, &written));
  return value;
}

/// op(matrix)[row, column] of an array in column-major order.
struct Operand {
  Operand(const cublasLtMatrixLayoutOpaque_t* layout, bool is_transposed)
      : rows(attribute<std::uint64_t>(layout, CUBLASLT_MATRIX_LAYOUT_ROWS)),
        columns(attribute<std::uint64_t>(layout, CUBLASLT_MATRIX_LAYOUT_COLS)),
        stride(static_cast<std::uint64_t>(attribute<std::int64_t>(layout, CUBLASLT_MATRIX_LAYOUT_LD))),
        transposed(is_transposed) {
    if (transposed) std::swap(rows, columns);
  }

  std::size_t at(std::uint64_t row, std::uint64_t column) const {
    return transposed ? column + row * stride : row + column * stride;
  }

  std::uint64_t rows, columns;  ///< of op(matrix)
  std::uint64_t stride;
  bool transposed;
};

/// D = op(A) op(B). Throws where the descriptors do not fit together.
inline std::vector<double> multiply(const ProductDescriptors& p, const std::vector<double>& a,
                                    const std::vector<double>& b) {
  const auto is_transposed = [&](cublasLtMatmulDescAttributes_t name) {
    return attribute<std::int32_t>(p.operation.get(), name) == CUBLAS_OP_T;
  };
  const Operand left(p.a.get(), is_transposed(CUBLASLT_MATMUL_DESC_TRANSA));
  const Operand right(p.b.get(), is_transposed(CUBLASLT_MATMUL_DESC_TRANSB));
  const Operand out(p.d.get(), false);
  if (left.rows != out.rows || right.columns != out.columns || left.columns != right.rows)
    throw std::logic_error("the descriptors do not fit together");
  std::vector<double> d(out.rows * out.columns);
  for (std::uint64_t row = 0; row < out.rows; ++row)
    for (std::uint64_t column = 0; column < out.columns; ++column)
      for (std::uint64_t i = 0; i < left.columns; ++i)
        d.at(out.at(row, column)) += a.at(left.at(row, i)) * b.at(right.at(i, column));
  return d;
}

}  // namespace bntrain::cuda
