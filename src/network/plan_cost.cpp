#include "network/plan_cost.hpp"

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
    const PlanStep& step = plan_.steps[i];
    const std::int64_t x = input(step), y = output(step);
    switch (step.kind) {
      case StepKind::conv:
      case StepKind::linear: {
        Work work{products(step), x + weights(step) + y};
        if (feeds_block(i)) {
          const PlanStep& block = plan_.steps[i + 1];
          if (block.norm) work.flops += kStatistics * y;
          if (block.pool > 1 && block.pooling == Pooling::maximum) work.floats += output(block);
        }
        return work;
      }
      case StepKind::block: {
        const bool reduced = i > 0 && feeds_block(i - 1);
        const std::int64_t a = activated(step);
        Work work{step.activation == Activation::sigmoid ? kSigmoid * a : 0, (reduced ? a : x) + y};
        if (step.norm) work.flops += (reduced ? 0 : kStatistics * x) + kApply * a;
        if (averages(step)) work.flops += x;
        return work;
      }
      case StepKind::loss:
        break;
    }
    return {kLoss * x, 2 * x};
  }

  Work backward(std::size_t i) const {
    const PlanStep& step = plan_.steps[i];
    const std::int64_t x = input(step), y = output(step);
    const bool input_gradient = step.input != 0;
    if (step.kind == StepKind::block) {
      const bool shared = i > 0 && feeds_block(i - 1);
      if (!step.norm && (shared || !input_gradient)) return {};
      const std::int64_t sums = (step.norm ? kSums * activated(step) : 0) + slopes(step);
      if (shared) return {sums, activated(step) + y};
      if (!input_gradient) return {sums, x + y};
      return {sums + (step.norm ? kInputGradient * x : 0), x + y + x};
    }
    Work work{products(step), x + y + weights(step)};
    if (input_gradient) {
      work.flops += products(step);
      work.floats += weights(step) + x;
    }
    if (step.activation == Activation::relu) work.floats += y;
    if (feeds_block(i)) {
      const PlanStep& block = plan_.steps[i + 1];
      work.flops += block.norm ? kInputGradient * y : slopes(block);
      work.floats += output(block);
    }
    return work;
  }

 private:
  // FLOP for each number of the tensor that a pass goes over.
  static constexpr std::int64_t kStatistics = 4;  // mean: +; sum of squares: -, multiply-add
  static constexpr std::int64_t kApply = 3;       // (x - mean) * scale + beta
  static constexpr std::int64_t kSums = 5;  // dbeta: +; dgamma: xhat = (x - mean) * invstd, multiply-add
  static constexpr std::int64_t kInputGradient = 6;  // (dy - dbeta / n - xhat * dgamma / n) * scale
  static constexpr std::int64_t kSigmoid = 3;        // forward: exp, +, /; backward: dy * y * (1 - y)
  static constexpr std::int64_t kLoss = 6;           // exp(x - max), their sum; / sum, - onehot, * scale

  const Shape& shape(int value) const { return plan_.values[static_cast<std::size_t>(value)].shape; }
  std::int64_t input(const PlanStep& step) const { return images_ * shape(step.input).size(); }
  std::int64_t output(const PlanStep& step) const { return images_ * shape(step.output).size(); }

  static bool averages(const PlanStep& step) { return step.pool > 1 && step.pooling == Pooling::average; }
  /// How many numbers the activation of a block works on.
  std::int64_t activated(const PlanStep& step) const { return averages(step) ? input(step) : output(step); }
  /// What the gradient takes between the output of a block and its norm.
  std::int64_t slopes(const PlanStep& step) const {
    return (step.activation == Activation::sigmoid ? kSigmoid * activated(step) : 0) +
           (averages(step) ? output(step) : 0);
  }

  std::int64_t weights(const PlanStep& step) const {
    const Shape &in = shape(step.input), &out = shape(step.output);
    if (step.kind == StepKind::linear) return in.size() * out.size();
    return in.channels * step.kernel * step.kernel * out.channels;
  }

  std::int64_t products(const PlanStep& step) const {
    return 2 * images_ * weights(step) * shape(step.output).spatial();
  }

  /// Whether the block behind this convolution has left work to it: the gradient between them is in no
  /// buffer.
  bool feeds_block(std::size_t i) const {
    const PlanStep& step = plan_.steps[i];
    return step.kind == StepKind::conv &&
           plan_.values[static_cast<std::size_t>(step.output)].gradient_offset < 0;
  }

  const Plan& plan_;
  std::int64_t images_;
};

}  // namespace

std::vector<StepCost> plan_costs(const Plan& plan, std::int64_t images) {
  BNTRAIN_EXPECTS(plan.training && images > 0);
  constexpr std::int64_t kFloat = sizeof(float);
  const Costs costs(plan, images);
  const std::int64_t pixels = images * plan.network.input().size();
  std::vector<StepCost> parts{{"gather", StepPass::forward, pixels, pixels + kFloat * pixels}};
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Work work = costs.forward(i);
    parts.push_back({plan.steps[i].name, StepPass::forward, work.flops, kFloat * work.floats});
  }
  for (std::size_t i = plan.steps.size() - 1; i-- > 0;) {
    const Work work = costs.backward(i);
    parts.push_back({plan.steps[i].name, StepPass::backward, work.flops, kFloat * work.floats});
  }
  const std::int64_t parameters = plan.network.parameter_count();
  parts.push_back({"sgd", StepPass::update, 2 * parameters, kFloat * 3 * parameters});
  return parts;
}

}  // namespace bntrain
