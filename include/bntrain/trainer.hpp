// The training loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bntrain/backend.hpp"
#include "bntrain/config.hpp"
#include "bntrain/dataset.hpp"
#include "bntrain/metrics.hpp"
#include "bntrain/probe.hpp"

namespace bntrain {

/// One finished epoch, or the part of it that was run.
struct EpochResult {
  std::int64_t epoch = 0;  ///< from 0
  std::int64_t steps = 0;  ///< updates since the start of the run
  AverageMetrics train;    ///< running averages while the epoch trained, before each update
  AverageMetrics test;  ///< running statistics, after the epoch, the whole test set; zeros when interrupted
  double train_seconds = 0;  ///< without evaluations and looks within the epoch
  double eval_seconds = 0;
};

/// The test set within an epoch, as `eval_every` asks for it.
struct Evaluation {
  std::int64_t epoch = 0;    ///< from 0
  std::int64_t steps = 0;    ///< updates since the start of the run
  AverageMetrics test;       ///< running statistics, the whole test set
  double train_seconds = 0;  ///< of training since the start of the run, evaluations left out
  double eval_seconds = 0;
};

/// Where and why training left the finite numbers.
struct Divergence {
  std::int64_t epoch = 0;
  std::int64_t step = 0;  ///< from 0, the first step whose loss was not finite
  double lr = 0;
  std::string layer;  ///< the first step of the plan that is not finite, from Executable::first_non_finite()
};

enum class TrainEnd { finished, interrupted, diverged };

struct TrainResult {
  TrainEnd end = TrainEnd::finished;
  std::vector<EpochResult> epochs;
  std::int64_t steps = 0;
  std::optional<Divergence> divergence;
};

/// Is told what happens, in order. The trainer itself prints nothing.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  /// Steps drained together: the first one's number (from 0) and their metrics. Called at least once an
  /// epoch. The last call of a run that diverged ends with the step whose loss is not finite.
  virtual void on_steps(std::int64_t /*epoch*/, std::int64_t /*first_step*/,
                        const std::vector<StepMetrics>&) {}
  /// Never at the end of an epoch: that evaluation is on_epoch()'s.
  virtual void on_evaluation(const Evaluation&) {}
  /// A step that config.record asks to look at, once all earlier steps were told.
  virtual void on_record(const StepRecord&) {}
  virtual void on_epoch(const EpochResult&) {}
};

/// A compiled run: data, network, plan and executable of one TrainConfig.
class Trainer {
 public:
  /// Loads initial values (init or init_from) and compiles. Throws Error(usage) where configuration and data
  /// do not fit together, Error(data) for a bad init_from file, Error(runtime) from the backend. `dataset`
  /// and `backend` must outlive the trainer.
  Trainer(const TrainConfig& config, const Dataset& dataset, Backend& backend);

  const Network& network() const { return network_; }
  /// What the user should know about the initial values; usually nothing.
  const std::vector<std::string>& notes() const { return notes_; }
  const Executable& executable() const { return *executable_; }
  Executable& executable() { return *executable_; }
  std::int64_t steps_per_epoch() const;
  /// Steps of the whole run, `config.steps` respected.
  std::int64_t total_steps() const;

  /// Runs the epochs; returns early, after the current step, once `stop` is true. May be called once.
  TrainResult run(TrainObserver& observer, const std::atomic<bool>& stop);

  ModelState save() const { return executable_->save(); }
  ModelState save_gradients() const { return executable_->save_gradients(); }

 private:
  std::int64_t drain_interval() const;
  /// Whether that step (from 0 since the start of the run) is looked at.
  bool is_recorded(std::int64_t step) const;
  /// Trains epoch `part.epoch` from step `first_step` on, fills `part.train_seconds`, returns the metrics of
  /// the steps that were run; the last one is not finite when the epoch diverged.
  std::vector<StepMetrics> train_epoch(EpochResult& part, std::int64_t first_step, TrainObserver& observer,
                                       const std::atomic<bool>& stop);
  AverageMetrics evaluate();

  TrainConfig config_;
  const Dataset& dataset_;
  Network network_;
  std::vector<std::string> notes_;
  std::unique_ptr<Executable> executable_;
  double train_seconds_ = 0;  ///< of the finished epochs
  std::unique_ptr<Probe> probe_;  ///< null: nothing is recorded
};

}  // namespace bntrain
