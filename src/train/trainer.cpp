#include "bntrain/trainer.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include "bntrain/error.hpp"
#include "bntrain/plan.hpp"
#include "bntrain/random.hpp"

namespace bntrain {
namespace {

// Often enough for a progress bar, seldom enough that the synchronisation costs nothing.
constexpr std::int64_t default_drain_interval = 50;
// Where log_every does not say: five looks an epoch of the reference, which cost as many more steps.
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
  BNTRAIN_EXPECTS(config.save_every >= 0 && config.patience >= 0);
  if (config.batch_size < 1 || config.batch_size > dataset.train.count) {
    throw Error(ErrorKind::usage, "batch_size",
                std::to_string(config.batch_size) + " does not fit the data set " + dataset.name +
                    ": allowed are 1 to " + std::to_string(dataset.train.count) +
                    ", the number of its training images");
  }
}

}  // namespace

const EpochResult* best_epoch(const std::vector<EpochResult>& epochs) {
  const EpochResult* best = nullptr;
  for (const EpochResult& epoch : epochs) {
    if (epoch.test.count > 0 && (best == nullptr || epoch.test.accuracy > best->test.accuracy)) best = &epoch;
  }
  return best;
}

void Trainer::compile() {
  BNTRAIN_EXPECTS(dataset_.train.count > 0 && dataset_.test.count > 0);
  if (config_.valid > 0) {
    split_ = std::make_unique<const Dataset>(hold_out(dataset_, config_.valid, config_.seed));
  }
  check_fit(config_, data());
  network_ = Network::parse(config_.network, data().train.shape, data().classes, config_.norm);
  executable_ = backend_.compile(
      make_plan(network_, config_.batch_norm, config_.batch_size, backend_.plan_options()), data());
  if (config_.record.any()) probe_ = std::make_unique<Probe>(network_, config_, data(), backend_);
}

std::int64_t Trainer::steps_per_epoch() const {
  return batches(data().train.count, config_.batch_size);
}

std::int64_t Trainer::total_steps() const {
  return config_.steps > 0 ? config_.steps : config_.epochs * steps_per_epoch();
}

std::int64_t Trainer::drain_interval() const {
  return config_.log_every > 0 ? std::min(config_.log_every, longest_drain_interval) : default_drain_interval;
}

bool Trainer::out_of_patience() const {
  const EpochResult* best = best_epoch(progress_.epochs);
  return config_.patience > 0 && best != nullptr &&
         progress_.epochs.back().epoch - best->epoch >= config_.patience;
}

bool Trainer::is_recorded(std::int64_t step) const {
  return probe_ && step % (config_.log_every > 0 ? config_.log_every : default_record_interval) == 0;
}

TrainResult Trainer::run(TrainObserver& observer, const std::atomic<bool>& stop) {
  TrainResult result;
  result.epochs = progress_.epochs;
  const auto ended = [&](TrainEnd end) {
    result.end = end;
    result.steps = progress_.steps;
    return result;
  };
  const auto diverged = [&](std::int64_t epoch, std::string layer) {
    result.divergence = Divergence{epoch, progress_.steps, config_.lr, std::move(layer)};
    return ended(TrainEnd::diverged);
  };

  // An epoch in progress is brought to its end even when no step of it is left: its evaluation is.
  while (!progress_.measured.empty() || (progress_.steps < total_steps() && !out_of_patience())) {
    if (stop) return ended(TrainEnd::interrupted);
    EpochResult part;
    part.epoch = static_cast<std::int64_t>(progress_.epochs.size());
    part.evaluated = evaluated();
    if (!train_epoch(part, observer, stop)) {
      const auto bad = static_cast<std::int64_t>(progress_.measured.size());
      const BatchRange batch = nth_batch(bad, data().train.count, config_.batch_size);
      return diverged(part.epoch, executable_->first_non_finite(batch));
    }
    part.steps = progress_.steps;
    part.train = average(progress_.measured);
    const bool interrupted = stop && progress_.steps < total_steps();
    const bool whole = static_cast<std::int64_t>(progress_.measured.size()) == steps_per_epoch();
    if (interrupted || !whole) observer.on_checkpoint(*this);
    if (!interrupted) {
      const auto eval_start = Clock::now();
      part.test = evaluate(*executable_, data().test);
      part.eval_seconds = seconds_since(eval_start);
    }
    result.epochs.push_back(part);
    observer.on_epoch(part);
    if (interrupted) return ended(TrainEnd::interrupted);
    // The update after the last finite loss may have left the finite numbers. No further step of this epoch
    // would tell, and after the last epoch nothing would.
    if (!std::isfinite(part.test.loss)) {
      const BatchRange batch = nth_batch(0, data().train.count, config_.batch_size);
      const std::string layer = executable_->first_non_finite(batch);
      if (!layer.empty()) return diverged(part.epoch, layer);
    }
    if (config_.valid > 0 && best_epoch(result.epochs) == &result.epochs.back()) {
      best_ = executable_->save();
      observer.on_best(part, best_);
    }
    if (!whole)
      break;  // the number of steps ends here; a run that goes on from the checkpoint finishes the epoch
    progress_.epochs.push_back(part);
    progress_.measured.clear();
    progress_.train_seconds = 0;
    observer.on_checkpoint(*this);
  }
  result.out_of_patience = out_of_patience();
  if (!best_.tensors.empty()) result.final_test = test_best_epoch();
  return ended(TrainEnd::finished);
}

