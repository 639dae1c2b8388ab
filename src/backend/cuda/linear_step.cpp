#include "backend/cuda/linear_step.hpp"

namespace bntrain::cuda {

LinearStep::LinearStep(Workspace& workspace, const PlanStep& step, std::int64_t batch)
    : Step(workspace, step, batch),
      linear_(workspace.libraries,
              {batch, workspace.shape(step.input).size(), workspace.shape(step.output).size(),
               step.activation == Activation::relu}),
      bias_shape_{batch, workspace.shape(step.output).size(), 1} {}

void LinearStep::forward(Mode) {
  linear_.forward(input(), parameter(step_.weight), parameter(step_.bias), output());
}

void LinearStep::backward() {
  float* dy = output_gradient();
  if (step_.activation == Activation::relu)
    kernels::activation_backward(ActivationKind::relu, 0, batch_ * bias_shape_.channels, output(), dy, dy,
                                 stream());
  linear_.backward_weights(input(), dy, parameter_gradient(step_.weight));
  if (float* dbias = parameter_gradient(step_.bias))
    kernels::bias_backward(bias_shape_, dy, dbias, scratch(), stream());
  if (float* dx = input_gradient()) linear_.backward_input(dy, parameter(step_.weight), dx);
}

std::int64_t LinearStep::scratch_bytes() const {
  return step_.bias < 0 ? 0 : kernels::bias_backward_workspace(bias_shape_);
}

}  // namespace bntrain::cuda
