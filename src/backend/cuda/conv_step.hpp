#pragma once

#include "backend/cuda/step.hpp"

namespace bntrain::cuda {

/// Convolution, and bias if it has one. `bias_vanishes`: a batch norm follows, which takes any constant out
/// of a channel again. Then the bias is not added (it only shifts the running mean: BlockStep) and its
/// gradient is 0; both spare a pass over the output.
class ConvStep final : public Step {
 public:
  ConvStep(Workspace& workspace, const PlanStep& step, std::int64_t batch, bool bias_vanishes);

  void forward(Mode mode) override;
  void backward() override;
  std::int64_t scratch_bytes() const override;
  std::string variant(StepPass pass) const override;

 private:
  Convolution convolution_;
  kernels::BiasShape bias_shape_;
  bool adds_bias_;
};

}  // namespace bntrain::cuda
