// The experiment and the training loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bntrain/backend.hpp"
#include "bntrain/dataset.hpp"
#include "bntrain/metrics.hpp"
#include "bntrain/model_file.hpp"
#include "bntrain/network.hpp"
#include "bntrain/optimizer.hpp"

namespace bntrain {

/// What a Probe records of the network while it trains; see probe.hpp.
struct RecordOptions {
  bool norms = false;        ///< batch norms: inputs, statistics, gradients
  bool activations = false;  ///< the inputs of the activation layers
  bool histograms = false;   ///< of those inputs, too

  bool any() const { return norms || activations; }
};

/// Every default is the reference experiment's value.
struct TrainConfig {
  std::string network = "lenet-bn";  ///< see Network::parse()
  Norm norm = Norm::batch;
  Init init = Init::tutorial;
  BatchNormOptions batch_norm;
  Normalization normalization;  ///< of the images
  std::int64_t epochs = 5;
  std::int64_t batch_size = 256;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;  ///< of optimizer.lr
  std::uint64_t seed = 0;
  bool shuffle = true;
  std::int64_t steps = 0;  ///< end after that many steps; 0 = after `epochs`
  /// This share of the training images is held out from training and takes the test set's place in every
  /// evaluation; the test set is evaluated once, at the end. 0 = none is.
  double valid = 0.0;
  /// With `valid`: end after that many epochs without a better accuracy; 0 = never.
  std::int64_t patience = 0;

  // when a TrainObserver is told; none of these changes what a step computes
  std::int64_t log_every = 0;  ///< of the metrics of steps: every so many; 0 = at intervals that cost nothing
  std::int64_t eval_every = 0;  ///< evaluate every so many steps too; 0 = only after epochs
  std::int64_t save_every = 0;  ///< make checkpoints every so many steps too; 0 = only after epochs
  RecordOptions record;         ///< every `log_every` steps, or every 50 where that is 0
};

class Agenda;
class Executable;
class Probe;
struct StepParams;
struct StepRecord;

/// An evaluation within an epoch, as `eval_every` asks for it.
struct Evaluation {
  std::int64_t epoch = 0;  ///< from 0
  std::int64_t steps = 0;  ///< updates since the start of the run
  AverageMetrics test;     ///< running statistics, all of `evaluated`
  EvaluatedSet evaluated = EvaluatedSet::test;
  double train_seconds = 0;  ///< of training since the start of the run, evaluations left out
  double eval_seconds = 0;
};

/// Where and why training diverged: non-finite loss.
struct Divergence {
  std::int64_t epoch = 0;
  std::int64_t step = 0;  ///< from 0, the first step whose loss was not finite
  double lr = 0;
  /// The first op that is not finite, from Executable::first_non_finite(), else the first such tensor; "":
  /// none.
  std::string layer;
};

enum class TrainEnd { finished, interrupted, diverged };

/// What Backend::memory_bytes() says of the training step of that run. `network` is config.network's.
std::int64_t memory_bytes(const TrainConfig& config, const Network& network, Backend& backend);

struct TrainResult {
  TrainEnd end = TrainEnd::finished;
  std::vector<EpochResult> epochs;  ///< of this process; those before the checkpoint are only in `history`
  EpochHistory history;             ///< of the whole run
  std::int64_t steps = 0;
  std::optional<Divergence> divergence;
  bool out_of_patience = false;  ///< finished because of config.patience
  AverageMetrics final_test;  ///< with validation, when finished: the test set, if there is one, by the best
                              ///< epoch's weights
};

class Trainer;
class TrainingClock;

/// Receives what happens, in order. The trainer itself prints nothing.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  /// Steps drained together: the first one's number (from 0) and their metrics. Called at least once an
  /// epoch. The last call of a run that diverged ends with the step whose loss is not finite.
  virtual void on_steps(std::int64_t /*epoch*/, std::int64_t /*first_step*/,
                        const std::vector<StepMetrics>&) {}
  /// Never at the end of an epoch: that evaluation is on_epoch()'s.
  virtual void on_evaluation(const Evaluation&) {}
  /// Of a step that config.record asks for, once all earlier steps were reported.
  virtual void on_record(const StepRecord&) {}
  /// Whether on_answers() is of any use.
  virtual bool wants_answers() const { return false; }
  /// Before on_epoch(): what the evaluation of that epoch answered, logits [image][class] of
  /// trainer.data().test.
  virtual void on_answers(const Trainer& /*trainer*/, const EpochResult&,
                          const std::vector<float>& /*logits*/) {}
  virtual void on_epoch(const EpochResult&) {}
  /// With validation: this epoch is the best so far, and this its model.
  virtual void on_best(const EpochResult&, const ModelState&) {}
  /// A run that starts from trainer.checkpoint() as it is now continues as this one will. Every `save_every`
  /// steps, after every epoch, and when the run ends inside one; everything before it has been reported.
  virtual void on_checkpoint(const Trainer& /*trainer*/) {}
};

