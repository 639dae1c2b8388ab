#include "backend/cuda/ops/block.hpp"

namespace bntrain::cuda {

BlockOp::BlockOp(Workspace& workspace, const PlanOp& op, std::int64_t batch)
    : Op(workspace, op, batch),
      pool_shape_{batch, op.in.channels, op.in.height, op.in.width, op.pool},
      fused_shape_(pool_shape_) {
  if (op.takes_average()) fused_shape_.pool = 1;
}

void BlockOp::forward(Mode mode) {
  const float* x = input();
  if (is_fused()) {
    float* y = op_.takes_average() ? pixels() : output();
    if (op_.has_norm() && mode == Mode::training) {
      kernels::batch_norm_maxpool_forward(fused_shape_, op_.activation, options().eps, x,
                                          parameter(op_.gamma), parameter(op_.beta), y, mean(), var(),
                                          inv_std(), workspace(), stream());
    } else {
      if (op_.has_norm())
        kernels::inference_statistics(norm_channels(), options().eps, running_mean(), running_var(),
                                      absorbed_bias(), mean(), inv_std(), stream());
      kernels::batch_norm_maxpool_inference(fused_shape_, op_.activation, x, norm(), y, stream());
    }
    x = y;
  }
  if (op_.takes_average()) kernels::average_pool_forward(pool_shape_, x, output(), stream());
}

void BlockOp::compute_gradients() {
  float* dx = input_gradient();
  if (dx == nullptr && !op_.has_norm()) return;
  const float* dy = output_gradient();
  if (op_.takes_average()) {
    float* pixel_gradient = is_fused() ? pixels() : dx;
    kernels::average_pool_backward(pool_shape_, dy, pixel_gradient, stream());
    dy = pixel_gradient;
  }
  if (!is_fused()) return;
  kernels::batch_norm_maxpool_backward(fused_shape_, op_.activation, input(), dy, norm(), dx,
                                       parameter_gradient(op_.gamma), parameter_gradient(op_.beta),
                                       workspace(), stream());
}

void BlockOp::update() {
  if (!op_.has_norm()) return;
  kernels::update_running_statistics(norm_channels(), batch_ * op_.in.spatial(), options(), mean(), var(),
                                     absorbed_bias(), w_.halted.data(), running_mean(), running_var(),
                                     stream());
}

std::int64_t BlockOp::scratch_bytes() const {
  return pixel_bytes() + (op_.has_norm() ? kernels::batch_norm_maxpool_workspace(fused_shape_) : 0);
}

std::int64_t BlockOp::pixel_bytes() const {
  constexpr std::int64_t kFloat = sizeof(float), kAlign = 16;
  return op_.takes_average() ? (in_size() * kFloat + kAlign - 1) / kAlign * kAlign : 0;
}

kernels::NormOptions BlockOp::options() const {
  const BatchNormOptions& o = w_.plan.batch_norm;
  return {.eps = o.eps, .momentum = o.momentum, .unbiased = o.unbiased};
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

}  // namespace bntrain::cuda
