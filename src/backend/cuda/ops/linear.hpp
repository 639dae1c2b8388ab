#pragma once

#include <optional>

#include "backend/cuda/ops/op.hpp"

namespace bntrain::cuda {

/// The products of a layer y [batch, out] = x [batch, in] w^T, w: [out, in], all row-major:
/// y^T = (w^T)^T x^T, dw^T = x^T (dy^T)^T, dx^T = w^T dy^T, where the arrays w, x and dy are read as w^T, x^T
/// and dy^T.
ProductShape linear_forward(std::int64_t batch, std::int64_t in, std::int64_t out);           ///< of w and x
ProductShape linear_backward_weights(std::int64_t batch, std::int64_t in, std::int64_t out);  ///< of x and dy
ProductShape linear_backward_input(std::int64_t batch, std::int64_t in, std::int64_t out);    ///< of w and dy

/// Matrix product, bias (if it has one) and ReLU.
class LinearOp final : public Op {
 public:
  LinearOp(Workspace& workspace, const PlanOp& op, std::int64_t batch);

  void choose_algorithms() override;
  void forward(Mode mode) override;
  std::int64_t scratch_bytes() const override;

 protected:
  void compute_gradients() override;

 private:
  kernels::BiasShape bias_shape_;
  std::optional<Product> forward_;
  std::optional<Product> backward_weights_, backward_input_;  ///< none where nobody wants them
};

}  // namespace bntrain::cuda
