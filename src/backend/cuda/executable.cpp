#include "backend/cuda/executable.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "bntrain/error.hpp"

namespace bntrain::cuda {
namespace {

// More steps than anybody lets pass between two drains; where somebody does, the step waits and drains.
constexpr std::int64_t kMetricSlots = 1024;

}  // namespace

CudaExecutable::Images::Images(const ImageSet& set, DeviceStream& stream)
    : count(set.count),
      pixels(static_cast<std::int64_t>(set.pixels.size())),
      labels(static_cast<std::int64_t>(set.labels.size())) {
  stream.upload(pixels.data(), set.pixels.data(), pixels.bytes());
  stream.upload(labels.data(), set.labels.data(), labels.bytes());
}

CudaExecutable::CudaExecutable(const Plan& plan, const Dataset& dataset, Precision precision)
    : plan_(plan),
      precision_(precision),
      w_(plan_, precision),
      train_(dataset.train, w_.stream),
      test_(dataset.test, w_.stream),
      order_(dataset.train.count),
      order_count_(dataset.train.count),
      state_(1),
      scalars_(1),
      metrics_(kMetricSlots),
      updates_(1) {
  BNTRAIN_EXPECTS(plan.batch_size > 0);
  BNTRAIN_EXPECTS(plan.network.input() == dataset.train.shape && plan.network.input() == dataset.test.shape);
  std::vector<std::int64_t> own(static_cast<std::size_t>(order_count_));
  std::iota(own.begin(), own.end(), 0);
  w_.stream.upload(order_.data(), own.data(), order_.bytes());
  w_.stream.zero(updates_.data(), updates_.bytes());
}

void CudaExecutable::set_order(std::span<const std::int64_t> order) {
  for (const std::int64_t index : order) BNTRAIN_EXPECTS(index >= 0 && index < train_.count);
  BNTRAIN_EXPECTS(static_cast<std::int64_t>(order.size()) <= train_.count);
  order_count_ = static_cast<std::int64_t>(order.size());
  w_.stream.upload(order_.data(), order.data(), static_cast<std::int64_t>(order.size_bytes()));
}

CudaExecutable::Compiled& CudaExecutable::compiled(std::int64_t batch) {
  return programs_.try_emplace(batch, w_, batch).first->second;
}

kernels::BatchState CudaExecutable::begin(BatchRange range, std::int64_t images, float gradient_scale) {
  BNTRAIN_EXPECTS(range.first >= 0 && range.count > 0 && range.count <= plan_.batch_size);
  BNTRAIN_EXPECTS(range.first + range.count <= images);
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

void CudaExecutable::run(Routine& routine, const std::function<void()>& enqueue) {
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

Feed CudaExecutable::feed(const Images& images, const std::int64_t* order) const {
  Feed result{
      .pixels = images.pixels.data(), .labels = images.labels.data(), .order = order, .state = state_.data()};
  result.output.metrics = metrics_.data();
  result.output.slots = kMetricSlots;
  return result;
}

void CudaExecutable::train_step(BatchRange range, const StepParams& params) {
  BNTRAIN_EXPECTS(plan_.training);
  const kernels::BatchState begun = begin(range, order_count_, static_cast<float>(params.gradient_scale));
  const UpdateScalars scalars{.lr = static_cast<float>(params.lr),
                              .weight_decay = static_cast<float>(params.weight_decay),
                              .momentum = static_cast<float>(params.momentum)};
  if (expected_scalars_ != scalars) {
    w_.stream.upload(scalars_.data(), &scalars, scalars_.bytes());
    expected_scalars_ = scalars;
  }
  Compiled& c = compiled(range.count);
  const bool momentum = params.momentum != 0;
  run(momentum ? c.training_with_momentum : c.training, [&] {
    Feed from = feed(train_, order_.data());
    from.output.halted = w_.halted.data();
    from.output.finite_steps = updates_.data();
    c.program.gather(from);
    c.program.forward(Mode::training);
    c.program.loss(from, Mode::training);
    c.program.backward();
    c.program.update(scalars_.data(), momentum);
  });
  finish(begun, range);
}

void CudaExecutable::eval_step(BatchRange range) {
  const kernels::BatchState begun = begin(range, test_.count, 0);
  Compiled& c = compiled(range.count);
  run(c.evaluation, [&] {
    const Feed from = feed(test_, nullptr);
    c.program.gather(from);
    c.program.forward(Mode::inference);
    c.program.loss(from, Mode::inference);
  });
  finish(begun, range);
  evaluated_ = range.count;
}

std::vector<BatchStatistics> CudaExecutable::eval_step_by_batch(BatchRange range, int first_layer) {
  const kernels::BatchState begun = begin(range, test_.count, 0);
  Program& program = compiled(range.count).program;
  const Feed from = feed(test_, nullptr);
  program.gather(from);
  for (const auto& step : program.steps())
    step->forward(step->step().first_layer >= first_layer ? Mode::training : Mode::inference);
  program.loss(from, Mode::inference);
  finish(begun, range);
  evaluated_ = range.count;

  std::vector<BatchStatistics> all;
  for (const auto& step : program.steps())
    if (step->step().norm && step->step().first_layer >= first_layer) all.push_back(read_statistics(*step));
  return all;
}

BatchStatistics CudaExecutable::read_statistics(const Step& step) const {
  const std::int64_t channels = step.norm_channels();
  const std::vector<float> mean = read(w_.statistics.data() + step.step().running_mean, channels);
  const std::vector<float> var = read(w_.statistics.data() + step.step().running_var, channels);
  BatchStatistics result{{mean.begin(), mean.end()}, {var.begin(), var.end()}};
  if (step.left_out_bias() == nullptr) return result;
  const std::vector<float> bias = read(step.left_out_bias(), channels);
  for (std::size_t c = 0; c < bias.size(); ++c) result.mean[c] += static_cast<double>(bias[c]);
  return result;
}

std::vector<float> CudaExecutable::logits() {
  return read(w_.value(plan_.steps.back().input), evaluated_ * plan_.network.classes());
}

std::vector<StepMetrics> CudaExecutable::drain_metrics() {
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
  const Feed from = feed(train_, order_.data());  // without `halted`: it reads and sets nothing
  program.gather(from);
  for (const auto& step : program.steps()) {
    const PlanStep& s = step->step();
    for (const Parameter& p : plan_.network.parameters())
      if (p.layer >= s.first_layer && p.layer <= s.last_layer &&
          !finite(w_.parameters.data() + p.offset, p.size))
        return s.name + " (parameter " + p.name + ")";
    step->forward(Mode::training);
    if (!finite(w_.value(s.output), range.count * w_.shape(s.output).size())) return s.name + " (output)";
  }
  program.loss(from, Mode::inference);
  kernels::BatchMetrics metrics{};
  w_.stream.download(&metrics, metrics_.data(), sizeof metrics);
  return std::isfinite(metrics.loss_sum) ? "" : plan_.steps.back().name;
}

bool CudaExecutable::finite(const float* values, std::int64_t count) const {
  return std::ranges::all_of(read(values, count), [](float v) { return std::isfinite(v); });
}

std::string CudaExecutable::variant() const {
  return "cuda " + device_name() + (precision_ == Precision::tf32 ? ", tf32" : ", fp32");
}

}  // namespace bntrain::cuda
