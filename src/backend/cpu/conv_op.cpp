#include "backend/cpu/conv_op.hpp"

#include <algorithm>

namespace bntrain::cpu {
namespace {

// More slices would let more threads share the backward pass, but each costs a copy of the weights to sum up.
constexpr std::int64_t kMostSlices = 8;

}  // namespace

ConvOp::ConvOp(Workspace& workspace, const PlanStep& step, BlockOp* block)
    : Op(workspace, step),
      block_(block),
      input_gradient_(w_.plan.training && step.input != 0),
      bias_gradient_(step.bias >= 0 && (block == nullptr || !block->step().norm)),
      slices_(std::min(kMostSlices, w_.groups())) {
  const Shape& in = w_.shape(step.input);
  const Shape& out = w_.shape(step.output);
  shape_ = {in.channels,
            in.height + 2 * step.padding,
            in.width + 2 * step.padding,
            out.channels,
            out.height,
            out.width,
            step.kernel,
            step.stride};
  layout_ = conv_gradient_layout(shape_, step.padding, input_gradient_);
  packed_ = FloatBuffer(w_.kernels.conv_packed_floats(shape_));
  const std::int64_t threads = w_.team.size();
  if (step.padding > 0)
    padded_ =
        FloatBuffer(threads * shape_.in_channels * shape_.in_height * shape_.in_width * w_.kernels.lanes);
  if (!w_.plan.training) return;
  if (input_gradient_) backward_packed_ = FloatBuffer(w_.kernels.conv_backward_packed_floats(shape_));
  partials_ = FloatBuffer(slices_ * out.channels * (in.channels * step.kernel * step.kernel + 1));
  dout_ = FloatBuffer(threads * out.channels * layout_.channel * w_.kernels.lanes);
}

void ConvOp::pack(std::int64_t task) {
  if (task == 0) w_.kernels.conv_pack(shape_, parameter(step_.weight), packed_.data());
  if (task == 1) w_.kernels.conv_backward_pack(shape_, parameter(step_.weight), backward_packed_.data());
}

const float* ConvOp::padded_input(std::int64_t group, int thread) {
  const float* in = w_.value(step_.input, group);
  if (step_.padding == 0) return in;
  const Shape& shape = w_.shape(step_.input);
  float* out =
      padded_.data() + thread * shape_.in_channels * shape_.in_height * shape_.in_width * w_.kernels.lanes;
  w_.kernels.pad(in, shape.channels, shape.height, shape.width, step_.padding, out);
  return out;
}

std::string ConvOp::variant(StepPass pass) const {
  if (pass == StepPass::forward)
    return block_ != nullptr && block_->reduces() ? "direct+block reduce" : "direct";
  return std::string(block_ != nullptr ? "block input+" : "") +
         (input_gradient_ ? "weights+input" : "weights");
}

void ConvOp::forward(const Pass& pass) {
  w_.team.for_each(pass.groups, [&](std::int64_t group, int thread) {
    w_.kernels.conv_forward(shape_, padded_input(group, thread), packed_.data(), parameter(step_.bias),
                            w_.value(step_.output, group),
                            block_ != nullptr ? block_->epilogue(pass, group) : ConvEpilogue{});
  });
}

void ConvOp::backward(const Pass& pass) {
  const std::int64_t weights = shape_.out_channels * shape_.in_channels * shape_.kernel * shape_.kernel;
  const std::int64_t partial = weights + shape_.out_channels;
  const std::int64_t slices = std::min(slices_, pass.groups);
  w_.team.for_each(slices, [&](std::int64_t slice, int thread) {
    float* dweights = partials_.data() + slice * partial;
    std::fill_n(dweights, partial, 0.0f);
    float* dout = dout_.data() + thread * shape_.out_channels * layout_.channel * w_.kernels.lanes;
    const std::int64_t end = pass.groups * (slice + 1) / slices;
    for (std::int64_t group = pass.groups * slice / slices; group < end; ++group) {
      const float* in = padded_input(group, thread);
      if (block_ != nullptr)
        block_->backward_input(pass, group, layout_, dout);
      else
        w_.kernels.relayout(shape_.out_channels, shape_.out_height, shape_.out_width,
                            w_.gradient(step_.output, group), layout_, dout);
      w_.kernels.conv_backward_weights(shape_, in, dout, layout_, dweights,
                                       bias_gradient_ ? dweights + weights : nullptr);
      if (input_gradient_)
        w_.kernels.conv_backward_input(shape_, step_.padding, dout, layout_, backward_packed_.data(),
                                       w_.gradient(step_.input, group));
    }
  });
  w_.kernels.merge(partials_.data(), slices, partial, weights, parameter_gradient(step_.weight));
  if (step_.bias < 0) return;
  w_.kernels.merge(partials_.data() + weights, slices, partial, shape_.out_channels,
                   parameter_gradient(step_.bias));
}

}  // namespace bntrain::cpu
