#include "backend/cpu/executable.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "backend/cpu/isa.hpp"
#include "backend/cpu/ops/add.hpp"
#include "backend/cpu/ops/conv.hpp"
#include "backend/cpu/ops/linear.hpp"
#include "backend/state_buffer.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cpu {
namespace {

// Parameters that one task of the update covers: long enough to hide the hand-over, short enough to share.
constexpr std::int64_t kUpdateChunk = 1 << 14;

std::int64_t rounded_up(std::int64_t images, std::int64_t lanes) {
  return (images + lanes - 1) / lanes * lanes;
}

}  // namespace

std::int64_t Workspace::reserved_bytes() const {
  std::int64_t floats = 0;
  for (const auto& [buffer, size] : reserved) floats += size;
  return floats * static_cast<std::int64_t>(sizeof(float));
}

void Workspace::allocate() {
  for (const auto& [buffer, size] : reserved) *buffer = FloatBuffer(size);
}

CpuExecutable::CpuExecutable(Plan plan, const Kernels& kernels, ConvMethod conv, int threads)
    : plan_(std::move(plan)),
      mean_(plan_.network.normalization().mean.begin(), plan_.network.normalization().mean.end()),
      std_(plan_.network.normalization().std.begin(), plan_.network.normalization().std.end()),
      team_(threads),
      w_{plan_, kernels, conv, team_, ParameterLayout(plan_), rounded_up(plan_.batch_size, kernels.lanes)} {
  const std::int64_t floats = w_.layout.size();
  const int states = plan_.has_gradients() ? state_count(plan_.update) : 0;
  w_.reserve(w_.arena, plan_.arena_floats_per_image * w_.capacity);
  w_.reserve(w_.parameters, floats);
  w_.reserve(w_.gradients, plan_.has_gradients() ? floats : 0);
  w_.reserve(w_.running, plan_.network.running_floats());
  for (int state = 0; state < states; ++state) w_.reserve(w_.moments[state], floats);
  build_ops();
}

void CpuExecutable::allocate() {
  w_.allocate();
  for (const std::unique_ptr<Op>& op : ops_) op->find_parameters();
  metrics_.reserve(1 << 14);  // more steps than anybody lets pass between two drains
}