bool Trainer::train_epoch(EpochResult& part, TrainObserver& observer, const std::atomic<bool>& stop) {
  const auto start = Clock::now();
  const double seconds_before = progress_.train_seconds;  // of this epoch, in the run that was resumed
  double finished_seconds = 0;
  for (const EpochResult& epoch : progress_.epochs) finished_seconds += epoch.train_seconds;
  double other_seconds = 0;
  // Evaluations, looks and checkpoints are not training. Every step before them was drained, so that nothing
  // is waited for but they. Returns the seconds.
  const auto apart = [&](const auto& action) {
    const auto begin = Clock::now();
    action();
    const double seconds = seconds_since(begin);
    other_seconds += seconds;
    return seconds;
  };
  const auto update_seconds = [&] {
    progress_.train_seconds = seconds_before + seconds_since(start) - other_seconds;
  };

  const std::vector<std::int64_t> order =
      epoch_order(data().train.count, config_.seed, part.epoch, config_.shuffle);
  executable_->set_order(order);
  if (probe_) probe_->set_order(order);
  const StepParams params{config_.lr, config_.momentum, config_.weight_decay,
                          1.0 / static_cast<double>(config_.batch_size)};
  const std::int64_t first_step = part.epoch * steps_per_epoch();
  const std::int64_t steps = std::min(steps_per_epoch(), total_steps() - first_step);
  const auto is_due = [&](std::int64_t step, std::int64_t interval) {
    return step > 0 && step < steps && interval > 0 && (first_step + step) % interval == 0;
  };
  const auto evaluate_if_due = [&](std::int64_t step) {
    if (!is_due(step, config_.eval_every)) return;
    Evaluation evaluation;
    evaluation.epoch = part.epoch;
    evaluation.steps = progress_.steps;
    evaluation.evaluated = evaluated();
    update_seconds();
    evaluation.train_seconds = finished_seconds + progress_.train_seconds;
    evaluation.eval_seconds = apart([&] { evaluation.test = evaluate(*executable_, data().test); });
    observer.on_evaluation(evaluation);
  };

  auto step = static_cast<std::int64_t>(progress_.measured.size());
  evaluate_if_due(step);  // a checkpoint is made before the evaluation of its step
  for (bool last = step == steps; !last;) {
    const BatchRange batch = nth_batch(step, data().train.count, config_.batch_size);
    if (is_recorded(first_step + step)) {
      apart([&] {
        observer.on_record(
            probe_->look(first_step + step, executable_->save(), batch, params.gradient_scale));
      });
    }
    executable_->train_step(batch, params);
    ++step;
    last = step == steps || stop;
    // Before a look as well: after a loss that is not finite there is nothing new to see.
    const bool drains = last || step % drain_interval() == 0 || is_due(step, config_.eval_every) ||
                        is_due(step, config_.save_every) || is_recorded(first_step + step);
    if (!drains) continue;
    const bool finite = drain(part.epoch, observer);
    update_seconds();
    if (!finite) break;
    BNTRAIN_EXPECTS(static_cast<std::int64_t>(progress_.measured.size()) == step);
    if (last) break;
    if (is_due(step, config_.save_every)) apart([&] { observer.on_checkpoint(*this); });
    evaluate_if_due(step);
  }
  part.train_seconds = progress_.train_seconds;
  return static_cast<std::int64_t>(progress_.measured.size()) == step;
}

bool Trainer::drain(std::int64_t epoch, TrainObserver& observer) {
  std::vector<StepMetrics> drained = executable_->drain_metrics();
  const auto bad = std::find_if(drained.begin(), drained.end(),
                                [](const StepMetrics& metrics) { return !std::isfinite(metrics.loss_sum); });
  const auto finite = bad - drained.begin();
  const bool diverged = bad != drained.end();
  if (diverged) drained.erase(bad + 1, drained.end());
  observer.on_steps(epoch, progress_.steps, drained);
  progress_.measured.insert(progress_.measured.end(), drained.begin(), drained.begin() + finite);
  progress_.steps += finite;
  return !diverged;
}

AverageMetrics Trainer::evaluate(Executable& executable, const ImageSet& images) const {
  const std::int64_t steps = batches(images.count, config_.batch_size);
  std::vector<StepMetrics> measured;
  for (std::int64_t step = 0; step < steps; ++step) {
    executable.eval_step(nth_batch(step, images.count, config_.batch_size));
    if (step + 1 < steps && (step + 1) % longest_drain_interval != 0) continue;
    const std::vector<StepMetrics> drained = executable.drain_metrics();
    measured.insert(measured.end(), drained.begin(), drained.end());
  }
  BNTRAIN_EXPECTS(static_cast<std::int64_t>(measured.size()) == steps);
  return average(measured);
}

AverageMetrics Trainer::test_best_epoch() {
  PlanOptions options = backend_.plan_options();
  options.training = false;
  const auto executable =
      backend_.compile(make_plan(network_, config_.batch_norm, config_.batch_size, options), dataset_);
  executable->load(best_);
  return evaluate(*executable, dataset_.test);
}

}  // namespace bntrain
