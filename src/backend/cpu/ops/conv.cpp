#include "backend/cpu/ops/conv.hpp"

#include <algorithm>

namespace bntrain::cpu {
namespace {

// More slices would let more threads share the backward pass, but each costs a copy of the weights to sum up.
constexpr std::int64_t kMostSlices = 8;

}  // namespace

ConvOp::ConvOp(Workspace& workspace, const PlanOp& op, BlockOp* block)
    : Op(workspace, op), block_(block), slices_(std::min(kMostSlices, w_.groups())) {
  const Shape &in = op.in, &out = op.out;
  shape_ = {in.channels,
            in.height + 2 * op.padding,
            in.width + 2 * op.padding,
            out.channels,
            out.height,
            out.width,
            op.kernel,
            op.stride};
  layout_ = conv_gradient_layout(shape_, op.padding, has_input_gradient());
  w_.reserve(packed_, w_.kernels.conv_packed_floats(shape_));
  const std::int64_t threads = w_.team.size();
  if (op.padding > 0)
    w_.reserve(padded_, threads * shape_.in_channels * shape_.in_height * shape_.in_width * w_.kernels.lanes);
  if (!w_.plan.has_gradients()) return;
  if (has_input_gradient()) w_.reserve(backward_packed_, w_.kernels.conv_backward_packed_floats(shape_));
  w_.reserve(partials_, slices_ * out.channels * (in.channels * op.kernel * op.kernel + 1));
  w_.reserve(dout_, threads * out.channels * layout_.channel * w_.kernels.lanes);
}

void ConvOp::pack(std::int64_t task) {
  if (task == 0) w_.kernels.conv_pack(shape_, parameter(op_.weight), packed_.data());
  if (task == 1) w_.kernels.conv_backward_pack(shape_, parameter(op_.weight), backward_packed_.data());
}

const float* ConvOp::padded_input(std::int64_t group, int thread) {
  const float* in = input(group);
  if (op_.padding == 0) return in;
  const Shape& shape = op_.in;
  float* out =
      padded_.data() + thread * shape_.in_channels * shape_.in_height * shape_.in_width * w_.kernels.lanes;
  w_.kernels.pad(in, shape.channels, shape.height, shape.width, op_.padding, out);
  return out;
}

std::string ConvOp::variant(StepPass pass) const {
  if (pass == StepPass::forward)
    return block_ != nullptr && block_->reduces() ? "direct+block reduce" : "direct";
  return std::string(op_.gradient_rebuilt ? "block input+" : "") +
         (has_input_gradient() ? "weights+input" : "weights");
}

void ConvOp::forward(const Pass& pass) {
  w_.team.for_each(pass.groups, [&](std::int64_t group, int thread) {
    w_.kernels.conv_forward(shape_, padded_input(group, thread), packed_.data(), parameter(op_.bias),
                            output(group),
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
      if (op_.gradient_rebuilt)
        block_->backward_input(pass, group, layout_, dout);
      else
        w_.kernels.relayout(shape_.out_channels, shape_.out_height, shape_.out_width, output_gradient(group),
                            layout_, dout);
      w_.kernels.conv_backward_weights(shape_, in, dout, layout_, dweights,
                                       op_.bias >= 0 && !op_.bias_absorbed ? dweights + weights : nullptr);
      if (has_input_gradient())
        with_input_gradient(group, thread, [&](float* din) {
          w_.kernels.conv_backward_input(shape_, op_.padding, dout, layout_, backward_packed_.data(), din);
        });
    }
  });
  w_.kernels.merge(partials_.data(), slices, partial, weights, parameter_gradient(op_.weight));
  if (op_.bias < 0) return;
  w_.kernels.merge(partials_.data() + weights, slices, partial, shape_.out_channels,
                   parameter_gradient(op_.bias));
}

}  // namespace bntrain::cpu
