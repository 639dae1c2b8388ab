#include "backend/cuda/ops/linear.hpp"

namespace bntrain::cuda {

LinearOp::LinearOp(Workspace& workspace, const PlanOp& op, std::int64_t batch)
    : Op(workspace, op, batch),
      linear_(workspace.libraries, {batch, op.in.size(), op.out.size(), op.has_activation()}),
      bias_shape_{batch, op.out.size(), 1} {}

void LinearOp::forward(Mode) {
  linear_.forward(input(), parameter(op_.weight), parameter(op_.bias), output());
}

void LinearOp::compute_gradients() {
  float* dy = output_gradient();
  if (op_.has_activation())
    kernels::activation_backward(op_.activation.kind, op_.activation.slope, out_size(), output(), dy, dy,
                                 stream());
  linear_.backward_weights(input(), dy, parameter_gradient(op_.weight));
  if (float* dbias = parameter_gradient(op_.bias))
    kernels::bias_backward(bias_shape_, dy, dbias, scratch(), stream());
  if (float* dx = input_gradient()) linear_.backward_input(dy, parameter(op_.weight), dx);
}

std::int64_t LinearOp::scratch_bytes() const {
  return op_.bias < 0 ? 0 : kernels::bias_backward_workspace(bias_shape_);
}

}  // namespace bntrain::cuda
