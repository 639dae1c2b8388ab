// A fully connected layer, with its ReLU.
#pragma once

#include "backend/cpu/ops/op.hpp"

namespace bntrain::cpu {

class LinearOp : public Op {
 public:
  LinearOp(Workspace& workspace, const PlanOp& op);

  void forward(const Pass& pass) override;
  void backward(const Pass& pass) override;
  std::string variant(StepPass pass) const override;

 private:
  LinearShape shape_;
};

}  // namespace bntrain::cpu
