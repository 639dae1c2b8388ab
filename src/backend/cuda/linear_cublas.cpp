// Fully connected layers by cuBLASLt. The heuristics' first algorithm is taken, once for each product.
//
// Bias and ReLU are our own kernel, although cuBLASLt has both: what its ReLU makes of a NaN is documented
// nowhere, and a ReLU that hides it would hide that training diverged.
#include "backend/cuda/math_handles.hpp"
#include "backend/cuda/product_descriptors.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cuda {
namespace {

class Product {
 public:
  Product(MathLibraries::Impl& libraries, const ProductShape& shape)
      : libraries_(libraries), descriptors_(shape, libraries.precision) {
    int found = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        libraries.cublas(), descriptors_.operation.get(), descriptors_.a.get(), descriptors_.b.get(),
        descriptors_.d.get(), descriptors_.d.get(), descriptors_.preference.get(), 1, &choice_, &found);
    // No algorithm is a status of its own, and also a count of 0.
    if (status == CUBLAS_STATUS_NOT_SUPPORTED ||
        (succeeded(status) && (found == 0 || !succeeded(choice_.state))))
      throw CudaError("cuBLASLt has no deterministic algorithm within " +
                      std::to_string(kWorkspaceBytes >> 20) + " MiB of workspace");
    BNTRAIN_CUDA_CHECK(status);
  }

  void multiply(const float* a, const float* b, float* d) {
    BNTRAIN_EXPECTS(is_aligned(a) && is_aligned(b) && is_aligned(d));
    constexpr float kOne = 1, kZero = 0;
    BNTRAIN_CUDA_CHECK(cublasLtMatmul(
        libraries_.cublas(), descriptors_.operation.get(), &kOne, a, descriptors_.a.get(), b,
        descriptors_.b.get(), &kZero, d, descriptors_.d.get(), d, descriptors_.d.get(), &choice_.algo,
        libraries_.workspace.data(), choice_.workspaceSize, libraries_.stream.kernels().handle));
  }

 private:
  MathLibraries::Impl& libraries_;
  ProductDescriptors descriptors_;
  cublasLtMatmulHeuristicResult_t choice_{};
};

}  // namespace

struct Linear::Impl {
  Impl(MathLibraries::Impl& the_libraries, const LinearShape& the_shape)
      : libraries(the_libraries),
        shape(the_shape),
        forward(libraries, forward_product(shape)),
        backward_weights(libraries, backward_weights_product(shape)),
        backward_input(libraries, backward_input_product(shape)) {}

  MathLibraries::Impl& libraries;
  const LinearShape shape;
  Product forward, backward_weights, backward_input;
};

Linear::Linear(MathLibraries& libraries, const LinearShape& shape) try
    : impl_(std::make_unique<Impl>(libraries.impl(), shape)) {
} catch (const CudaError& error) {
  throw CudaError(to_string(shape) + ": " + error.what());
}
Linear::~Linear() = default;

void Linear::forward(const float* x, const float* w, const float* bias, float* y) {
  impl_->forward.multiply(w, x, y);
  if (bias == nullptr && !impl_->shape.relu) return;
  kernels::bias_activation_forward({impl_->shape.batch, impl_->shape.out, 1}, y, bias,
                                   impl_->shape.relu ? ActivationKind::relu : ActivationKind::none, 0, y,
                                   impl_->libraries.stream.kernels());
}

void Linear::backward_weights(const float* x, const float* dy, float* dw) {
  impl_->backward_weights.multiply(x, dy, dw);
}

void Linear::backward_input(const float* dy, const float* w, float* dx) {
  impl_->backward_input.multiply(w, dy, dx);
}

}  // namespace bntrain::cuda
