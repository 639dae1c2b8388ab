// Softmax cross-entropy: the last op of every plan.
#pragma once

#include <vector>

#include "backend/cpu/ops/op.hpp"
#include "bntrain/metrics.hpp"

namespace bntrain::cpu {

class LossOp : public Op {
 public:
  LossOp(Workspace& workspace, const PlanOp& op);

  /// Also writes the gradient of the logits, which is at hand here.
  void forward(const Pass& pass) override;
  void backward(const Pass&) override {}
  std::string variant(StepPass) const override { return "loss+gradient"; }

  /// Of the last forward pass.
  const StepMetrics& metrics() const { return metrics_; }

 private:
  FloatBuffer unused_gradient_;      ///< [thread][classes][lane], for plans without gradients
  std::vector<StepMetrics> groups_;  ///< one a group, summed in order
  StepMetrics metrics_;
};

}  // namespace bntrain::cpu
