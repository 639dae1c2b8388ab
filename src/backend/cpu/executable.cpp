#include "backend/cpu/executable.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "backend/cpu/conv_op.hpp"
#include "backend/cpu/linear_op.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cpu {
namespace {

// Parameters that one task of the update covers: long enough to hide the hand-over, short enough to share.
constexpr std::int64_t kUpdateChunk = 1 << 14;

Workspace make_workspace(const Plan& plan, const Kernels& kernels, ThreadTeam& team) {
  const std::int64_t capacity = (plan.batch_size + kernels.lanes - 1) / kernels.lanes * kernels.lanes;
  const std::int64_t floats = plan.network.parameter_floats();
  return {plan,
          kernels,
          team,
          capacity,
          FloatBuffer(plan.arena_floats_per_image * capacity),
          FloatBuffer(floats),
          FloatBuffer(plan.training ? floats : 0),
          FloatBuffer(plan.training ? floats : 0),
          FloatBuffer(plan.network.running_floats())};
}

}  // namespace

CpuExecutable::CpuExecutable(const Plan& plan, const Dataset& dataset, const Kernels& kernels, int threads)
    : plan_(plan), dataset_(dataset), team_(threads), w_(make_workspace(plan_, kernels, team_)) {
  BNTRAIN_EXPECTS(plan.batch_size > 0);
  BNTRAIN_EXPECTS(plan.network.input() == dataset.train.shape && plan.network.input() == dataset.test.shape);
  build_ops();
  order_.resize(static_cast<std::size_t>(dataset.train.count));
  std::iota(order_.begin(), order_.end(), 0);
  test_order_.resize(static_cast<std::size_t>(dataset.test.count));
  std::iota(test_order_.begin(), test_order_.end(), 0);
  metrics_.reserve(1 << 14);  // more steps than anybody lets pass between two drains
}

void CpuExecutable::build_ops() {
  const std::vector<PlanStep>& steps = plan_.steps;
  // The next step works on this one's channels: no flatten lies between them.
  const auto conv_feeds_block = [&](std::size_t i) {
    return !plan_.every_value && steps[i].kind == StepKind::conv && steps[i + 1].kind == StepKind::block &&
           steps[i + 1].first_layer == steps[i].last_layer + 1;
  };
  // Backwards, because a convolution wants to know the block behind it.
  ops_.resize(steps.size());
  for (std::size_t i = steps.size(); i-- > 0;) {
    const PlanStep& step = steps[i];
    switch (step.kind) {
      case StepKind::conv: {
        ops_[i] = std::make_unique<ConvOp>(
            w_, step, conv_feeds_block(i) ? static_cast<BlockOp*>(ops_[i + 1].get()) : nullptr);
        break;
      }
      case StepKind::linear:
        ops_[i] = std::make_unique<LinearOp>(w_, step);
        break;
      case StepKind::block: {
        auto block = std::make_unique<BlockOp>(w_, step, i > 0 && conv_feeds_block(i - 1));
        if (step.norm) norms_.push_back(block.get());
        ops_[i] = std::move(block);
        break;
      }
      case StepKind::loss: {
        auto loss = std::make_unique<LossOp>(w_, step);
        loss_ = loss.get();
        ops_[i] = std::move(loss);
        break;
      }
    }
  }
  BNTRAIN_EXPECTS(loss_ != nullptr);
  for (const std::unique_ptr<Op>& op : ops_)
    for (std::int64_t task = 0; task < op->pack_tasks(); ++task) pack_tasks_.push_back({op.get(), task});
}

Pass CpuExecutable::begin(const ImageSet& images, const std::vector<std::int64_t>& order, BatchRange range,
                          int by_batch_from, double gradient_scale) {
  BNTRAIN_EXPECTS(range.first >= 0 && range.count > 0 && range.count <= plan_.batch_size);
  BNTRAIN_EXPECTS(range.first + range.count <= static_cast<std::int64_t>(order.size()));
  Pass pass;
  pass.images = &images;
  pass.indices = order.data() + range.first;
  pass.count = range.count;
  pass.lanes = w_.kernels.lanes;
  pass.groups = (range.count + pass.lanes - 1) / pass.lanes;
  pass.by_batch_from = by_batch_from;
  pass.gradient_scale = static_cast<float>(gradient_scale);
  team_.for_each(pass.groups, [&](std::int64_t group, int) {
    w_.kernels.gather(images.pixels.data(), images.shape.size(), pass.indices + group * pass.lanes,
                      pass.valid(group), w_.value(0, group));
  });
  return pass;
}

void CpuExecutable::forward(const Pass& pass) {
  for (const std::unique_ptr<Op>& op : ops_) op->forward(pass);
}

void CpuExecutable::set_order(std::span<const std::int64_t> order) {
  for (const std::int64_t index : order) BNTRAIN_EXPECTS(index >= 0 && index < dataset_.train.count);
  order_.assign(order.begin(), order.end());
}

