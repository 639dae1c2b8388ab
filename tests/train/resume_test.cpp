// A run that goes on from a checkpoint is the run that never stopped, bit for bit, wherever it stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <string>
#include <tuple>
#include <vector>

#include "bntrain/model_file.hpp"
#include "bntrain/train.hpp"
#include "support/error_message.hpp"
#include "support/small_training.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain::test {
namespace {

using ::testing::HasSubstr;

/// Everything that an observer is told, and a checkpoint of every saving point.
struct Recorder : TrainObserver {
  void on_steps(std::int64_t, std::int64_t first_step, const std::vector<StepMetrics>& steps) override {
    for (const StepMetrics& step : steps) told.push_back("step " + std::to_string(first_step++) + text(step));
    if (stop_at >= 0 && first_step >= stop_at) stop = true;
  }
  void on_evaluation(const Evaluation& evaluation) override {
    told.push_back("evaluation " + std::to_string(evaluation.steps) + text(evaluation.test));
  }
  void on_epoch(const EpochResult& epoch) override {
    if (epoch.test.count > 0)  // else the epoch is interrupted, and comes again when it is whole
      told.push_back("epoch " + std::to_string(epoch.epoch) + text(epoch.train) + text(epoch.test));
  }
  void on_best(const EpochResult& epoch, const ModelState&) override {
    told.push_back("best " + std::to_string(epoch.epoch));
  }
  void on_checkpoint(const Trainer& trainer) override {
    checkpoints.push_back(trainer.checkpoint());
    told_before.push_back(told.size());
  }

  static std::string text(const StepMetrics& step) {
    return " " + std::to_string(std::bit_cast<std::uint64_t>(step.loss_sum)) + " " +
           std::to_string(step.correct) + "/" + std::to_string(step.count);
  }
  static std::string text(const AverageMetrics& metrics) {
    return " " + std::to_string(std::bit_cast<std::uint64_t>(metrics.loss)) + " " +
           std::to_string(std::bit_cast<std::uint64_t>(metrics.loss_batch_mean)) + " " +
           std::to_string(metrics.accuracy);
  }

  std::vector<std::string> told;
  std::vector<Checkpoint> checkpoints;
  std::vector<std::size_t> told_before;  ///< what had been told at each checkpoint
  std::int64_t stop_at = -1;
  std::atomic<bool> stop{false};
};

/// What a run leaves behind.
struct Ended {
  TrainResult result;
  ModelState model;
  std::vector<OptimizerState> optimizer;
};

class ResumeTest : public BackendTest {
 protected:
  ResumeTest() {
    config.network = "conv4x3,bn,relu,maxpool2,fc8,bn,relu,fc4";
    config.init = Init::torch;
    config.batch_size = 16;
    config.epochs = 2;  // of 16, 16 and 8 images
    config.optimizer.lr = 0.1;
    config.optimizer.momentum = 0.9;
    config.optimizer.weight_decay = 1e-3;
    config.seed = 5;
    config.log_every = 1;
  }

  Trainer make(const Checkpoint* from, int threads = 1) {
    if (!backend || threads != backend_threads) backend = GetParam().make(threads);
    backend_threads = threads;
    return from != nullptr ? Trainer(config, dataset, *backend, *from) : Trainer(config, dataset, *backend);
  }
  Ended run(Recorder& recorder, const Checkpoint* from = nullptr, int threads = 1) {
    Trainer trainer = make(from, threads);
    const TrainResult result = trainer.run(recorder, recorder.stop);
    return {result, trainer.save(), save_optimizer(trainer.executable())};
  }
  /// As a new process would read it.
  Checkpoint through_a_file(const Checkpoint& checkpoint) const {
    const std::filesystem::path path = folder.path() / "checkpoint";
    write_checkpoint(path, {checkpoint, {}});
    return read_checkpoint(path).checkpoint;
  }
  static void expect_same_end(const Ended& a, const Ended& b) {
    EXPECT_TRUE(same_bits(a.model, b.model));
    ASSERT_EQ(a.optimizer.size(), b.optimizer.size());
    for (std::size_t i = 0; i < a.optimizer.size(); ++i) {
      EXPECT_EQ(a.optimizer[i].name, b.optimizer[i].name);
      EXPECT_TRUE(same_bits(a.optimizer[i].state, b.optimizer[i].state));
    }
    EXPECT_EQ(a.result.end, b.result.end);
    EXPECT_EQ(a.result.steps, b.result.steps);
    EXPECT_EQ(Recorder::text(a.result.final_test), Recorder::text(b.result.final_test));
    EXPECT_EQ(a.result.history.count, b.result.history.count);
    for (const auto member : {&EpochHistory::best, &EpochHistory::last}) {
      ASSERT_EQ((a.result.history.*member).has_value(), (b.result.history.*member).has_value());
      if (!(a.result.history.*member)) continue;
      const EpochResult &x = *(a.result.history.*member), &y = *(b.result.history.*member);
      EXPECT_EQ(Recorder::text(x.train) + Recorder::text(x.test),
                Recorder::text(y.train) + Recorder::text(y.test));
      EXPECT_EQ(x.epoch, y.epoch);
      EXPECT_EQ(x.steps, y.steps);
      EXPECT_EQ(x.evaluated, y.evaluated);
    }
  }
  /// Goes on from the last checkpoint of `first`; returns what is told on the way.
  std::vector<std::string> expect_goes_on(const Recorder& first, const Ended& end) {
    const Checkpoint from = through_a_file(first.checkpoints.back());
    Recorder rest;
    expect_same_end(run(rest, &from), end);
    return rest.told;
  }
  /// Runs without a stop, then once more from each of its checkpoints.
  void expect_resumable_everywhere(std::size_t checkpoints) {
    config.save_every = 1;
    Recorder whole;
    const Ended end = run(whole);
    ASSERT_EQ(whole.checkpoints.size(), checkpoints);
    for (std::size_t i = 0; i < checkpoints; ++i) {
      SCOPED_TRACE("from checkpoint " + std::to_string(i) + " after " +
                   std::to_string(whole.checkpoints[i].progress.steps) + " steps");
      const Checkpoint from = through_a_file(whole.checkpoints[i]);
      Recorder rest;
      expect_same_end(run(rest, &from), end);
      const std::vector<std::string> expected(
          whole.told.begin() + static_cast<std::ptrdiff_t>(whole.told_before[i]), whole.told.end());
      EXPECT_EQ(rest.told, expected);
    }
  }

