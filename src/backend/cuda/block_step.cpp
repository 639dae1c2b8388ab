#include "backend/cuda/block_step.hpp"

#include <algorithm>
#include <cstddef>

namespace bntrain::cuda {
namespace {

constexpr std::int64_t kFloat = sizeof(float);

std::int64_t on_16_bytes(std::int64_t bytes) {
  return (bytes + 15) / 16 * 16;
}

}  // namespace

BlockStep::BlockStep(Workspace& workspace, const PlanStep& step, std::int64_t batch, const float* conv_bias)
    : Step(workspace, step, batch), conv_bias_(conv_bias) {
  Shape in = w_.shape(step.input);
  if (w_.shape(step.output).flat)
    in = {in.size(), 1, 1, true};  // behind a flatten every element is a channel
  norm_shape_ = {.batch = batch, .channels = in.channels, .spatial = in.height * in.width};
  pool_shape_ = {batch, in.channels, in.height, in.width, step.pool, step.activation == Activation::relu};
  fused_shape_ = pool_shape_;
  if (averages()) fused_shape_.pool = 1;
  const BatchNormOptions& o = w_.plan.batch_norm;
  options_ = {.eps = o.eps, .momentum = o.momentum, .unbiased = o.unbiased};
  // The winners and the pixels come first in the scratch memory: the backward pass wants them.
  if (step.norm && fused_shape_.pool > 1)
    winner_bytes_ = on_16_bytes(batch * w_.shape(step.output).size() * kFloat);
  if (averages()) pixel_bytes_ = on_16_bytes(batch * in.size() * kFloat);
}

void BlockStep::forward(Mode mode) {
  if (step_.norm) mode == Mode::training ? use_batch_statistics() : use_running_statistics();
  // The sigmoid rises, so it may follow a maximum; an average wants the activation of every pixel.
  const float* x = input();
  float* y = activated();
  if (runs_fused()) {
    float* keep = mode == Mode::training ? winners() : nullptr;
    kernels::batch_norm_relu_maxpool_forward(fused_shape_, x, norm(), y, keep, stream());
    x = y;
  }
  if (step_.activation == Activation::sigmoid) {
    kernels::activation_forward(ActivationKind::sigmoid, 0, activated_size(), x, y, stream());
    x = y;
  }
  if (averages()) kernels::average_pool_forward(pool_shape_, x, output(), stream());
}

void BlockStep::use_batch_statistics() {
  auto* moments = static_cast<kernels::ChannelMoments*>(workspace());
  void* rest = static_cast<std::byte*>(workspace()) + moment_bytes();
  kernels::batch_norm_statistics(norm_shape_, input(), moments, rest, stream());
  kernels::batch_norm_finalize(1, norm_shape_.channels, moments, options_, mean(), var(), invstd(), nullptr,
                               nullptr, stream());
}

void BlockStep::use_running_statistics() {
  kernels::inference_statistics(norm_shape_.channels, options_.eps, running_mean(), running_var(), conv_bias_,
                                mean(), invstd(), stream());
}

void BlockStep::backward() {
  float* dx = input_gradient();
  if (dx == nullptr && !step_.norm) return;
  const float* dy = output_gradient();
  float* before_activation = !runs_fused() ? dx : averages() ? pixel_gradient() : output_gradient();
  if (averages()) {
    kernels::average_pool_backward(pool_shape_, dy, before_activation, stream());
    dy = before_activation;
  }
  if (step_.activation == Activation::sigmoid) {
    kernels::activation_backward(ActivationKind::sigmoid, 0, activated_size(), activated(), dy,
                                 before_activation, stream());
    dy = before_activation;
  }
  if (!runs_fused()) return;
  kernels::batch_norm_relu_maxpool_backward(
      fused_shape_, input(), winners(), dy, norm(), step_.norm ? parameter_gradient(step_.gamma) : nullptr,
      step_.norm ? parameter_gradient(step_.beta) : nullptr, dx, workspace(), stream());
}

void BlockStep::update() {
  if (!step_.norm) return;
  kernels::update_running_statistics(norm_shape_.channels, batch_ * norm_shape_.spatial, options_, mean(),
                                     var(), conv_bias_, w_.halted.data(), running_mean(), running_var(),
                                     stream());
}

std::int64_t BlockStep::scratch_bytes() const {
  const std::int64_t kept = winner_bytes_ + 2 * pixel_bytes_;
  if (!step_.norm) return kept;
  return kept + std::max(moment_bytes() + kernels::batch_norm_workspace(norm_shape_),
                         kernels::batch_norm_relu_maxpool_backward_workspace(fused_shape_));
}

kernels::ChannelNorm BlockStep::norm() const {
  if (!step_.norm) return {};
  return {mean(), invstd(), parameter(step_.gamma), parameter(step_.beta)};
}

std::int64_t BlockStep::activated_size() const {
  return batch_ * w_.shape(averages() ? step_.input : step_.output).size();
}

std::int64_t BlockStep::moment_bytes() const {
  return on_16_bytes(norm_shape_.channels * static_cast<std::int64_t>(sizeof(kernels::ChannelMoments)));
}

}  // namespace bntrain::cuda
