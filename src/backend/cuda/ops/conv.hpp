#pragma once

#include "backend/cuda/convolution.hpp"
#include "backend/cuda/ops/op.hpp"

namespace bntrain::cuda {

/// Convolution, and bias if it has one. An absorbed bias is not added (it only shifts the running mean:
/// BlockOp) and its gradient is 0; both spare a pass over the output.
class ConvOp final : public Op {
 public:
  ConvOp(Workspace& workspace, const PlanOp& op, std::int64_t batch);

  void choose_algorithms() override;
  void forward(Mode mode) override;
  std::int64_t scratch_bytes() const override;
  std::string variant(StepPass pass) const override;

 protected:
  void compute_gradients() override;

 private:
  bool adds_bias() const { return op_.bias >= 0 && !op_.bias_absorbed; }

  kernels::BiasShape bias_shape_;
  std::unique_ptr<Convolution> forward_;
  std::unique_ptr<Convolution> backward_weights_, backward_input_;  ///< null where nobody wants them
};

}  // namespace bntrain::cuda
