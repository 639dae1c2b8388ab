#include "backend/cpu/ops/linear.hpp"

#include <algorithm>

namespace bntrain::cpu {
namespace {

// What one task computes of a layer: large enough to read its operands from the cache several times, small
// enough to share. Inputs of a task are whole register tiles of every instruction set (48, 24 and 8 of them).
constexpr std::int64_t kRows = 64, kInputs = 48, kOutputs = 256;
// With one image a group the weights are most of what is read: all images and few outputs a task.
constexpr std::int64_t kOutputsOfFew = 16;
// Tasks that a thread should find, so that none waits long for the others.
constexpr std::int64_t kTasksPerThread = 4;

constexpr std::int64_t parts(std::int64_t size, std::int64_t part) {
  return (size + part - 1) / part;
}

/// A product of the weights with all images in tasks: rows are divided first, then, where that gives too few,
/// the groups.
class ProductTasks {
 public:
  ProductTasks(std::int64_t rows, std::int64_t rows_per_part, std::int64_t groups, const Workspace& w)
      : rows_(rows),
        groups_(groups),
        rows_per_part_(rows_per_part),
        row_parts_(parts(rows, rows_per_part)),
        group_parts_(
            w.kernels.lanes == 1 ? 1 : std::min(groups, parts(kTasksPerThread * w.team.size(), row_parts_))) {
  }

  std::int64_t count() const { return row_parts_ * group_parts_; }
  LinearPart operator[](std::int64_t task) const {
    const std::int64_t row = task / group_parts_ * rows_per_part_, part = task % group_parts_;
    return {row, std::min(row + rows_per_part_, rows_), groups_ * part / group_parts_,
            groups_ * (part + 1) / group_parts_};
  }

 private:
  std::int64_t rows_, groups_, rows_per_part_, row_parts_, group_parts_;
};

}  // namespace

LinearOp::LinearOp(Workspace& workspace, const PlanOp& op)
    : Op(workspace, op), shape_{op.in.size(), op.out.size()} {}

std::string LinearOp::variant(StepPass pass) const {
  if (pass == StepPass::forward) return "product";
  return has_input_gradient() ? "weights+input" : "weights";
}

void LinearOp::forward(const Pass& pass) {
  const ProductTasks tasks(shape_.out, w_.kernels.lanes == 1 ? kOutputsOfFew : kRows, pass.groups, w_);
  w_.team.for_each(tasks.count(), [&](std::int64_t task, int) {
    w_.kernels.linear_forward(shape_, tasks[task], parameter(op_.weight), parameter(op_.bias),
                              op_.has_activation(), input(0), output(0));
  });
}

void LinearOp::backward(const Pass& pass) {
  if (op_.has_activation())
    w_.team.for_each(pass.groups, [&](std::int64_t group, int) {
      w_.kernels.activation_backward(op_.activation, shape_.out, output(group), output_gradient(group));
    });
  // The gradients of weights and inputs are independent: one list of tasks, the long ones first.
  const std::int64_t columns = parts(shape_.in, kInputs),
                     weight_tasks = columns * parts(shape_.out, kOutputs);
  const ProductTasks input_tasks(shape_.in, kRows, pass.groups, w_);
  w_.team.for_each(
      weight_tasks + (has_input_gradient() ? input_tasks.count() : 0), [&](std::int64_t task, int) {
        if (task < weight_tasks) {
          const std::int64_t output = task / columns * kOutputs, input = task % columns * kInputs;
          w_.kernels.linear_backward_weights(
              shape_, pass.groups,
              {output, std::min(output + kOutputs, shape_.out), input, std::min(input + kInputs, shape_.in)},
              this->input(0), output_gradient(0), parameter_gradient(op_.weight),
              input == 0 ? parameter_gradient(op_.bias) : nullptr);
        } else {
          w_.kernels.linear_backward_input(
              shape_, input_tasks[task - weight_tasks], parameter(op_.weight), output_gradient(0),
              op_.input_gradients.front() == InputGradient::add, w_.gradient(op_.input(), 0));
        }
      });
}

}  // namespace bntrain::cpu
