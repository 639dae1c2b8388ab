// A convolution as one step.
#pragma once

#include "backend/cpu/block_op.hpp"
#include "backend/cpu/op.hpp"

namespace bntrain::cpu {

class ConvOp : public Op {
 public:
  /// `block`: the step that alone reads this one's output, or null.
  ConvOp(Workspace& workspace, const PlanStep& step, BlockOp* block);

  void forward(const Pass& pass) override;
  void backward(const Pass& pass) override;
  std::string variant(StepPass pass) const override;
  std::int64_t pack_tasks() const override { return input_gradient_ ? 2 : 1; }
  void pack(std::int64_t task) override;

 private:
  /// The group's input with its border; `thread` owns the copy.
  const float* padded_input(std::int64_t group, int thread);

  ConvShape shape_{};
  GradientLayout layout_{};
  BlockOp* block_;
  bool input_gradient_;  ///< false for the first layer
  /// False also in front of a batch norm, which takes any bias out again: its gradient is 0.
  bool bias_gradient_;
  /// Parts of the batch with their own sum of weight gradients; independent of the threads.
  std::int64_t slices_;
  FloatBuffer packed_, backward_packed_;
  FloatBuffer partials_;  ///< [slice][weights, biases]
  FloatBuffer padded_;    ///< [thread][in_channels][in_height][in_width][lane], border zero
  FloatBuffer dout_;      ///< [thread] output gradient in `layout_`, zeros between the elements
};

}  // namespace bntrain::cpu
