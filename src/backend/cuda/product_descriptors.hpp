// What cuBLASLt is told about a matrix product. Apart from the calls, because none of this needs a GPU: the
// tests read the descriptors back.
#pragma once

#include <memory>

#include "backend/cuda/library_check.hpp"
#include "backend/cuda/math_libraries.hpp"

namespace bntrain::cuda {

using MatrixLayout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, Destroy<cublasLtMatrixLayoutDestroy>>;

/// All of it float32. Under fp32 only algorithms of multiply-adds pass the preference, under tf32 the factors
/// may be rounded for tensor cores. A sum that is split over blocks must be put together in a separate step,
/// in one order. Throws CudaError where cuBLASLt does not take the sizes.
struct ProductDescriptors {
  ProductDescriptors(const ProductShape& shape, Precision precision);

  std::unique_ptr<cublasLtMatmulDescOpaque_t, Destroy<cublasLtMatmulDescDestroy>> operation;
  MatrixLayout a, b, d;
  std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, Destroy<cublasLtMatmulPreferenceDestroy>> preference;
};

void set_workspace_limit(const ProductDescriptors& product, std::int64_t bytes);

}  // namespace bntrain::cuda
