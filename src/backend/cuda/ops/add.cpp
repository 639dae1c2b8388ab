#include "backend/cuda/ops/add.hpp"

namespace bntrain::cuda {

void AddOp::forward(Mode) {
  kernels::add(out_size(), w_.value(op_.inputs[0]), w_.value(op_.inputs[1]), output(), stream());
  if (op_.has_activation())
    kernels::activation_forward(op_.activation.kind, op_.activation.slope, out_size(), output(), output(),
                                stream());
}

void AddOp::compute_gradients() {
  float* dy = output_gradient();
  if (op_.has_activation())
    kernels::activation_backward(op_.activation.kind, op_.activation.slope, out_size(), output(), dy, dy,
                                 stream());
  for (std::size_t i = op_.inputs.size(); i-- > 0;) {
    float* dx = w_.gradient(op_.inputs[i]);
    if (op_.input_gradients[i] == InputGradient::store)
      w_.stream.copy(dx, dy, out_size() * static_cast<std::int64_t>(sizeof(float)));
    if (op_.input_gradients[i] == InputGradient::add) kernels::add(out_size(), dx, dy, dx, stream());
  }
}

}  // namespace bntrain::cuda
