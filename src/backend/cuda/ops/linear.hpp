#pragma once

#include "backend/cuda/ops/op.hpp"

namespace bntrain::cuda {

/// Matrix product, bias (if it has one) and ReLU.
class LinearOp final : public Op {
 public:
  LinearOp(Workspace& workspace, const PlanOp& op, std::int64_t batch);

  void forward(Mode mode) override;
  std::int64_t scratch_bytes() const override;

 protected:
  void compute_gradients() override;

 private:
  Linear linear_;
  kernels::BiasShape bias_shape_;
};

}  // namespace bntrain::cuda
