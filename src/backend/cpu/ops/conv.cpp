#include "backend/cpu/ops/conv.hpp"

#include <algorithm>

namespace bntrain::cpu {
namespace {

// More slices would let more threads share the backward pass, but each costs a copy of the weights to sum up.
constexpr std::int64_t kMostSlices = 8;

// Rows of the merged gradient in one task.
constexpr std::int64_t kMergedChannels = 16;

ConvShape shape_of(const PlanOp& op) {
  const Shape &in = op.in, &out = op.out;
  return {in.channels,
          in.height + 2 * op.padding,
          in.width + 2 * op.padding,
          out.channels,
          out.height,
          out.width,
          op.kernel,
          op.stride};
}

std::int64_t multiply_adds(const ConvShape& s) {
  return s.out_channels * s.out_height * s.out_width * s.in_channels * s.kernel * s.kernel;
}

/// So that what follows is aligned as FloatBuffer's memory is.
std::int64_t whole_lines(std::int64_t floats) {
  return (floats + 31) / 32 * 32;
}

/// Products of a channel with a weight, where output tiles are `side` pixels wide and high.
std::int64_t winograd_products(const ConvShape& s, std::int64_t side) {
  const std::int64_t rows = (s.out_height + side - 1) / side, columns = (s.out_width + side - 1) / side;
  return rows * columns * (side + 2) * (side + 2);
}

const ConvAlgorithm& choose_algorithm(const Workspace& w, const ConvShape& s, std::int64_t padding) {
  const Kernels& kernels = w.kernels;
  if (w.conv == ConvMethod::direct || kernels.winograd2 == nullptr || !winograd_supports(s, padding))
    return *kernels.direct;
  // Transforms cost as much as 8 channels of products; with few channels they outweigh what they save.
  const std::int64_t fewest = std::min(s.in_channels, s.out_channels);
  if (w.conv == ConvMethod::automatic && (fewest < 8 || s.in_channels * s.out_channels < 200))
    return *kernels.direct;
  // Large tiles save a quarter at 16 channels and 40% at 128 where the image is a multiple of their size
  // (9/16 of the products); at 10x10 (81%, not timed) transforms use it up.
  const bool large = fewest >= 16 && 4 * winograd_products(s, 4) < 3 * winograd_products(s, 2);
  return large ? *kernels.winograd4 : *kernels.winograd2;
}

}  // namespace

ConvOp::ConvOp(Workspace& workspace, const PlanOp& op, BlockOp* block)
    : Op(workspace, op),
      shape_(shape_of(op)),
      algorithm_(choose_algorithm(workspace, shape_, op.padding)),
      layout_(algorithm_.gradient_layout(shape_, op.padding, has_input_gradient())),
      block_(block),
      slices_(std::min(kMostSlices, w_.groups())),
      scratch_floats_(whole_lines(algorithm_.scratch_floats(shape_))) {
  w_.reserve(packed_, algorithm_.packed_floats(shape_));
  const std::int64_t threads = w_.team.size();
  w_.reserve(scratch_, threads * scratch_floats_);
  if (op.padding > 0)
    w_.reserve(padded_, threads * shape_.in_channels * shape_.in_height * shape_.in_width * w_.kernels.lanes);
  if (!w_.plan.has_gradients()) return;
  if (has_input_gradient()) w_.reserve(backward_packed_, algorithm_.backward_packed_floats(shape_));
  partial_floats_ = whole_lines(algorithm_.partial_floats(shape_) + shape_.out_channels);
  w_.reserve(partials_, slices_ * partial_floats_);
  const std::int64_t places = w_.kernels.lanes == 1 ? w_.groups() : threads;
  w_.reserve(dout_, places * shape_.out_channels * layout_.channel * w_.kernels.lanes);
}

void ConvOp::pack(std::int64_t task) {
  if (task == 0) algorithm_.pack(shape_, parameter(op_.weight), packed_.data());
  if (task == 1) algorithm_.backward_pack(shape_, parameter(op_.weight), backward_packed_.data());
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
    return std::string(algorithm_.name) + (block_ != nullptr && block_->reduces() ? "+block reduce" : "");
  return std::string(op_.gradient_rebuilt ? "block input+" : "") +
         (has_input_gradient() ? "weights+input" : "weights");
}

void ConvOp::forward(const Pass& pass) {
  for_each_part(pass.groups, shape_.out_channels, multiply_adds(shape_) / shape_.out_channels,
                [&](std::int64_t group, const ChannelRange& outputs, int thread) {
                  algorithm_.forward(shape_, outputs, padded_input(group, thread), packed_.data(),
                                     parameter(op_.bias), output(group),
                                     block_ != nullptr ? block_->epilogue(pass, group) : ConvEpilogue{},
                                     scratch(thread));
                });
}

float* ConvOp::dout(std::int64_t place) {
  return dout_.data() + place * shape_.out_channels * layout_.channel * w_.kernels.lanes;
}

void ConvOp::lay_out_gradient(const Pass& pass, std::int64_t group, const ChannelRange& outputs,
                              float* dout) {
  float* to = dout + outputs.first * layout_.channel * w_.kernels.lanes;
  if (op_.gradient_rebuilt)
    block_->backward_input(pass, group, outputs, layout_, to);
  else
    w_.kernels.relayout(
        outputs.last - outputs.first, shape_.out_height, shape_.out_width,
        output_gradient(group) + outputs.first * shape_.out_height * shape_.out_width * w_.kernels.lanes,
        layout_, to);
}

float* ConvOp::cleared_partials(std::int64_t slice, const ChannelRange& outputs) {
  float* partials = partials_.data() + slice * partial_floats_;
  if (outputs.first == 0 && outputs.last == shape_.out_channels) {
    std::fill_n(partials, partial_floats_, 0.0f);
  } else {
    const std::int64_t size = outputs.last - outputs.first, weights = algorithm_.partial_floats(shape_),
                       of_channel = weights / shape_.out_channels;
    std::fill_n(partials + outputs.first * of_channel, size * of_channel, 0.0f);
    std::fill_n(partials + weights + outputs.first, size, 0.0f);
  }
  return partials;
}

void ConvOp::add_weight_gradient(std::int64_t group, const ChannelRange& outputs, const float* dout,
                                 float* partials, int thread) {
  float* dbias = op_.bias >= 0 && !op_.bias_absorbed ? partials + algorithm_.partial_floats(shape_) : nullptr;
  algorithm_.backward_weights(shape_, outputs, padded_input(group, thread), dout, layout_, partials, dbias,
                              scratch(thread));
}

void ConvOp::input_gradient(std::int64_t group, const ChannelRange& inputs, const float* dout, int thread) {
  const std::int64_t plane = op_.in.height * op_.in.width, first = inputs.first * plane;
  with_input_gradient(group, thread, first, inputs.last * plane - first, [&](float* din) {
    algorithm_.backward_input(shape_, inputs, op_.padding, dout, layout_, backward_packed_.data(),
                              din - first * w_.kernels.lanes, scratch(thread));
  });
}

void ConvOp::backward(const Pass& pass) {
  const std::int64_t slices = std::min(slices_, pass.groups);
  const auto first_group = [&](std::int64_t slice) { return pass.groups * slice / slices; };
  const ChannelRange inputs{0, shape_.in_channels}, outputs{0, shape_.out_channels};
  if (w_.kernels.lanes == 1) {
    for_each_part(pass.groups, shape_.out_channels, 8 * shape_.out_height * shape_.out_width,
                  [&](std::int64_t group, const ChannelRange& range, int) {
                    lay_out_gradient(pass, group, range, dout(group));
                  });
    for_each_part(slices, shape_.out_channels, multiply_adds(shape_) / shape_.out_channels,
                  [&](std::int64_t slice, const ChannelRange& range, int thread) {
                    float* partials = cleared_partials(slice, range);
                    for (std::int64_t group = first_group(slice); group < first_group(slice + 1); ++group)
                      add_weight_gradient(group, range, dout(group), partials, thread);
                  });
    if (has_input_gradient())
      for_each_part(pass.groups, shape_.in_channels, multiply_adds(shape_) / shape_.in_channels,
                    [&](std::int64_t group, const ChannelRange& range, int thread) {
                      input_gradient(group, range, dout(group), thread);
                    });
  } else if (pass.groups < w_.team.size() && has_input_gradient()) {
    // The two gradients of a group go to different threads: with one image a step of the reference network
    // takes 0.8 times as long.
    w_.team.for_each(pass.groups,
                     [&](std::int64_t group, int) { lay_out_gradient(pass, group, outputs, dout(group)); });
    w_.team.for_each(slices + pass.groups, [&](std::int64_t task, int thread) {
      if (task >= slices) return input_gradient(task - slices, inputs, dout(task - slices), thread);
      float* partials = cleared_partials(task, outputs);
      for (std::int64_t group = first_group(task); group < first_group(task + 1); ++group)
        add_weight_gradient(group, outputs, dout(group), partials, thread);
    });
  } else {
    w_.team.for_each(slices, [&](std::int64_t slice, int thread) {
      float* partials = cleared_partials(slice, outputs);
      for (std::int64_t group = first_group(slice); group < first_group(slice + 1); ++group) {
        lay_out_gradient(pass, group, outputs, dout(thread));
        add_weight_gradient(group, outputs, dout(thread), partials, thread);
        if (has_input_gradient()) input_gradient(group, inputs, dout(thread), thread);
      }
    });
  }
  w_.team.for_each((shape_.out_channels + kMergedChannels - 1) / kMergedChannels, [&](std::int64_t task,
                                                                                      int) {
    const std::int64_t first = task * kMergedChannels;
    algorithm_.merge(shape_, partials_.data(), slices, partial_floats_, first,
                     std::min(first + kMergedChannels, shape_.out_channels), parameter_gradient(op_.weight));
  });
  if (op_.bias < 0) return;
  w_.kernels.merge(partials_.data() + algorithm_.partial_floats(shape_), slices, partial_floats_,
                   shape_.out_channels, parameter_gradient(op_.bias));
}

}  // namespace bntrain::cpu
