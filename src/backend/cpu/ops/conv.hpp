// A convolution.
#pragma once

#include "backend/cpu/ops/block.hpp"
#include "backend/cpu/ops/op.hpp"

namespace bntrain::cpu {

class ConvOp : public Op {
 public:
  /// `block`: the op of block_after, or null.
  ConvOp(Workspace& workspace, const PlanOp& op, BlockOp* block);

  void forward(const Pass& pass) override;
  void backward(const Pass& pass) override;
  std::string variant(StepPass pass) const override;
  std::int64_t pack_tasks() const override { return has_input_gradient() ? 2 : 1; }
  void pack(std::int64_t task) override;

 private:
  /// The group's input with its border; `thread` owns the copy.
  const float* padded_input(std::int64_t group, int thread);
  float* scratch(int thread) { return scratch_.data() + thread * scratch_floats_; }
  float* dout(std::int64_t place);
  /// Puts the output's gradient of a group into `layout_`.
  void lay_out_gradient(const Pass& pass, std::int64_t group, const ChannelRange& outputs, float* to);
  float* cleared_partials(std::int64_t slice, const ChannelRange& outputs);
  void add_weight_gradient(std::int64_t group, const ChannelRange& outputs, const float* dout,
                           float* partials, int thread);
  void input_gradient(std::int64_t group, const ChannelRange& inputs, const float* dout, int thread);

  ConvShape shape_{};
  const ConvAlgorithm& algorithm_;
  GradientLayout layout_{};
  BlockOp* block_;
  /// Parts of the batch with their own sum of weight gradients; independent of the threads.
  std::int64_t slices_;
  FloatBuffer packed_, backward_packed_;
  std::int64_t partial_floats_ = 0;
  FloatBuffer partials_;  ///< [slice][the algorithm's sums, biases]
  FloatBuffer padded_;    ///< [thread][in_channels][in_height][in_width][lane], border zero
  FloatBuffer
      dout_;  ///< [thread, or group if fewer or of one image] output gradient in `layout_`, zeros between
  std::int64_t scratch_floats_;
  FloatBuffer scratch_;  ///< [thread]
};

}  // namespace bntrain::cpu
