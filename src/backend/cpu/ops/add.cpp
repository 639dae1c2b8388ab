#include "backend/cpu/ops/add.hpp"

#include <algorithm>

namespace bntrain::cpu {

std::string AddOp::variant(StepPass pass) const {
  if (pass == StepPass::forward) return "add";
  const auto copies = std::ranges::count(op_.input_gradients, InputGradient::store);
  const auto sums = std::ranges::count(op_.input_gradients, InputGradient::add);
  std::string text = op_.has_activation() ? "activation" : "";
  if (copies > 0) text += text.empty() ? "copy" : "+copy";
  if (sums > 0) text += text.empty() ? "add" : "+add";
  return text;
}

void AddOp::forward(const Pass& pass) {
  w_.team.for_each(pass.groups, [&](std::int64_t group, int) {
    w_.kernels.add(op_.activation, op_.out.size(), w_.value(op_.inputs[0], group),
                   w_.value(op_.inputs[1], group), output(group));
  });
}

void AddOp::backward(const Pass& pass) {
  const std::int64_t size = op_.out.size();
  w_.team.for_each(pass.groups, [&](std::int64_t group, int) {
    float* dy = output_gradient(group);
    if (op_.has_activation()) w_.kernels.activation_backward(op_.activation, size, output(group), dy);
    for (std::size_t i = op_.inputs.size(); i-- > 0;) {
      if (op_.input_gradients[i] == InputGradient::store)
        std::copy_n(dy, size * w_.kernels.lanes, w_.gradient(op_.inputs[i], group));
      if (op_.input_gradients[i] == InputGradient::add) {
        float* dx = w_.gradient(op_.inputs[i], group);
        w_.kernels.add({}, size, dx, dy, dx);
      }
    }
  });
}

}  // namespace bntrain::cpu
