#include "backend/cuda/ops/conv.hpp"

namespace bntrain::cuda {

ConvOp::ConvOp(Workspace& workspace, const PlanOp& op, std::int64_t batch)
    : Op(workspace, op, batch), bias_shape_{batch, op.out.channels, op.out.spatial()} {}

void ConvOp::choose_algorithms() {
  const ConvolutionShape shape{.batch = batch_,
                               .in_channels = op_.in.channels,
                               .height = op_.in.height,
                               .width = op_.in.width,
                               .out_channels = op_.out.channels,
                               .kernel = op_.kernel,
                               .stride = op_.stride,
                               .padding = op_.padding};
  forward_ = make_convolution(w_.libraries, shape, ConvolutionPass::forward);
  if (!w_.plan.has_gradients()) return;
  backward_weights_ = make_convolution(w_.libraries, shape, ConvolutionPass::backward_weights);
  if (op_.input_gradients.front() != InputGradient::none)
    backward_input_ = make_convolution(w_.libraries, shape, ConvolutionPass::backward_input);
}

void ConvOp::forward(Mode) {
  forward_->compute(input(), parameter(op_.weight), output());
  if (adds_bias())
    kernels::bias_activation_forward(bias_shape_, output(), parameter(op_.bias), ActivationKind::none, 0,
                                     output(), stream());
}

void ConvOp::compute_gradients() {
  backward_weights_->compute(input(), output_gradient(), parameter_gradient(op_.weight));
  if (adds_bias())
    kernels::bias_backward(bias_shape_, output_gradient(), parameter_gradient(op_.bias), scratch(), stream());
  if (backward_input_) backward_input_->compute(parameter(op_.weight), output_gradient(), input_gradient());
}

std::int64_t ConvOp::scratch_bytes() const {
  return adds_bias() ? kernels::bias_backward_workspace(bias_shape_) : 0;
}

std::string ConvOp::variant(StepPass pass) const {
  if (pass == StepPass::forward) return forward_->algorithm();
  if (!backward_weights_) return "";
  return "weights " + backward_weights_->algorithm() +
         (backward_input_ ? ", input " + backward_input_->algorithm() : "");
}

}  // namespace bntrain::cuda
