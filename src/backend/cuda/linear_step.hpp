#pragma once

#include "backend/cuda/step.hpp"

namespace bntrain::cuda {

/// Matrix product, bias (if it has one) and ReLU.
class LinearStep final : public Step {
 public:
  LinearStep(Workspace& workspace, const PlanStep& step, std::int64_t batch);

  void forward(Mode mode) override;
  void backward() override;
  std::int64_t scratch_bytes() const override;

 private:
  Linear linear_;
  kernels::BiasShape bias_shape_;
};

}  // namespace bntrain::cuda
