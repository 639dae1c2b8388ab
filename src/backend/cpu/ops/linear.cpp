#include "backend/cpu/ops/linear.hpp"

#include <algorithm>

namespace bntrain::cpu {
namespace {

// Rows of the weight matrix in one task: whole register tiles of every instruction set (5, 3 and 2 rows).
constexpr std::int64_t kRows = 30;

}  // namespace

LinearOp::LinearOp(Workspace& workspace, const PlanOp& op)
    : Op(workspace, op), in_(op.in.size()), out_(op.out.size()) {
  w_.reserve(transposed_, in_ * out_);
}

std::int64_t LinearOp::row_blocks() const {
  return (out_ + kRows - 1) / kRows;
}

void LinearOp::pack(std::int64_t task) {
  w_.kernels.transpose(parameter(op_.weight), out_, in_, task * kRows, std::min(out_, (task + 1) * kRows),
                       transposed_.data());
}

std::string LinearOp::variant(StepPass pass) const {
  if (pass == StepPass::forward) return "product";
  return has_input_gradient() ? "weights+input" : "weights";
}

void LinearOp::forward(const Pass& pass) {
  w_.team.for_each(pass.groups, [&](std::int64_t group, int) {
    w_.kernels.panel_product(transposed_.data(), out_, out_, in_, input(group), parameter(op_.bias),
                             op_.has_activation(), output(group));
  });
}

void LinearOp::backward(const Pass& pass) {
  if (op_.has_activation())
    w_.team.for_each(pass.groups, [&](std::int64_t group, int) {
      w_.kernels.activation_backward(op_.activation, out_, output(group), output_gradient(group));
    });
  // Weight rows and input gradients are independent: one list of tasks, the long ones first.
  const std::int64_t blocks = row_blocks();
  w_.team.for_each(blocks + (has_input_gradient() ? pass.groups : 0), [&](std::int64_t task, int thread) {
    if (task < blocks) {
      w_.kernels.panel_outer(output_gradient(0), out_, input(0), in_, pass.groups, task * kRows,
                             std::min(out_, (task + 1) * kRows), parameter_gradient(op_.weight),
                             parameter_gradient(op_.bias));
    } else {
      const std::int64_t group = task - blocks;
      with_input_gradient(group, thread, [&](float* din) {
        w_.kernels.panel_product(parameter(op_.weight), in_, in_, out_, output_gradient(group), nullptr,
                                 false, din);
      });
    }
  });
}

}  // namespace bntrain::cpu
