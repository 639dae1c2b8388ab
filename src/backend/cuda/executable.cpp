#include "backend/cuda/executable.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend/state_buffer.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cuda {
namespace {

// More steps than anybody lets pass between two drains; where somebody does, the step waits and drains.
constexpr std::int64_t kMetricSlots = 1024;
// A graph of ten steps takes 4 us a step less than ten graphs of one (measured on an H200).
constexpr std::int64_t kStepsPerGraph = 10;

}  // namespace

CudaExecutable::Images::Images(const ImageSet& set, DeviceStream& stream)
    : count(set.count),
      pixels(static_cast<std::int64_t>(set.pixels.size())),
      labels(static_cast<std::int64_t>(set.labels.size())) {
  stream.upload(pixels.data(), set.pixels.data(), pixels.bytes());
  stream.upload(labels.data(), set.labels.data(), labels.bytes());
}

CudaExecutable::CudaExecutable(Plan plan, Precision precision)
    : plan_(std::move(plan)),
      precision_(precision),
      w_(plan_, precision),
      state_(1),
      scalars_(kMetricSlots),
      metrics_(kMetricSlots),
      updates_(1),
      expected_scalars_(kMetricSlots) {
  w_.stream.zero(updates_.data(), updates_.bytes());
}

void CudaExecutable::bind_training_images(const ImageSet& images) {
  BNTRAIN_EXPECTS(images.shape == plan_.network.input());
  launch_pending();
  programs_.clear();  // captured graphs read the images before
  training_.emplace(images, w_.stream);
  order_.emplace(images.count);
  std::vector<std::int64_t> own(static_cast<std::size_t>(images.count));
  std::iota(own.begin(), own.end(), 0);
  set_order(own);
}

void CudaExecutable::bind_evaluation_images(const ImageSet& images) {
  BNTRAIN_EXPECTS(images.shape == plan_.network.input());
  launch_pending();
  programs_.clear();
  evaluation_.emplace(images, w_.stream);
}

void CudaExecutable::set_order(std::span<const std::int64_t> order) {
  BNTRAIN_EXPECTS(training_ && static_cast<std::int64_t>(order.size()) <= training_->count);
  for (const std::int64_t index : order) BNTRAIN_EXPECTS(index >= 0 && index < training_->count);
  launch_pending();
  order_count_ = static_cast<std::int64_t>(order.size());
  w_.stream.upload(order_->data(), order.data(), static_cast<std::int64_t>(order.size_bytes()));
}

CudaExecutable::Compiled& CudaExecutable::compiled(std::int64_t batch) {
  return programs_.try_emplace(batch, w_, batch).first->second;
}

kernels::BatchState CudaExecutable::begin(BatchRange range, std::int64_t images, float gradient_scale) {
  BNTRAIN_EXPECTS(range.first >= 0 && range.count > 0 && range.count <= plan_.batch_size);
  BNTRAIN_EXPECTS(range.first + range.count <= images);
  launch_pending();
  if (undrained_ == kMetricSlots) {
    const std::vector<StepMetrics> now = drain_metrics();
    drained_.insert(drained_.end(), now.begin(), now.end());
  }
  // The loss moves the state on by itself, so that consecutive batches need nothing from the host.
  const kernels::BatchState wanted{range.first, undrained_, gradient_scale};
  if (expected_state_ != wanted) w_.stream.upload(state_.data(), &wanted, state_.bytes());
  expected_state_.reset();  // where the step fails halfway, nobody knows
  return wanted;
}

void CudaExecutable::run(Routine& routine, const std::function<void()>& enqueue) const {
  // Not captured at once: what the libraries load lazily they must not load during a capture.
  if (!routine.ran) {
    enqueue();
    routine.ran = true;
    return;
  }
  if (!routine.graph) routine.graph.emplace(w_.stream.capture(enqueue));
  w_.stream.launch(*routine.graph);
}

void CudaExecutable::finish(kernels::BatchState begun, BatchRange range) {
  begun.first += range.count;
  begun.step += 1;
  expected_state_ = begun;
  ++undrained_;
}

Feed CudaExecutable::feed(const std::optional<Images>& images, const std::int64_t* order) const {
  Feed result{.pixels = images->pixels.data(),
              .labels = images->labels.data(),
              .order = order,
              .state = state_.data()};
  result.output.metrics = metrics_.data();
  result.output.slots = kMetricSlots;
  return result;
}

