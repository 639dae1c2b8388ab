#include "backend/cuda/ops/block.hpp"

#include <algorithm>
#include <cstddef>

namespace bntrain::cuda {
namespace {

constexpr std::int64_t kFloat = sizeof(float);

std::int64_t aligned(std::int64_t bytes) {
  return (bytes + 15) / 16 * 16;
}

}  // namespace

BlockOp::BlockOp(Workspace& workspace, const PlanOp& op, std::int64_t batch) : Op(workspace, op, batch) {
  const Shape& in = op.in;
  norm_shape_ = {.batch = batch, .channels = in.channels, .spatial = in.spatial()};
  pool_shape_ = {batch,    in.channels, in.height,
                 in.width, op.pool,     op.activation.kind == ActivationKind::relu};
  fused_shape_ = pool_shape_;
  if (op.takes_average()) fused_shape_.pool = 1;
  const BatchNormOptions& o = w_.plan.batch_norm;
  options_ = {.eps = o.eps, .momentum = o.momentum, .unbiased = o.unbiased};
  if (op.has_norm() && op.takes_maximum()) argmax_bytes_ = aligned(out_size() * kFloat);
  pixel_bytes_ = aligned(in_size() * kFloat);
  kept_arrays_ = (op.takes_average() ? 2 : 0) + (keeps_input() ? 1 : 0);
}

void BlockOp::forward(Mode mode) {
  if (op_.has_norm()) mode == Mode::training ? use_batch_statistics() : use_running_statistics();
  const float* x = input();
  if (runs_fused()) {
    float* keep = mode == Mode::training ? argmax_values() : nullptr;
    float* y = before_activation();
    kernels::batch_norm_relu_maxpool_forward(fused_shape_, x, norm(), y, keep, stream());
    x = y;
  }
  if (activates()) {
    kernels::activation_forward(op_.activation.kind, op_.activation.slope, activated_size(), x, activated(),
                                stream());
    x = activated();
  }
  if (op_.takes_average()) kernels::average_pool_forward(pool_shape_, x, output(), stream());
}

void BlockOp::use_batch_statistics() {
  auto* moments = static_cast<kernels::ChannelMoments*>(workspace());
  void* rest = static_cast<std::byte*>(workspace()) + moment_bytes();
  kernels::batch_norm_statistics(norm_shape_, input(), moments, rest, stream());
  kernels::batch_norm_finalize(1, norm_shape_.channels, moments, options_, mean(), var(), inv_std(), nullptr,
                               nullptr, stream());
}

void BlockOp::use_running_statistics() {
  kernels::inference_statistics(norm_shape_.channels, options_.eps, running_mean(), running_var(),
                                absorbed_bias(), mean(), inv_std(), stream());
}

void BlockOp::compute_gradients() {
  float* dx = input_gradient();
  if (dx == nullptr && !op_.has_norm()) return;
  const float* dy = output_gradient();
  float* between = !runs_fused() ? dx : op_.takes_average() ? pixel_gradient() : output_gradient();
  if (op_.takes_average()) {
    kernels::average_pool_backward(pool_shape_, dy, between, stream());
    dy = between;
  }
  if (activates()) {
    const bool from_output = activation_type(op_.activation.kind).gradient_from_output;
    const float* saved = from_output ? activated() : runs_fused() ? before_activation() : input();
    kernels::activation_backward(op_.activation.kind, op_.activation.slope, activated_size(), saved, dy,
                                 between, stream());
    dy = between;
  }
  if (!runs_fused()) return;
  kernels::batch_norm_relu_maxpool_backward(fused_shape_, input(), argmax_values(), dy, norm(),
                                            op_.has_norm() ? parameter_gradient(op_.gamma) : nullptr,
                                            op_.has_norm() ? parameter_gradient(op_.beta) : nullptr, dx,
                                            workspace(), stream());
}

void BlockOp::update() {
  if (!op_.has_norm()) return;
  kernels::update_running_statistics(norm_shape_.channels, batch_ * norm_shape_.spatial, options_, mean(),
                                     var(), absorbed_bias(), w_.halted.data(), running_mean(), running_var(),
                                     stream());
}

std::int64_t BlockOp::scratch_bytes() const {
  const std::int64_t kept = argmax_bytes_ + kept_arrays_ * pixel_bytes_;
  if (!op_.has_norm()) return kept;
  return kept + std::max(moment_bytes() + kernels::batch_norm_workspace(norm_shape_),
                         kernels::batch_norm_relu_maxpool_backward_workspace(fused_shape_));
}

const float* BlockOp::absorbed_bias() const {
  if (op_.conv_before < 0) return nullptr;
  const PlanOp& conv = w_.plan.op(op_.conv_before);
  return conv.bias_absorbed ? parameter(conv.bias) : nullptr;
}

kernels::ChannelNorm BlockOp::norm() const {
  if (!op_.has_norm()) return {};
  return {mean(), inv_std(), parameter(op_.gamma), parameter(op_.beta)};
}

std::int64_t BlockOp::moment_bytes() const {
  return aligned(norm_shape_.channels * static_cast<std::int64_t>(sizeof(kernels::ChannelMoments)));
}

}  // namespace bntrain::cuda