void CpuExecutable::train_step(BatchRange range, const StepParams& params) {
  BNTRAIN_EXPECTS(plan_.training);
  if (halted_) {
    metrics_.push_back({std::numeric_limits<double>::quiet_NaN(), 0, range.count});
    return;
  }
  const Pass pass = begin(dataset_.train, order_, range, every_norm, params.gradient_scale);
  forward(pass);
  metrics_.push_back(loss_->metrics());
  halted_ = !std::isfinite(loss_->metrics().loss_sum);
  if (halted_) return;
  for (std::size_t i = ops_.size(); i-- > 0;) ops_[i]->backward(pass);
  update(params);
}

void CpuExecutable::update(const StepParams& params) {
  const std::int64_t floats = w_.parameters.size();
  float* velocity = params.momentum != 0 ? w_.velocity.data() : nullptr;
  team_.for_each((floats + kUpdateChunk - 1) / kUpdateChunk, [&](std::int64_t chunk, int) {
    const std::int64_t first = chunk * kUpdateChunk;
    w_.kernels.sgd(std::min(kUpdateChunk, floats - first), w_.gradients.data() + first,
                   static_cast<float>(params.lr), static_cast<float>(params.momentum),
                   static_cast<float>(params.weight_decay), w_.parameters.data() + first,
                   velocity != nullptr ? velocity + first : nullptr);
  });
  for (BlockOp* norm : norms_) norm->update_running();
  ++updates_;
  pack();
}

void CpuExecutable::pack() {
  team_.for_each(static_cast<std::int64_t>(pack_tasks_.size()), [&](std::int64_t number, int) {
    const PackTask& t = pack_tasks_[static_cast<std::size_t>(number)];
    t.op->pack(t.task);
  });
}

void CpuExecutable::evaluate(BatchRange range, int by_batch_from) {
  forward(begin(dataset_.test, test_order_, range, by_batch_from, 0));
  metrics_.push_back(loss_->metrics());
  evaluated_ = range.count;
}

void CpuExecutable::eval_step(BatchRange range) {
  evaluate(range, no_norm);
}

std::vector<BatchStatistics> CpuExecutable::eval_step_by_batch(BatchRange range, int first_layer) {
  evaluate(range, first_layer);
  std::vector<BatchStatistics> all;
  for (const BlockOp* norm : norms_) {
    if (norm->step().first_layer < first_layer) continue;
    BatchStatistics& one = all.emplace_back();
    for (const ChannelStatistics& channel : norm->statistics()) {
      one.mean.push_back(channel.mean);
      one.var.push_back(channel.var);
    }
  }
  std::ranges::reverse(all);  // norms_ begins with the last one
  return all;
}

std::vector<float> CpuExecutable::logits() {
  const std::int64_t classes = plan_.network.classes();
  const int value = plan_.steps.back().input;
  std::vector<float> result(static_cast<std::size_t>(evaluated_ * classes));
  for (std::int64_t image = 0; image < evaluated_; ++image) {
    const float* group = w_.value(value, image / w_.kernels.lanes) + image % w_.kernels.lanes;
    for (std::int64_t c = 0; c < classes; ++c)
      result[static_cast<std::size_t>(image * classes + c)] = group[c * w_.kernels.lanes];
  }
  return result;
}

std::vector<StepMetrics> CpuExecutable::drain_metrics() {
  std::vector<StepMetrics> drained(metrics_);
  metrics_.clear();
  return drained;
}

bool CpuExecutable::finite(const float* values, std::int64_t count) const {
  return std::all_of(values, values + count, [](float v) { return std::isfinite(v); });
}

std::string CpuExecutable::first_non_finite(BatchRange range) {
  const Pass pass = begin(dataset_.train, order_, range, every_norm, 0);
  for (const std::unique_ptr<Op>& op : ops_) {
    const PlanStep& step = op->step();
    for (const Parameter& p : plan_.network.parameters())
      if (step.kind != StepKind::loss && p.layer >= step.first_layer && p.layer <= step.last_layer &&
          !finite(w_.parameters.data() + p.offset, p.size))
        return step.name + " (parameter " + p.name + ")";
    op->forward(pass);
    if (op.get() == loss_) return std::isfinite(loss_->metrics().loss_sum) ? "" : step.name;
    const std::int64_t size = w_.shape(step.output).size();
    for (std::int64_t image = 0; image < pass.count; ++image) {
      const float* group = w_.value(step.output, image / pass.lanes);
      for (std::int64_t i = 0; i < size; ++i)
        if (!std::isfinite(group[i * pass.lanes + image % pass.lanes])) return step.name + " (output)";
    }
  }
  return "";
}

std::string CpuExecutable::variant() const {
  return std::string("cpu ") + w_.kernels.name + " (" + std::to_string(w_.kernels.lanes) + " lanes)";
}

}  // namespace bntrain::cpu
