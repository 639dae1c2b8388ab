#include "backend/cpu/ops/loss.hpp"

namespace bntrain::cpu {

LossOp::LossOp(Workspace& workspace, const PlanOp& op)
    : Op(workspace, op), groups_(static_cast<std::size_t>(w_.groups())) {
  if (!w_.plan.has_gradients())
    w_.reserve(unused_gradient_, w_.team.size() * op.in.size() * w_.kernels.lanes);
}

void LossOp::forward(const Pass& pass) {
  const std::int64_t classes = op_.in.size();
  w_.team.for_each(pass.groups, [&](std::int64_t group, int thread) {
    StepMetrics& m = groups_[static_cast<std::size_t>(group)] = {};
    m.count = pass.valid(group);
    float* gradient = w_.plan.has_gradients() ? w_.gradient(op_.input(), group)
                                              : unused_gradient_.data() + thread * classes * w_.kernels.lanes;
    w_.kernels.softmax_cross_entropy(input(group), classes, pass.images->labels.data(),
                                     pass.indices + group * w_.kernels.lanes, pass.valid(group),
                                     pass.gradient_scale, gradient, &m.loss_sum, &m.correct);
  });
  metrics_ = {};
  for (std::int64_t group = 0; group < pass.groups; ++group) {
    const StepMetrics& m = groups_[static_cast<std::size_t>(group)];
    metrics_.loss_sum += m.loss_sum;
    metrics_.correct += m.correct;
    metrics_.count += m.count;
  }
}

}  // namespace bntrain::cpu