/// A compiled run: data, network, plan and executable of one TrainConfig.
class Trainer {
 public:
  /// Compiles, and begins with config.init. Throws Error(usage) where configuration and data do not fit
  /// together, Error(runtime) from the backend. `dataset` and `backend` must outlive the trainer.
  Trainer(const TrainConfig& config, const Dataset& dataset, Backend& backend);
  /// Begins with these values, such as those of load_model(), in place of config.init. Throws Error(data)
  /// where they are not those of the network.
  Trainer(const TrainConfig& config, const Dataset& dataset, Backend& backend, const ModelState& initial);
  /// Continues where `from` was made: on the same backend bit for bit as if it had never been interrupted.
  /// Ignores config.init. Throws Error(data) where the checkpoint does not fit the configuration or the data.
  Trainer(const TrainConfig& config, const Dataset& dataset, Backend& backend, const Checkpoint& from);

  ~Trainer();

  /// The data set, or with validation its split: trained on `train`, evaluated on `test`.
  const Dataset& data() const { return split_ ? *split_ : dataset_; }
  const TrainConfig& config() const { return config_; }
  const Network& network() const { return network_; }
  /// Names what the bits depend on: "cpu x86-64-v4 (16 lanes)", or "(one image a group)" in small batches.
  std::string variant() const;
  /// One line for people about the steps so far; "" when there is nothing to say.
  std::string report() const;
  Executable& executable() { return *executable_; }
  std::int64_t memory_bytes() const { return bntrain::memory_bytes(config_, network_, backend_); }
  std::int64_t steps_per_epoch() const;
  const Schedule& schedule() const { return *schedule_; }
  /// Steps of the whole run, `config.steps` respected.
  std::int64_t total_steps() const;

  /// Runs the epochs; returns early, after the current step, once `stop` is true. May be called once.
  TrainResult run(TrainObserver& observer, const std::atomic<bool>& stop);

  /// The state between two steps: before run(), or in TrainObserver::on_checkpoint().
  Checkpoint checkpoint() const;

  /// The model as it is now, for save_model(). Its metadata say how it was trained: data set, config.init,
  /// seed, steps, conventions of its batch norms.
  Model model() const;
  ModelState save() const;
  ModelState save_gradients() const;

 private:
  /// Splits, parses and compiles; the executable has no state yet.
  void compile();
  void check_resumable(const Checkpoint& from) const;
  EvaluatedSet evaluated() const { return config_.valid > 0 ? EvaluatedSet::validation : EvaluatedSet::test; }
  bool out_of_patience() const;

  TrainEnd run_epochs(TrainResult& result, TrainObserver& observer, const std::atomic<bool>& stop);
  /// Trains that epoch from where it is. False when a loss was not finite: that of step `progress_.steps`.
  bool train_epoch(std::int64_t epoch, TrainObserver& observer, const std::atomic<bool>& stop);
  void set_order(std::int64_t epoch);
  /// Of that step, from 0 since the start of the run.
  StepParams params_of(std::int64_t step) const;
  /// Hands the device what it will be given until the next drain; returns the step behind that.
  std::int64_t prepare(const Agenda& agenda, std::int64_t made, std::int64_t end);
  /// False when one of the new steps diverged.
  bool drain(std::int64_t epoch, TrainObserver& observer);
  /// With the first layer that is not finite on that batch of the epoch.
  Divergence divergence(std::int64_t batch);
  /// `logits`, where it is not null, receives those of every image.
  AverageMetrics evaluate(std::vector<float>* logits = nullptr);
  void evaluate_within(std::int64_t epoch, TrainingClock& clock, TrainObserver& observer);
  AverageMetrics test_best_epoch();

  TrainConfig config_;
  const Dataset& dataset_;
  Backend& backend_;
  std::unique_ptr<const Dataset> split_;  ///< with validation; its address must last
  Network network_;
  std::unique_ptr<Executable> executable_;
  std::optional<Schedule> schedule_;
  TrainProgress progress_;
  ModelState best_;               ///< with validation: the model after the best epoch
  std::unique_ptr<Probe> probe_;  ///< null: nothing is recorded
};

}  // namespace bntrain
