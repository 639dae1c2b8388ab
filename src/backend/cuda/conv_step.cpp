#include "backend/cuda/conv_step.hpp"

namespace bntrain::cuda {
namespace {

ConvolutionShape shape_of(const Workspace& w, const PlanStep& step, std::int64_t batch) {
  const Shape& in = w.shape(step.input);
  return {.batch = batch,
          .in_channels = in.channels,
          .height = in.height,
          .width = in.width,
          .out_channels = w.shape(step.output).channels,
          .kernel = step.kernel,
          .stride = step.stride,
          .padding = step.padding};
}

}  // namespace

ConvStep::ConvStep(Workspace& workspace, const PlanStep& step, std::int64_t batch, bool bias_vanishes)
    : Step(workspace, step, batch),
      convolution_(workspace.libraries, shape_of(workspace, step, batch)),
      adds_bias_(step.bias >= 0 && !bias_vanishes) {
  const Shape& out = w_.shape(step.output);
  bias_shape_ = {batch, out.channels, out.height * out.width};
}

void ConvStep::forward(Mode) {
  convolution_.forward(input(), parameter(step_.weight), output());
  if (adds_bias_)
    kernels::bias_activation_forward(bias_shape_, output(), parameter(step_.bias), ActivationKind::none, 0,
                                     output(), stream());
}

void ConvStep::backward() {
  convolution_.backward_weights(input(), output_gradient(), parameter_gradient(step_.weight));
  if (adds_bias_)
    kernels::bias_backward(bias_shape_, output_gradient(), parameter_gradient(step_.bias), scratch(),
                           stream());
  if (float* dx = input_gradient())
    convolution_.backward_input(output_gradient(), parameter(step_.weight), dx);
}

std::int64_t ConvStep::scratch_bytes() const {
  return adds_bias_ ? kernels::bias_backward_workspace(bias_shape_) : 0;
}

std::string ConvStep::variant(StepPass pass) const {
  return convolution_.algorithms(pass);
}

}  // namespace bntrain::cuda
