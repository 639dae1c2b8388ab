#include "backend/cpu/linear_op.hpp"

#include <algorithm>

namespace bntrain::cpu {
namespace {

// Rows of the weight matrix in one task: whole register tiles of every instruction set (5, 3 and 2 rows).
constexpr std::int64_t kRows = 30;

}  // namespace

LinearOp::LinearOp(Workspace& workspace, const PlanStep& step)
    : Op(workspace, step),
      in_(w_.shape(step.input).size()),
      out_(w_.shape(step.output).size()),
      transposed_(in_ * out_) {}

std::int64_t LinearOp::row_blocks() const {
  return (out_ + kRows - 1) / kRows;
}

void LinearOp::pack(std::int64_t task) {
  w_.kernels.transpose(parameter(step_.weight), out_, in_, task * kRows, std::min(out_, (task + 1) * kRows),
                       transposed_.data());
}

std::string LinearOp::variant(StepPass pass) const {
  if (pass == StepPass::forward) return "product";
  return step_.input != 0 ? "weights+input" : "weights";
}

void LinearOp::forward(const Pass& pass) {
  w_.team.for_each(pass.groups, [&](std::int64_t group, int) {
    w_.kernels.panel_product(transposed_.data(), out_, out_, in_, w_.value(step_.input, group),
                             parameter(step_.bias), step_.activation == Activation::relu,
                             w_.value(step_.output, group));
  });
}

void LinearOp::backward(const Pass& pass) {
  if (step_.activation == Activation::relu)
    w_.team.for_each(pass.groups, [&](std::int64_t group, int) {
      w_.kernels.relu_backward(out_, w_.value(step_.output, group), w_.gradient(step_.output, group));
    });
  // Weight rows and input gradients are independent: one list of tasks, the long ones first.
  const std::int64_t blocks = row_blocks();
  w_.team.for_each(blocks + (step_.input != 0 ? pass.groups : 0), [&](std::int64_t task, int) {
    if (task < blocks) {
      w_.kernels.panel_outer(w_.gradient(step_.output, 0), out_, w_.value(step_.input, 0), in_, pass.groups,
                             task * kRows, std::min(out_, (task + 1) * kRows),
                             parameter_gradient(step_.weight), parameter_gradient(step_.bias));
    } else {
      const std::int64_t group = task - blocks;
      w_.kernels.panel_product(parameter(step_.weight), in_, in_, out_, w_.gradient(step_.output, group),
                               nullptr, false, w_.gradient(step_.input, group));
    }
  });
}

}  // namespace bntrain::cpu
