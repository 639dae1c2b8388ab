#pragma once

#include "backend/cuda/ops/op.hpp"

namespace bntrain::cuda {

/// The sum of two values, with its activation.
class AddOp final : public Op {
 public:
  using Op::Op;

  void forward(Mode mode) override;

 protected:
  void compute_gradients() override;
};

}  // namespace bntrain::cuda