void CudaExecutable::upload_scalars(std::int64_t slot, std::span<const UpdateScalars> scalars) {
  const auto expected = expected_scalars_.begin() + slot;
  if (std::equal(scalars.begin(), scalars.end(), expected)) return;
  w_.stream.upload(scalars_.data() + slot, scalars.data(), static_cast<std::int64_t>(scalars.size_bytes()));
  std::ranges::copy(scalars, expected);
}

void CudaExecutable::prepare(std::span<const StepParams> next) {
  std::vector<UpdateScalars> scalars;
  for (const StepParams& params :
       next.first(std::min<std::size_t>(next.size(), static_cast<std::size_t>(kMetricSlots - undrained_))))
    scalars.push_back(params.update);
  if (!scalars.empty()) upload_scalars(undrained_, scalars);
}

void CudaExecutable::train_step(BatchRange range, const StepParams& params) {
  BNTRAIN_EXPECTS(plan_.has_gradients() && training_);
  kernels::BatchState begun{range.first, undrained_, static_cast<float>(params.gradient_scale)};
  const bool continues = pending_.steps > 0 && pending_.batch == range.count && expected_state_ == begun &&
                         undrained_ < kMetricSlots && range.first + range.count <= order_count_;
  if (!continues) begun = begin(range, order_count_, begun.gradient_scale);
  upload_scalars(begun.step, {&params.update, 1});
  compiled(range.count);
  pending_ = {range.count, pending_.steps + 1};
  finish(begun, range);
  if (pending_.steps == kStepsPerGraph) launch_pending();
}

void CudaExecutable::enqueue_training(Program& program) const {
  Feed from = feed(training_, order_->data());
  from.output.halted = w_.halted.data();
  from.output.finite_steps = updates_.data();
  program.gather(from);
  program.forward(Mode::training);
  program.loss(from, Mode::training);
  program.backward();
  program.update(scalars_.data(), state_.data());
}

void CudaExecutable::launch_pending() const {
  if (pending_.steps == 0) return;
  Compiled& c = programs_.at(pending_.batch);
  const auto one = [&] { enqueue_training(c.program); };
  const auto several = [&] {
    for (std::int64_t i = 0; i < kStepsPerGraph; ++i) one();
  };
  try {
    if (pending_.steps == kStepsPerGraph && c.training.ran) {
      if (!c.training_steps) c.training_steps.emplace(w_.stream.capture(several));
      w_.stream.launch(*c.training_steps);
      pending_.steps = 0;
    }
    for (; pending_.steps > 0; --pending_.steps) run(c.training, one);
  } catch (...) {
    undrained_ -= pending_.steps;  // these were never made
    pending_.steps = 0;
    expected_state_.reset();
    throw;
  }
}

void CudaExecutable::eval_step(BatchRange range) {
  BNTRAIN_EXPECTS(evaluation_);
  const kernels::BatchState begun = begin(range, evaluation_->count, 0);
  Compiled& c = compiled(range.count);
  run(c.evaluation, [&] {
    const Feed from = feed(evaluation_, nullptr);
    c.program.gather(from);
    c.program.forward(Mode::inference);
    c.program.loss(from, Mode::inference);
  });
  finish(begun, range);
  evaluated_ = range.count;
}

std::vector<BatchStatistics> CudaExecutable::eval_step_by_batch(BatchRange range, int first_layer) {
  BNTRAIN_EXPECTS(evaluation_);
  const kernels::BatchState begun = begin(range, evaluation_->count, 0);
  Program& program = compiled(range.count).program;
  const Feed from = feed(evaluation_, nullptr);
  program.gather(from);
  for (const auto& op : program.ops())
    op->forward(op->plan_op().first_layer >= first_layer ? Mode::training : Mode::inference);
  program.loss(from, Mode::inference);
  finish(begun, range);
  evaluated_ = range.count;

  std::vector<BatchStatistics> all;
  for (const auto& op : program.ops())
    if (op->plan_op().has_norm() && op->plan_op().first_layer >= first_layer)
      all.push_back(read_statistics(static_cast<const BlockOp&>(*op)));
  return all;
}

BatchStatistics CudaExecutable::read_statistics(const BlockOp& op) const {
  const std::int64_t channels = op.norm_channels();
  const std::int64_t offset = op.plan_op().running_mean;
  const std::vector<float> mean = read(w_.mean.data() + 2 * offset, 2 * channels);  // high parts, low parts
  const std::vector<float> var = read(w_.var.data() + offset, channels);
  BatchStatistics result{{mean.begin(), mean.begin() + channels}, {var.begin(), var.end()}};
  for (std::size_t c = 0; c < var.size(); ++c) result.mean[c] += static_cast<double>(mean[var.size() + c]);
  if (op.absorbed_bias() == nullptr) return result;
  const std::vector<float> bias = read(op.absorbed_bias(), channels);
  for (std::size_t c = 0; c < bias.size(); ++c) result.mean[c] += static_cast<double>(bias[c]);
  return result;
}

