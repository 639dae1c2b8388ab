#include "backend/cuda/ops/conv.hpp"

namespace bntrain::cuda {
namespace {

ConvolutionShape shape_of(const PlanOp& op, std::int64_t batch) {
  return {.batch = batch,
          .in_channels = op.in.channels,
          .height = op.in.height,
          .width = op.in.width,
          .out_channels = op.out.channels,
          .kernel = op.kernel,
          .stride = op.stride,
          .padding = op.padding};
}

}  // namespace

ConvOp::ConvOp(Workspace& workspace, const PlanOp& op, std::int64_t batch)
    : Op(workspace, op, batch),
      convolution_(workspace.libraries, shape_of(op, batch)),
      bias_shape_{batch, op.out.channels, op.out.spatial()} {}

void ConvOp::forward(Mode) {
  convolution_.forward(input(), parameter(op_.weight), output());
  if (adds_bias())
    kernels::bias_activation_forward(bias_shape_, output(), parameter(op_.bias), ActivationKind::none, 0,
                                     output(), stream());
}

void ConvOp::compute_gradients() {
  convolution_.backward_weights(input(), output_gradient(), parameter_gradient(op_.weight));
  if (adds_bias())
    kernels::bias_backward(bias_shape_, output_gradient(), parameter_gradient(op_.bias), scratch(), stream());
  if (float* dx = input_gradient()) convolution_.backward_input(output_gradient(), parameter(op_.weight), dx);
}

std::int64_t ConvOp::scratch_bytes() const {
  return adds_bias() ? kernels::bias_backward_workspace(bias_shape_) : 0;
}

std::string ConvOp::variant(StepPass pass) const {
  return convolution_.algorithms(pass);
}

}  // namespace bntrain::cuda
