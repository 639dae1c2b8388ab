#include "bntrain/train.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "backend/executable.hpp"
#include "backend/state.hpp"
#include "bntrain/error.hpp"
#include "bntrain/optimizer.hpp"
#include "core/random.hpp"
#include "train/agenda.hpp"
#include "train/evaluation_loop.hpp"
#include "train/probe.hpp"
#include "train/training_clock.hpp"

namespace bntrain {
namespace {

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

PlanRequest training_plan(const TrainConfig& config, const Network& network) {
  return {.network = network,
          .batch_norm = config.batch_norm,
          .batch_size = config.batch_size,
          .update = update_rule(config.optimizer),
          .decay_weights_only = config.optimizer.decay_weights_only};
}

}  // namespace

std::int64_t memory_bytes(const TrainConfig& config, const Network& network, Backend& backend) {
  return backend.memory_bytes(training_plan(config, network));
}

void Trainer::compile() {
  BNTRAIN_EXPECTS(dataset_.train.count > 0 && (dataset_.test.count > 0 || config_.valid > 0));
  if (config_.valid > 0) {
    split_ = std::make_unique<const Dataset>(hold_out(dataset_, config_.valid, config_.seed));
  }
  check_fit(config_, data());
  network_ = Network::parse(config_.network, data().train.shape, data().classes, config_.norm,
                            config_.normalization);
  executable_ = backend_.compile(training_plan(config_, network_));
  schedule_.emplace(config_.schedule, config_.optimizer.lr, total_steps(), steps_per_epoch());
  if (config_.schedule.warmup > schedule_->steps()) {
    throw Error(ErrorKind::usage, "warmup",
                std::to_string(config_.schedule.warmup) +
                    " steps are more than the schedule has: " + std::to_string(schedule_->steps()));
  }
  executable_->bind_training_images(data().train);
  executable_->bind_evaluation_images(data().test);
  if (config_.record.any()) probe_ = std::make_unique<Probe>(network_, config_, data(), backend_);
}

std::int64_t Trainer::steps_per_epoch() const {
  return batches(data().train.count, config_.batch_size);
}

std::int64_t Trainer::total_steps() const {
  return Agenda(config_, steps_per_epoch()).total_steps();
}

bool Trainer::out_of_patience() const {
  const auto& [count, seconds, best, last] = progress_.epochs;
  return config_.patience > 0 && best && last->epoch - best->epoch >= config_.patience;
}

TrainResult Trainer::run(TrainObserver& observer, const std::atomic<bool>& stop) {
  TrainResult result;
  result.history = progress_.epochs;
  result.end = run_epochs(result, observer, stop);
  result.steps = progress_.steps;
  return result;
}

TrainEnd Trainer::run_epochs(TrainResult& result, TrainObserver& observer, const std::atomic<bool>& stop) {
  // An epoch in progress is finished even when no step of it is left: its evaluation is.
  while (!progress_.measured.empty() || (progress_.steps < total_steps() && !out_of_patience())) {
    if (stop) return TrainEnd::interrupted;
    EpochResult epoch;
    epoch.epoch = progress_.epochs.count;
    epoch.evaluated = evaluated();
    if (!train_epoch(epoch.epoch, observer, stop)) {
      result.divergence = divergence(static_cast<std::int64_t>(progress_.measured.size()));
      return TrainEnd::diverged;
    }
    epoch.steps = progress_.steps;
    epoch.train = average(progress_.measured);
    epoch.train_seconds = progress_.train_seconds;
    const bool interrupted = stop && progress_.steps < total_steps();
    const bool whole = static_cast<std::int64_t>(progress_.measured.size()) == steps_per_epoch();
    if (interrupted || !whole) observer.on_checkpoint(*this);
    if (!interrupted) {
      std::vector<float> logits;
      const bool wanted = observer.wants_answers();
      epoch.eval_seconds =
          TrainingClock().pause_for([&] { epoch.test = evaluate(wanted ? &logits : nullptr); });
      if (wanted) observer.on_answers(*this, epoch, logits);
    }
    result.epochs.push_back(epoch);
    result.history.add(epoch);
    observer.on_epoch(epoch);
    if (interrupted) return TrainEnd::interrupted;
    // The update after the last finite loss may have diverged. No further step of this epoch would tell, and
    // after the last epoch nothing would. Running statistics never become finite again.
    if (!std::isfinite(epoch.test.loss)) {
      result.divergence = divergence(0);
      const ModelState state = save();
      const Tensor* found = first_non_finite(state);
      if (result.divergence->layer.empty() && found != nullptr) result.divergence->layer = found->name;
      return TrainEnd::diverged;
    }
    if (config_.valid > 0 && result.history.best->epoch == epoch.epoch) {
      best_ = save();
      observer.on_best(epoch, best_);
    }
    if (!whole) break;  // the run ends here; one that continues from the checkpoint finishes the epoch
    progress_.epochs.add(epoch);
    progress_.measured.clear();
    progress_.train_seconds = 0;
    observer.on_checkpoint(*this);
  }
  result.out_of_patience = out_of_patience();
  if (!best_.tensors.empty() && dataset_.test.count > 0) result.final_test = test_best_epoch();
  // A network that trains and yet cannot be evaluated with its running statistics is no result.
  const std::optional<EpochResult>& last = result.history.last;
  const bool evaluated = (!last || std::isfinite(last->test.loss)) && std::isfinite(result.final_test.loss);
  if (evaluated) return TrainEnd::finished;
  result.divergence = {
      .epoch = last->epoch, .step = progress_.steps, .lr = schedule_->lr(progress_.steps), .layer = ""};
  return TrainEnd::diverged;
}

bool Trainer::train_epoch(std::int64_t epoch, TrainObserver& observer, const std::atomic<bool>& stop) {
  const Agenda agenda(config_, steps_per_epoch());
  TrainingClock clock(progress_.train_seconds);
  set_order(epoch);
  std::int64_t made = progress_.steps;
  const std::int64_t end = agenda.end_of_epoch(epoch);
  std::int64_t prepared = made;
  Due due = agenda.after(made);
  // A checkpoint is made before the evaluation of its step.
  if (made < end && due.evaluation) evaluate_within(epoch, clock, observer);
  while (made < end) {
    const BatchRange batch = nth_batch(made % steps_per_epoch(), data().train.count, config_.batch_size);
    if (due.record) {
      clock.pause_for(
          [&] { observer.on_record(probe_->look(made, save(), batch, params_of(made).gradient_scale)); });
    }
    if (prepared <= made) prepared = prepare(agenda, made, end);
    executable_->train_step(batch, params_of(made));
    due = agenda.after(++made);
    const bool last = made == end || stop;
    if (!last && !due.drain) continue;
    const bool finite = drain(epoch, observer);
    progress_.train_seconds = clock.seconds();
    if (!finite) return false;
    BNTRAIN_EXPECTS(progress_.steps == made);
    if (last) break;
    if (due.checkpoint) clock.pause_for([&] { observer.on_checkpoint(*this); });
    if (due.evaluation) evaluate_within(epoch, clock, observer);
  }
  return true;
}

StepParams Trainer::params_of(std::int64_t step) const {
  return {update_scalars(config_.optimizer, schedule_->lr(step), step),
          1.0 / static_cast<double>(config_.batch_size)};
}

std::int64_t Trainer::prepare(const Agenda& agenda, std::int64_t made, std::int64_t end) {
  std::vector<StepParams> next;
  do {
    next.push_back(params_of(made++));
  } while (made < end && !agenda.after(made).drain);
  executable_->prepare(next);
  return made;
}

void Trainer::set_order(std::int64_t epoch) {
  const std::vector<std::int64_t> order =
      epoch_order(data().train.count, config_.seed, epoch, config_.shuffle);
  executable_->set_order(order);
  if (probe_) probe_->set_order(order);
}

bool Trainer::drain(std::int64_t epoch, TrainObserver& observer) {
  std::vector<StepMetrics> drained = executable_->drain_metrics();
  const auto bad = std::find_if(drained.begin(), drained.end(),
                                [](const StepMetrics& metrics) { return !std::isfinite(metrics.loss_sum); });
  const auto finite = bad - drained.begin();
  const bool diverged = bad != drained.end();
  if (diverged) drained.erase(bad + 1, drained.end());
  for (std::size_t i = 0; i < drained.size(); ++i)
    drained[i].lr = schedule_->lr(progress_.steps + static_cast<std::int64_t>(i));
  observer.on_steps(epoch, progress_.steps, drained);
  progress_.measured.insert(progress_.measured.end(), drained.begin(), drained.begin() + finite);
  progress_.steps += finite;
  return !diverged;
}

Divergence Trainer::divergence(std::int64_t batch) {
  const BatchRange range = nth_batch(batch, data().train.count, config_.batch_size);
  return {progress_.epochs.count, progress_.steps, schedule_->lr(progress_.steps),
          executable_->diagnostics().first_non_finite(range)};
}

AverageMetrics Trainer::evaluate(std::vector<float>* logits) {
  return evaluate_batches(*executable_, data().test.count, config_.batch_size, [&](BatchRange range) {
    executable_->eval_step(range);
    if (logits == nullptr) return;
    const std::vector<float> answers = executable_->logits();
    logits->insert(logits->end(), answers.begin(), answers.end());
  });
}

void Trainer::evaluate_within(std::int64_t epoch, TrainingClock& clock, TrainObserver& observer) {
  Evaluation evaluation;
  evaluation.epoch = epoch;
  evaluation.steps = progress_.steps;
  evaluation.evaluated = evaluated();
  evaluation.train_seconds = progress_.epochs.train_seconds + clock.seconds();
  evaluation.eval_seconds = clock.pause_for([&] { evaluation.test = evaluate(); });
  observer.on_evaluation(evaluation);
}

AverageMetrics Trainer::test_best_epoch() {
  const auto executable =
      backend_.compile({network_, config_.batch_norm, config_.batch_size, Purpose::inference});
  executable->bind_evaluation_images(dataset_.test);
  load_state(*executable, best_);
  return evaluate_batches(*executable, dataset_.test.count, config_.batch_size);
}

}  // namespace bntrain