std::vector<float> CudaExecutable::logits() {
  return read(w_.value(plan_.ops.back().input()), evaluated_ * plan_.network.classes());
}

std::vector<StepMetrics> CudaExecutable::drain_metrics() {
  launch_pending();
  std::vector<kernels::BatchMetrics> measured(static_cast<std::size_t>(undrained_));
  w_.stream.download(measured.data(), metrics_.data(),
                     undrained_ * static_cast<std::int64_t>(sizeof(kernels::BatchMetrics)));
  std::vector<StepMetrics> all = std::move(drained_);
  drained_.clear();
  for (const kernels::BatchMetrics& m : measured) all.push_back({m.loss_sum, m.correct, m.count});
  undrained_ = 0;
  return all;
}

std::string CudaExecutable::first_non_finite(BatchRange range) {
  const std::vector<StepMetrics> before = drain_metrics();
  drained_ = before;
  begin(range, order_count_, 0);
  Program& program = compiled(range.count).program;
  const Feed from = feed(training_, order_->data());  // without `halted`: it reads and sets nothing
  program.gather(from);
  for (const auto& op : program.ops()) {
    const PlanOp& s = op->plan_op();
    for (const Parameter& p : plan_.network.parameters())
      if (p.layer >= s.first_layer && p.layer <= s.last_layer &&
          !finite(w_.parameters.data() + p.offset, p.size))
        return s.name + " (parameter " + p.name + ")";
    op->forward(Mode::training);
    if (!finite(w_.value(s.output), range.count * s.out.size())) return s.name + " (output)";
  }
  program.loss(from, Mode::inference);
  kernels::BatchMetrics metrics{};
  w_.stream.download(&metrics, metrics_.data(), sizeof metrics);
  return std::isfinite(metrics.loss_sum) ? "" : plan_.ops.back().name;
}

bool CudaExecutable::finite(const float* values, std::int64_t count) const {
  return std::ranges::all_of(read(values, count), [](float v) { return std::isfinite(v); });
}

const DeviceArray<float>& CudaExecutable::buffer(StateBuffer buffer) const {
  return buffer_of(w_, buffer);
}

std::vector<float> CudaExecutable::read(StateBuffer which) const {
  return read(buffer(which).data(), buffer(which).size());
}

void CudaExecutable::write(StateBuffer which, std::span<const float> values) {
  BNTRAIN_EXPECTS(static_cast<std::int64_t>(values.size()) == buffer(which).size());
  launch_pending();
  w_.stream.upload(buffer(which).data(), values.data(), buffer(which).bytes());
}

std::int64_t CudaExecutable::updates() const {
  launch_pending();
  std::int64_t updates = 0;
  w_.stream.download(&updates, updates_.data(), updates_.bytes());
  return updates;
}

void CudaExecutable::restart(std::int64_t updates) {
  launch_pending();
  w_.stream.upload(updates_.data(), &updates, updates_.bytes());
  w_.stream.zero(w_.halted.data(), w_.halted.bytes());
}

std::vector<float> CudaExecutable::read(const float* values, std::int64_t count) const {
  launch_pending();
  std::vector<float> copy(static_cast<std::size_t>(count));
  w_.stream.download(copy.data(), values, count * static_cast<std::int64_t>(sizeof(float)));
  return copy;
}

std::vector<float> CudaExecutable::read_value(int value, StepPass pass, std::int64_t images) const {
  BNTRAIN_EXPECTS(plan_.purpose == Purpose::inspection && images >= 0 && images <= plan_.batch_size);
  const PlanValue& v = plan_.values.at(static_cast<std::size_t>(value));
  const std::int64_t offset = pass == StepPass::forward ? v.offset : v.gradient_offset;
  BNTRAIN_EXPECTS(offset >= 0);
  return read(w_.arena.data() + offset * w_.capacity, images * v.shape.size());
}

std::string CudaExecutable::variant() const {
  return "cuda " + device_name() + (precision_ == Precision::tf32 ? ", tf32" : ", fp32") + arithmetic_version;
}

std::string CudaExecutable::report() const {
  // Nothing is given back while it lives, so this is the most that it took; other programs on the GPU count.
  const std::int64_t taken = free_before_ - free_memory();
  return taken > 0 ? "GPU memory taken: " + std::to_string(taken >> 20) + " MiB" : "";
}

}  // namespace bntrain::cuda
