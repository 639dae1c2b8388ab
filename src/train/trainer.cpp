#include "bntrain/trainer.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include "bntrain/error.hpp"
#include "bntrain/plan.hpp"
#include "bntrain/random.hpp"
#include "train/starting_state.hpp"

namespace bntrain {
namespace {

// Often enough for a progress bar, seldom enough that the synchronisation costs nothing.
constexpr std::int64_t default_drain_interval = 50;
// Where --log-every does not say: five looks an epoch of the reference, which cost as many more steps.
constexpr std::int64_t default_record_interval = 50;
// A backend keeps the metrics of undrained steps, so their number must have a bound.
constexpr std::int64_t longest_drain_interval = 1000;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::int64_t batches(std::int64_t images, std::int64_t batch_size) {
  return (images + batch_size - 1) / batch_size;
}

BatchRange nth_batch(std::int64_t index, std::int64_t images, std::int64_t batch_size) {
  const std::int64_t first = index * batch_size;
  return {first, std::min(batch_size, images - first)};
}

void check_fit(const TrainConfig& config, const Dataset& dataset) {
  BNTRAIN_EXPECTS(config.epochs >= 0 && config.steps >= 0 && config.log_every >= 0 && config.eval_every >= 0);
  BNTRAIN_EXPECTS(dataset.train.count > 0 && dataset.test.count > 0);
  if (config.batch_size < 1 || config.batch_size > dataset.train.count) {
    throw Error(ErrorKind::usage, "--batch-size " + std::to_string(config.batch_size) +
                                      " does not fit the data set " + dataset.name + ": allowed are 1 to " +
                                      std::to_string(dataset.train.count) +
                                      ", the number of its training images");
  }
}

}  // namespace

Trainer::Trainer(const TrainConfig& config, const Dataset& dataset, Backend& backend)
    : config_(config), dataset_(dataset) {
  check_fit(config, dataset);
  network_ = Network::parse(config.network, dataset.train.shape, dataset.classes, config.norm);
  const ModelState state = starting_state(config, network_, notes_);
  const Plan plan = make_plan(network_, config.batch_norm, config.batch_size, backend.plan_options());
  executable_ = backend.compile(plan, dataset);
  executable_->load(state);
  if (config.record.any()) probe_ = std::make_unique<Probe>(network_, config, dataset, backend);
}

std::int64_t Trainer::steps_per_epoch() const {
  return batches(dataset_.train.count, config_.batch_size);
}

std::int64_t Trainer::total_steps() const {
  return config_.steps > 0 ? config_.steps : config_.epochs * steps_per_epoch();
}

std::int64_t Trainer::drain_interval() const {
  return config_.log_every > 0 ? std::min(config_.log_every, longest_drain_interval) : default_drain_interval;
}

bool Trainer::is_recorded(std::int64_t step) const {
  return probe_ && step % (config_.log_every > 0 ? config_.log_every : default_record_interval) == 0;
}

TrainResult Trainer::run(TrainObserver& observer, const std::atomic<bool>& stop) {
  TrainResult result;
  const auto diverged_at = [&](std::int64_t epoch, std::int64_t step, std::string layer) {
    result.end = TrainEnd::diverged;
    result.steps = step;
    result.divergence = Divergence{epoch, step, config_.lr, std::move(layer)};
    return result;
  };

  for (std::int64_t epoch = 0; result.steps < total_steps(); ++epoch) {
    if (stop) {
      result.end = TrainEnd::interrupted;
      return result;
    }
    const std::int64_t first_step = result.steps;
    EpochResult part;
    part.epoch = epoch;
    const std::vector<StepMetrics> steps = train_epoch(part, first_step, observer, stop);
    train_seconds_ += part.train_seconds;
    if (!std::isfinite(steps.back().loss_sum)) {
      const auto bad = static_cast<std::int64_t>(steps.size()) - 1;
      const BatchRange batch = nth_batch(bad, dataset_.train.count, config_.batch_size);
      return diverged_at(epoch, first_step + bad, executable_->first_non_finite(batch));
    }
    result.steps += static_cast<std::int64_t>(steps.size());
    part.steps = result.steps;
    part.train = average(steps);
    const bool interrupted = stop && result.steps < total_steps();
    if (!interrupted) {
      const auto eval_start = Clock::now();
      part.test = evaluate();
      part.eval_seconds = seconds_since(eval_start);
    }
    result.epochs.push_back(part);
    observer.on_epoch(part);
    if (interrupted) {
      result.end = TrainEnd::interrupted;
      return result;
    }
    // The update after the last finite loss may have left the finite numbers. No further step of this epoch
    // would tell, and after the last epoch nothing would.
    if (!std::isfinite(part.test.loss)) {
      const BatchRange batch = nth_batch(0, dataset_.train.count, config_.batch_size);
      const std::string layer = executable_->first_non_finite(batch);
      if (!layer.empty()) return diverged_at(epoch, result.steps, layer);
    }
  }
  return result;
}

std::vector<StepMetrics> Trainer::train_epoch(EpochResult& part, std::int64_t first_step,
                                              TrainObserver& observer, const std::atomic<bool>& stop) {
  const auto start = Clock::now();
  double other_seconds = 0;  // evaluations and looks, which are not training
  const std::vector<std::int64_t> order =
      epoch_order(dataset_.train.count, config_.seed, part.epoch, config_.shuffle);
  executable_->set_order(order);
  if (probe_) probe_->set_order(order);
  const StepParams params{config_.lr, config_.momentum, config_.weight_decay,
                          1.0 / static_cast<double>(config_.batch_size)};
  const std::int64_t steps = std::min(steps_per_epoch(), total_steps() - first_step);
  std::vector<StepMetrics> measured;
  for (std::int64_t step = 0; step < steps; ++step) {
    const BatchRange batch = nth_batch(step, dataset_.train.count, config_.batch_size);
    if (is_recorded(first_step + step)) {
      // All steps before this one were drained, so that nothing is waited for but the look.
      const auto look_start = Clock::now();
      observer.on_record(probe_->look(first_step + step, executable_->save(), batch, params.gradient_scale));
      other_seconds += seconds_since(look_start);
    }
    executable_->train_step(batch, params);
    const bool last = step + 1 == steps || stop;
    const bool evaluates =
        !last && config_.eval_every > 0 && (first_step + step + 1) % config_.eval_every == 0;
    // Before a look as well: after a loss that is not finite there is nothing new to see.
    const bool looks = is_recorded(first_step + step + 1);
    if (!last && !evaluates && !looks && (step + 1) % drain_interval() != 0) continue;

    std::vector<StepMetrics> drained = executable_->drain_metrics();
    const auto bad = std::find_if(drained.begin(), drained.end(), [](const StepMetrics& metrics) {
      return !std::isfinite(metrics.loss_sum);
    });
    const bool diverged = bad != drained.end();
    if (diverged) drained.erase(bad + 1, drained.end());
    observer.on_steps(part.epoch, first_step + static_cast<std::int64_t>(measured.size()), drained);
    measured.insert(measured.end(), drained.begin(), drained.end());
    if (diverged) break;
    BNTRAIN_EXPECTS(static_cast<std::int64_t>(measured.size()) == step + 1);
    if (last) break;
    if (!evaluates) continue;
    // The drain above waited for the steps, so that what follows is the evaluation's time alone.
    Evaluation evaluation;
    evaluation.epoch = part.epoch;
    evaluation.steps = first_step + step + 1;
    evaluation.train_seconds = train_seconds_ + seconds_since(start) - other_seconds;
    const auto eval_start = Clock::now();
    evaluation.test = evaluate();
    evaluation.eval_seconds = seconds_since(eval_start);
    other_seconds += evaluation.eval_seconds;
    observer.on_evaluation(evaluation);
  }
  part.train_seconds = seconds_since(start) - other_seconds;
  return measured;
}

AverageMetrics Trainer::evaluate() {
  const std::int64_t steps = batches(dataset_.test.count, config_.batch_size);
  std::vector<StepMetrics> measured;
  for (std::int64_t step = 0; step < steps; ++step) {
    executable_->eval_step(nth_batch(step, dataset_.test.count, config_.batch_size));
    if (step + 1 < steps && (step + 1) % longest_drain_interval != 0) continue;
    const std::vector<StepMetrics> drained = executable_->drain_metrics();
    measured.insert(measured.end(), drained.begin(), drained.end());
  }
  BNTRAIN_EXPECTS(static_cast<std::int64_t>(measured.size()) == steps);
  return average(measured);
}

}  // namespace bntrain
