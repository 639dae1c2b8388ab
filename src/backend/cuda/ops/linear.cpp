#include "backend/cuda/ops/linear.hpp"

namespace bntrain::cuda {

ProductShape linear_forward(std::int64_t batch, std::int64_t in, std::int64_t out) {
  return {.rows = out, .columns = batch, .inner = in, .transpose_a = true};
}

ProductShape linear_backward_weights(std::int64_t batch, std::int64_t in, std::int64_t out) {
  return {.rows = in, .columns = out, .inner = batch, .transpose_b = true};
}

ProductShape linear_backward_input(std::int64_t batch, std::int64_t in, std::int64_t out) {
  return {.rows = in, .columns = batch, .inner = out};
}

LinearOp::LinearOp(Workspace& workspace, const PlanOp& op, std::int64_t batch)
    : Op(workspace, op, batch), bias_shape_{batch, op.out.size(), 1} {}

void LinearOp::choose_algorithms() {
  const std::int64_t in = op_.in.size(), out = op_.out.size();
  forward_.emplace(w_.libraries, linear_forward(batch_, in, out));
  if (!w_.plan.has_gradients()) return;
  backward_weights_.emplace(w_.libraries, linear_backward_weights(batch_, in, out));
  if (op_.input_gradients.front() != InputGradient::none)
    backward_input_.emplace(w_.libraries, linear_backward_input(batch_, in, out));
}

void LinearOp::forward(Mode) {
  forward_->multiply(parameter(op_.weight), input(), output());
  const float* bias = parameter(op_.bias);
  if (bias == nullptr && !op_.has_activation()) return;
  kernels::bias_activation_forward(bias_shape_, output(), bias,
                                   op_.has_activation() ? ActivationKind::relu : ActivationKind::none, 0,
                                   output(), stream());
}

void LinearOp::compute_gradients() {
  float* dy = output_gradient();
  if (op_.has_activation())
    kernels::activation_backward(op_.activation.kind, op_.activation.slope, out_size(), output(), dy, dy,
                                 stream());
  backward_weights_->multiply(input(), dy, parameter_gradient(op_.weight));
  if (float* dbias = parameter_gradient(op_.bias))
    kernels::bias_backward(bias_shape_, dy, dbias, scratch(), stream());
  if (backward_input_) backward_input_->multiply(parameter(op_.weight), dy, input_gradient());
}

std::int64_t LinearOp::scratch_bytes() const {
  return op_.bias < 0 ? 0 : kernels::bias_backward_workspace(bias_shape_);
}

}  // namespace bntrain::cuda
