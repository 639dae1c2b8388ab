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
  std::int64_t pack_tasks() const override { return row_blocks(); }
  void pack(std::int64_t task) override;

 private:
  std::int64_t row_blocks() const;

  std::int64_t in_, out_;
  FloatBuffer
      transposed_;  ///< [in][out]: the weights of one input side by side, as panel_product() reads them
};

}  // namespace bntrain::cpu
