#include "plan/cost.hpp"

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

struct Work {
  std::int64_t flops = 0;
  std::int64_t floats = 0;
};

class Costs {
 public:
  Costs(const Plan& plan, std::int64_t images) : plan_(plan), images_(images) {}

  Work forward(std::size_t i) const {
    const PlanOp& op = plan_.ops[i];
    const std::int64_t x = input(op), y = output(op);
    switch (op.kind) {
      case OpKind::conv:
      case OpKind::linear: {
        Work work{products(op), x + weights(op) + y};
        if (op.gradient_rebuilt) {
          const PlanOp& block = plan_.op(op.block_after);
          if (block.has_norm()) work.flops += kStatistics * y;
          if (block.takes_maximum()) work.floats += output(block);
        }
        return work;
      }
      case OpKind::block: {
        const bool reduced = is_shared(op);
        const std::int64_t a = activated(op);
        Work work{forward_flops(op) * a, (reduced ? a : x) + y};
        if (op.has_norm()) work.flops += (reduced ? 0 : kStatistics * x) + kApply * a;
        if (op.takes_average()) work.flops += x;
        return work;
      }
      case OpKind::add:
        return {(1 + forward_flops(op)) * y, 3 * y};
      case OpKind::loss:
        break;
    }
    return {kLoss * x, 2 * x};
  }

  Work backward(std::size_t i) const {
    const PlanOp& op = plan_.ops[i];
    const std::int64_t x = input(op), y = output(op);
    const bool input_gradient = op.input_gradients.front() != InputGradient::none;
    if (op.kind == OpKind::add) return backward_of_sum(op);
    if (op.kind == OpKind::block) {
      const bool shared = is_shared(op);
      if (!op.has_norm() && (shared || !input_gradient)) return {};
      const std::int64_t sums = (op.has_norm() ? kSums * activated(op) : 0) + slopes(op);
      if (shared) return {sums, activated(op) + y};
      if (!input_gradient) return {sums, x + y};
      return {sums + (op.has_norm() ? kInputGradient * x : 0) + added(op), x + y + x + added(op)};
    }
    Work work{products(op), x + y + weights(op)};
    if (input_gradient) {
      work.flops += products(op) + added(op);
      work.floats += weights(op) + x + added(op);
    }
    if (op.has_activation()) work.floats += y;
    if (op.gradient_rebuilt) {
      const PlanOp& block = plan_.op(op.block_after);
      work.flops += block.has_norm() ? kInputGradient * y : slopes(block);
      work.floats += output(block);
    }
    return work;
  }

 private:
  // FLOP for each element of the tensor that a pass goes over.
  static constexpr std::int64_t kStatistics = 4;  // mean: +; sum of squares: -, multiply-add
  static constexpr std::int64_t kApply = 3;       // (x - mean) * scale + beta
  static constexpr std::int64_t kSums = 5;  // dbeta: +; dgamma: xhat = (x - mean) * inv_std, multiply-add
  static constexpr std::int64_t kInputGradient = 6;  // (dy - dbeta / n - xhat * dgamma / n) * scale
  static constexpr std::int64_t kLoss = 6;           // exp(x - max), their sum; / sum, - onehot, * scale

  std::int64_t input(const PlanOp& op) const { return images_ * op.in.size(); }
  std::int64_t output(const PlanOp& op) const { return images_ * op.out.size(); }

  static std::int64_t forward_flops(const PlanOp& op) {
    return op.has_activation() ? activation_type(op.activation.kind).forward_flops : 0;
  }
  static std::int64_t backward_flops(const PlanOp& op) {
    return op.has_activation() ? activation_type(op.activation.kind).backward_flops : 0;
  }

  /// The gradient of another reader that this op's is added to: read once more, and one addition each.
  std::int64_t added(const PlanOp& op) const {
    return op.input_gradients.front() == InputGradient::add ? input(op) : 0;
  }

  Work backward_of_sum(const PlanOp& op) const {
    const std::int64_t y = output(op);
    Work work;
    if (op.has_activation()) work = {backward_flops(op) * y, 3 * y};
    for (const InputGradient gradient : op.input_gradients) {
      if (gradient == InputGradient::store) work.floats += 2 * y;
      if (gradient == InputGradient::add) work = {work.flops + y, work.floats + 3 * y};
    }
    return work;
  }

  /// How many elements the activation of a block works on.
  std::int64_t activated(const PlanOp& op) const { return op.takes_average() ? input(op) : output(op); }
  /// What the gradient takes between the output of a block and its norm.
  std::int64_t slopes(const PlanOp& op) const {
    return backward_flops(op) * activated(op) + (op.takes_average() ? output(op) : 0);
  }

  static std::int64_t weights(const PlanOp& op) {
    if (op.kind == OpKind::linear) return op.in.size() * op.out.size();
    return op.in.channels * op.kernel * op.kernel * op.out.channels;
  }

  std::int64_t products(const PlanOp& op) const { return 2 * images_ * weights(op) * op.out.spatial(); }

  /// Whether the convolution before this block does a part of its work: the gradient between them is in no
  /// memory.
  bool is_shared(const PlanOp& op) const {
    return op.conv_before >= 0 && plan_.op(op.conv_before).gradient_rebuilt;
  }

  const Plan& plan_;
  std::int64_t images_;
};

}  // namespace

std::vector<OpCost> plan_costs(const Plan& plan, std::int64_t images) {
  BNTRAIN_EXPECTS(plan.has_gradients() && images > 0);
  constexpr std::int64_t kFloat = sizeof(float);
  const Costs costs(plan, images);
  const std::int64_t pixels = images * plan.network.input().size();
  std::vector<OpCost> parts{{gather_part, StepPass::forward, pixels, pixels + kFloat * pixels}};
  for (std::size_t i = 0; i < plan.ops.size(); ++i) {
    const Work work = costs.forward(i);
    parts.push_back({plan.ops[i].name, StepPass::forward, work.flops, kFloat * work.floats});
  }
  for (std::size_t i = plan.ops.size() - 1; i-- > 0;) {
    const Work work = costs.backward(i);
    parts.push_back({plan.ops[i].name, StepPass::backward, work.flops, kFloat * work.floats});
  }
  const std::int64_t parameters = plan.network.parameter_count(), states = state_count(plan.update);
  parts.push_back({update_part, StepPass::update, update_flops(plan.update) * parameters,
                   kFloat * (3 + 2 * states) * parameters});
  return parts;
}

}  // namespace bntrain
