// What cuBLASLt is told about a matrix product. Apart from the calls, because none of this needs a GPU: the
// tests read the descriptors back.
#pragma once

#include <memory>
#include <string>

#include "backend/cuda/library_check.hpp"
#include "backend/cuda/math_libraries.hpp"

namespace bntrain::cuda {

/// D = op(A) op(B) in cuBLAS's column-major order, packed: op(A) is [rows, inner], op(B)
/// [inner, columns]. A row-major matrix is the transposed one here, so C = A B in rows is C^T = B^T A^T.
struct ProductShape {
  std::int64_t rows = 0, columns = 0, inner = 0;
  bool transpose_a = false, transpose_b = false;
};

/// "fully connected layer of 1250 inputs and 128 outputs, batch 256", for errors.
std::string to_string(const LinearShape& shape);

/// The three products of a layer: y^T = (w^T)^T x^T, dw^T = x^T (dy^T)^T, dx^T = w^T dy^T, where the
/// row-major arrays w, x and dy are read as w^T, x^T and dy^T.
ProductShape forward_product(const LinearShape& shape);
ProductShape backward_weights_product(const LinearShape& shape);
ProductShape backward_input_product(const LinearShape& shape);

/// All of it float32. Under fp32 only algorithms of multiply-adds pass the preference, under tf32 the factors
/// may be rounded for tensor cores. A sum that is split over blocks must be put together in a separate step,
/// in one order. Throws CudaError where cuBLASLt does not take the sizes.
struct ProductDescriptors {
  ProductDescriptors(const ProductShape& shape, Precision precision);

  std::unique_ptr<cublasLtMatmulDescOpaque_t, Destroy<cublasLtMatmulDescDestroy>> operation;
  std::unique_ptr<cublasLtMatrixLayoutOpaque_t, Destroy<cublasLtMatrixLayoutDestroy>> a, b, d;
  std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, Destroy<cublasLtMatmulPreferenceDestroy>> preference;
};

}  // namespace bntrain::cuda
