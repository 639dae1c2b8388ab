// Matrix products by cuBLASLt. The heuristics' first algorithm is taken, once for each product.
//
// Bias and ReLU are our own kernel, although cuBLASLt has both: what its ReLU makes of a NaN is documented
// nowhere, and a ReLU that hides it would hide that training diverged.
#include "backend/cuda/math_handles.hpp"
#include "backend/cuda/product_descriptors.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cuda {

struct Product::Impl {
  Impl(MathLibraries& the_libraries, const ProductShape& shape, std::int64_t workspace_bytes)
      : libraries(the_libraries), descriptors(shape, libraries.precision) {
    // Where the device lacks memory for a faster one, an algorithm without workspace; cuBLASLt has one for
    // every shape.
    if (choose(workspace_bytes) &&
        libraries.workspace.reserve(static_cast<std::int64_t>(choice.workspaceSize)))
      return;
    if (!choose(0))
      throw Error(ErrorKind::runtime, "cuBLASLt has no algorithm for a product of matrices of " +
                                          std::to_string(shape.rows) + "x" + std::to_string(shape.inner) +
                                          " and " + std::to_string(shape.inner) + "x" +
                                          std::to_string(shape.columns) + "; try --device cpu");
  }

  bool choose(std::int64_t workspace_bytes) {
    set_workspace_limit(descriptors, workspace_bytes);
    int found = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        libraries.handles().cublas(), descriptors.operation.get(), descriptors.a.get(), descriptors.b.get(),
        descriptors.d.get(), descriptors.d.get(), descriptors.preference.get(), 1, &choice, &found);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED) return false;  // no algorithm is a status of its own, and also
    BNTRAIN_CUDA_CHECK(status);                               // a count of 0
    return found > 0 && succeeded(choice.state);
  }

  MathLibraries& libraries;
  ProductDescriptors descriptors;
  cublasLtMatmulHeuristicResult_t choice{};
};

Product::Product(MathLibraries& libraries, const ProductShape& shape, std::int64_t workspace_bytes)
    : impl_(std::make_unique<Impl>(libraries, shape, workspace_bytes)) {}
Product::~Product() = default;
Product::Product(Product&&) noexcept = default;

void Product::multiply(const float* a, const float* b, float* d, bool add) {
  BNTRAIN_EXPECTS(is_aligned(a) && is_aligned(b) && is_aligned(d));
  MathLibraries& libraries = impl_->libraries;
  const ProductDescriptors& p = impl_->descriptors;
  const auto workspace_bytes = static_cast<std::int64_t>(impl_->choice.workspaceSize);
  BNTRAIN_EXPECTS(workspace_bytes <= libraries.workspace.bytes());
  const float one = 1, beta = add ? 1 : 0;
  BNTRAIN_CUDA_CHECK(cublasLtMatmul(libraries.handles().cublas(), p.operation.get(), &one, a, p.a.get(), b,
                                    p.b.get(), &beta, d, p.d.get(), d, p.d.get(), &impl_->choice.algo,
                                    libraries.workspace.data(), impl_->choice.workspaceSize,
                                    libraries.stream.kernels().handle));
}

}  // namespace bntrain::cuda