void CpuExecutable::build_ops() {
  ops_.resize(plan_.ops.size());
  for (std::size_t i = ops_.size(); i-- > 0;) {  // backwards: a convolution takes the block after it
    const PlanOp& op = plan_.ops[i];
    switch (op.kind) {
      case OpKind::conv:
        ops_[i] = std::make_unique<ConvOp>(
            w_, op,
            op.block_after < 0 ? nullptr
                               : static_cast<BlockOp*>(ops_[static_cast<std::size_t>(op.block_after)].get()));
        break;
      case OpKind::linear:
        ops_[i] = std::make_unique<LinearOp>(w_, op);
        break;
      case OpKind::block: {
        auto block = std::make_unique<BlockOp>(w_, op);
        if (op.has_norm()) norms_.insert(norms_.begin(), block.get());
        ops_[i] = std::move(block);
        break;
      }
      case OpKind::add:
        ops_[i] = std::make_unique<AddOp>(w_, op);
        break;
      case OpKind::loss: {
        auto loss = std::make_unique<LossOp>(w_, op);
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

void CpuExecutable::bind(Source& source, const ImageSet& images) {
  BNTRAIN_EXPECTS(images.shape == plan_.network.input());
  source.images = &images;
  source.order.resize(static_cast<std::size_t>(images.count));
  std::iota(source.order.begin(), source.order.end(), 0);
}

void CpuExecutable::bind_training_images(const ImageSet& images) {
  bind(training_, images);
}

void CpuExecutable::bind_evaluation_images(const ImageSet& images) {
  bind(evaluation_, images);
}

Pass CpuExecutable::begin(const Source& source, BatchRange range, int by_batch_from, double gradient_scale) {
  BNTRAIN_EXPECTS(source.images != nullptr);
  BNTRAIN_EXPECTS(range.first >= 0 && range.count > 0 && range.count <= plan_.batch_size);
  BNTRAIN_EXPECTS(range.first + range.count <= static_cast<std::int64_t>(source.order.size()));
  Pass pass;
  pass.images = source.images;
  pass.indices = source.order.data() + range.first;
  pass.count = range.count;
  pass.lanes = w_.kernels.lanes;
  pass.groups = (range.count + pass.lanes - 1) / pass.lanes;
  pass.by_batch_from = by_batch_from;
  pass.gradient_scale = static_cast<float>(gradient_scale);
  const PixelScale scale{mean_.empty() ? nullptr : mean_.data(), std_.data(),
                         plan_.network.input().spatial()};
  team_.for_each(pass.groups, [&](std::int64_t group, int) {
    w_.kernels.gather(source.images->pixels.data(), source.images->shape.size(),
                      pass.indices + group * pass.lanes, pass.valid(group), scale, w_.value(0, group));
  });
  return pass;
}

void CpuExecutable::forward(const Pass& pass) {
  for (const std::unique_ptr<Op>& op : ops_) op->forward(pass);
}

void CpuExecutable::set_order(std::span<const std::int64_t> order) {
  BNTRAIN_EXPECTS(training_.images != nullptr);
  for (const std::int64_t index : order) BNTRAIN_EXPECTS(index >= 0 && index < training_.images->count);
  training_.order.assign(order.begin(), order.end());
}

void CpuExecutable::train_step(BatchRange range, const StepParams& params) {
  BNTRAIN_EXPECTS(plan_.has_gradients());
  if (halted_) {
    metrics_.push_back({std::numeric_limits<double>::quiet_NaN(), 0, range.count});
    return;
  }
  const Pass pass = begin(training_, range, every_norm, params.gradient_scale);
  forward(pass);
  metrics_.push_back(loss_->metrics());
  halted_ = !std::isfinite(loss_->metrics().loss_sum);
  if (halted_) return;
  for (std::size_t i = ops_.size(); i-- > 0;) ops_[i]->backward(pass);
  update(params.update);
}

void CpuExecutable::update(const UpdateScalars& scalars) {
  const std::int64_t floats = w_.parameters.size(), decayed = w_.layout.offset(plan_.decayed_floats);
  UpdateScalars without_decay = scalars;
  without_decay.weight_decay = 0;
  const auto from = [](FloatBuffer& buffer, std::int64_t first) {
    return buffer.size() > 0 ? buffer.data() + first : nullptr;
  };
  const auto update_range = [&](const UpdateScalars& s, std::int64_t first, std::int64_t end) {
    if (first < end)
      w_.kernels.update(plan_.update, s, end - first, w_.gradients.data() + first,
                        w_.parameters.data() + first, from(w_.moments[0], first), from(w_.moments[1], first));
  };
  team_.for_each((floats + kUpdateChunk - 1) / kUpdateChunk, [&](std::int64_t chunk, int) {
    const std::int64_t first = chunk * kUpdateChunk, end = std::min(first + kUpdateChunk, floats);
    const std::int64_t border = std::clamp(decayed, first, end);
    update_range(scalars, first, border);
    update_range(without_decay, border, end);
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
  forward(begin(evaluation_, range, by_batch_from, 0));
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
    if (norm->plan_op().first_layer < first_layer) continue;
    BatchStatistics& one = all.emplace_back();
    for (const ChannelStatistics& channel : norm->statistics()) {
      one.mean.push_back(channel.mean);
      one.var.push_back(channel.var);
    }
  }
  return all;
}

std::vector<float> CpuExecutable::by_image(const float* lanes, std::int64_t size, std::int64_t images) const {
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(images * size));
  const std::int64_t width = w_.kernels.lanes;
  for (std::int64_t image = 0; image < images; ++image)
    for (std::int64_t i = 0; i < size; ++i)
      values.push_back(lanes[(image / width * size + i) * width + image % width]);
  return values;
}

std::vector<float> CpuExecutable::logits() {
  return by_image(w_.value(plan_.ops.back().input(), 0), plan_.network.classes(), evaluated_);
}

std::vector<StepMetrics> CpuExecutable::drain_metrics() {
  std::vector<StepMetrics> drained(metrics_);
  metrics_.clear();
  return drained;
}

std::string CpuExecutable::first_non_finite(BatchRange range) {
  const auto finite = [](std::span<const float> values) {
    return std::ranges::all_of(values, [](float v) { return std::isfinite(v); });
  };
  const Pass pass = begin(training_, range, every_norm, 0);
  const std::vector<float> parameters = read(StateBuffer::parameters);
  for (const std::unique_ptr<Op>& op : ops_) {
    const PlanOp& plan_op = op->plan_op();
    for (const Parameter& p : plan_.network.parameters())
      if (plan_op.kind != OpKind::loss && p.layer >= plan_op.first_layer && p.layer <= plan_op.last_layer &&
          !finite(std::span(parameters)
                      .subspan(static_cast<std::size_t>(p.offset), static_cast<std::size_t>(p.size))))
        return plan_op.name + " (parameter " + p.name + ")";
    op->forward(pass);
    if (op.get() == loss_) return std::isfinite(loss_->metrics().loss_sum) ? "" : plan_op.name;
    if (!finite(by_image(w_.value(plan_op.output, 0), plan_op.out.size(), pass.count)))
      return plan_op.name + " (output)";
  }
  return "";
}

std::string CpuExecutable::variant() const {
  static constexpr const char* methods[] = {"", ", direct", ", Winograd"};
  return "cpu " + describe(w_.kernels) + methods[static_cast<int>(w_.conv)] + arithmetic_version;
}

std::vector<float> CpuExecutable::read(StateBuffer which) const {
  const FloatBuffer& from = buffer_of(w_, which);
  if (which != StateBuffer::running_statistics && from.size() > 0) return w_.layout.to_network(from.data());
  return {from.data(), from.data() + from.size()};
}

void CpuExecutable::write(StateBuffer which, std::span<const float> values) {
  FloatBuffer& to = buffer_of(w_, which);
  if (which != StateBuffer::running_statistics && to.size() > 0)
    return w_.layout.from_network(values, to.data());
  BNTRAIN_EXPECTS(static_cast<std::int64_t>(values.size()) == to.size());
  std::ranges::copy(values, to.data());
}

void CpuExecutable::restart(std::int64_t updates) {
  updates_ = updates;
  halted_ = false;
  pack();
}

std::vector<float> CpuExecutable::read_value(int value, StepPass pass, std::int64_t images) const {
  BNTRAIN_EXPECTS(plan_.purpose == Purpose::inspection && images >= 0 && images <= plan_.batch_size);
  const PlanValue& v = plan_.values.at(static_cast<std::size_t>(value));
  const std::int64_t offset = pass == StepPass::forward ? v.offset : v.gradient_offset;
  BNTRAIN_EXPECTS(offset >= 0);
  return by_image(w_.arena.data() + offset * w_.capacity, v.shape.size(), images);
}

}  // namespace bntrain::cpu
