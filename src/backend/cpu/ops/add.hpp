// The sum of two values, with its activation.
#pragma once

#include "backend/cpu/ops/op.hpp"

namespace bntrain::cpu {

class AddOp : public Op {
 public:
  using Op::Op;

  void forward(const Pass& pass) override;
  void backward(const Pass& pass) override;
  std::string variant(StepPass pass) const override;
};

}  // namespace bntrain::cpu