  TemporaryFolder folder;
  Dataset dataset = make_synthetic({{1, 10, 9, false}, 4, 40, 16, 7, 0.5});
  TrainConfig config;
  std::unique_ptr<Backend> backend;
  int backend_threads = 0;
};

TEST_P(ResumeTest, FromEveryCheckpointOfARunWithBatchNormMomentumAndWeightDecay) {
  expect_resumable_everywhere(6);
}

TEST_P(ResumeTest, FromEveryCheckpointWithoutBatchNorm) {
  config.norm = Norm::none;
  expect_resumable_everywhere(6);
}

TEST_P(ResumeTest, FromEveryCheckpointWithValidationAndEvaluationsWithinEpochs) {
  config.valid = 0.25;  // 30 images train, in 2 steps an epoch
  config.eval_every = 1;
  config.epochs = 3;
  config.optimizer.momentum = 0;
  expect_resumable_everywhere(6);
}

TEST_P(ResumeTest, FromEveryCheckpointWithEveryUpdateRuleAndASchedule) {
  config.network = "conv4x3p1,bn,gelu,res(conv4x3p1,bn,relu,conv4x3p1,bn),relu,maxpool2,fc4";
  for (const auto& [kind, nesterov, schedule] : {std::tuple{OptimizerKind::adamw, false, "onecycle"},
                                                 {OptimizerKind::sgd, true, "cosine:0.01"},
                                                 {OptimizerKind::sgd, true, "step:1:0.5"}}) {
    SCOPED_TRACE(schedule);
    config.optimizer.kind = kind;
    config.optimizer.nesterov = nesterov;
    config.optimizer.momentum = nesterov ? 0.9 : 0;
    config.optimizer.lr = nesterov ? 0.05 : 0.01;
    config.optimizer.decay_weights_only = true;
    config.schedule = {.text = schedule, .warmup = 2};
    expect_resumable_everywhere(6);
  }
}

TEST_P(ResumeTest, MoreEpochsKeepTheScheduleOfTheRunAndItsLastRate) {
  config.schedule.text = "cosine";
  config.epochs = 3;
  config.schedule.steps = 3;  // those of one epoch
  Recorder whole;
  const Ended end = run(whole);
  config.epochs = 1;
  config.schedule.steps = 0;
  Recorder first;
  run(first);
  config.epochs = 3;
  config.schedule.steps = first.checkpoints.back().progress.steps;
  expect_goes_on(first, end);
}

TEST_P(ResumeTest, StoppedAfterAnyStepItWritesTheCheckpointThatGoesOn) {
  Recorder whole;
  const Ended end = run(whole);
  for (std::int64_t stop_at = 1; stop_at < 5; ++stop_at) {
    SCOPED_TRACE("stopped after the step behind " + std::to_string(stop_at));
    Recorder first;
    first.stop_at = stop_at;
    const Ended stopped = run(first);
    ASSERT_EQ(stopped.result.end, TrainEnd::interrupted);
    ASSERT_FALSE(first.checkpoints.empty());
    // The request comes after the step; at the end of an epoch, 3, no other one begins.
    EXPECT_EQ(first.checkpoints.back().progress.steps, stop_at == 3 ? 3 : stop_at + 1);
    EXPECT_TRUE(same_bits(first.checkpoints.back().model, stopped.model));
    std::vector<std::string> told = first.told;
    std::ranges::copy(expect_goes_on(first, end), std::back_inserter(told));
    EXPECT_EQ(told, whole.told);
  }
}

TEST_P(ResumeTest, MoreEpochsAreTheEpochsOfALongerRun) {
  config.epochs = 3;
  Recorder whole;
  const Ended end = run(whole);
  config.epochs = 1;
  Recorder first;
  run(first);
  config.epochs = 3;
  expect_goes_on(first, end);
}

TEST_P(ResumeTest, MoreStepsBehindAnEndInsideAnEpochAreThoseOfALongerRun) {
  config.steps = 5;
  Recorder whole;
  const Ended end = run(whole);
  for (const std::int64_t steps : {1, 2, 3, 4}) {
    SCOPED_TRACE(std::to_string(steps) + " steps");
    config.steps = steps;
    Recorder first;
    run(first);
    config.steps = 5;
    expect_goes_on(first, end);
  }
}

TEST_P(ResumeTest, AFinishedRunHasNothingLeftToTrain) {
  config.valid = 0.25;
  Recorder whole;
  const Ended end = run(whole);
  const Checkpoint from = through_a_file(whole.checkpoints.back());
  Recorder rest;
  expect_same_end(run(rest, &from), end);
  EXPECT_TRUE(rest.told.empty());
  EXPECT_TRUE(rest.checkpoints.empty());
}

TEST_P(ResumeTest, OtherThreadsGoOnWithTheSameBits) {
  config.save_every = 2;
  Recorder whole;
  const Ended end = run(whole, nullptr, 1);
  const Checkpoint from = through_a_file(whole.checkpoints.front());
  for (const int threads : {2, 3, 5}) {
    Recorder rest;
    expect_same_end(run(rest, &from, threads), end);
  }
}

TEST_P(ResumeTest, ARunThatDivergesDivergesAgainAtTheSameStep) {
  config.optimizer.lr = 1e30;
  config.epochs = 20;
  config.save_every = 1;
  Recorder whole;
  const Ended end = run(whole);
  ASSERT_EQ(end.result.end, TrainEnd::diverged);
  for (const Checkpoint& checkpoint : whole.checkpoints)
    for (const StepMetrics& step : checkpoint.progress.measured) EXPECT_TRUE(std::isfinite(step.loss_sum));
  ASSERT_FALSE(whole.checkpoints.empty());
  const Checkpoint from = through_a_file(whole.checkpoints.back());
  Recorder rest;
  const Ended again = run(rest, &from);
  expect_same_end(again, end);
  EXPECT_EQ(again.result.divergence->step, end.result.divergence->step);
  EXPECT_EQ(again.result.divergence->epoch, end.result.divergence->epoch);
  EXPECT_EQ(again.result.divergence->layer, end.result.divergence->layer);
}

TEST_P(ResumeTest, ACheckpointOfAnotherRunIsRefused) {
  config.epochs = 1;
  Recorder whole;
  run(whole);
  const Checkpoint good = whole.checkpoints.back();
  config.epochs = 2;
  const auto refusal = [&](const Checkpoint& from) {
    return error_message(ErrorKind::data, [&] { make(&from); });
  };
  Checkpoint bad = good;
  bad.progress.seed = 6;
  EXPECT_THAT(refusal(bad), HasSubstr("seed"));
  bad = good;
  bad.progress.steps = 2;
  EXPECT_THAT(refusal(bad), HasSubstr("at step 2"));
  bad = good;
  bad.optimizer[0].state.tensors.pop_back();
  EXPECT_THAT(refusal(bad), HasSubstr("optimizer state"));
  bad = good;
  bad.optimizer[0].name = "exp_avg";
  EXPECT_THAT(refusal(bad), HasSubstr("optimizer state"));
  bad = good;
  bad.optimizer.clear();
  EXPECT_THAT(refusal(bad), HasSubstr("optimizer state"));
  bad = good;
  bad.model.tensors.pop_back();
  EXPECT_THAT(refusal(bad), HasSubstr("missing tensor"));
  bad = good;
  bad.best = bad.model;
  EXPECT_THAT(refusal(bad), HasSubstr("best"));
  config.batch_size = 20;
  EXPECT_THAT(refusal(good), HasSubstr("batches of 20"));
}

TEST_P(ResumeTest, ARunThatWouldEndBeforeTheCheckpointIsRefused) {
  Recorder whole;
  run(whole);
  config.epochs = 1;
  const Checkpoint from = whole.checkpoints.back();
  const std::string message = error_message(ErrorKind::usage, [&] { make(&from); });
  EXPECT_THAT(message, HasSubstr("the checkpoint was made after 6"));
}

BNTRAIN_FOR_EVERY_BACKEND(ResumeTest);

}  // namespace
}  // namespace bntrain::test
