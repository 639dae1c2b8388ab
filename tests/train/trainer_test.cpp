#include "bntrain/train.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <thread>
#include <utility>

#include "backend/executable.hpp"
#include "bntrain/error.hpp"
#include "core/random.hpp"
#include "support/error_message.hpp"
#include "support/small_training.hpp"

namespace bntrain {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double nan_loss = std::numeric_limits<double>::quiet_NaN();

/// What the trainer asked of the fake device.
struct Recording {
  std::vector<std::vector<std::int64_t>> orders;
  std::vector<std::pair<std::int64_t, std::int64_t>> train_ranges, eval_ranges, diagnosed_ranges;
  std::vector<StepParams> params;
  std::vector<std::size_t> drained;  // number of steps of each drain
  std::vector<std::vector<StepParams>> prepared;
  std::vector<float> parameters, running;  ///< as they were written
};

/// The loss of training step i (from 0), a sum over its images.
using Script = std::function<double(std::int64_t step)>;

class FakeExecutable : public Executable, public Diagnostics {
 public:
  FakeExecutable(const PlanRequest& request, Recording& recording, Script script, double test_loss,
                 std::chrono::milliseconds eval_time)
      : plan_(make_plan(request, {})),
        recording_(recording),
        script_(std::move(script)),
        test_loss_(test_loss),
        eval_time_(eval_time) {}
  const Plan& plan() const override { return plan_; }
  void bind_training_images(const ImageSet&) override {}
  void bind_evaluation_images(const ImageSet&) override {}
  void set_order(std::span<const std::int64_t> order) override {
    recording_.orders.emplace_back(order.begin(), order.end());
  }
  void prepare(std::span<const StepParams> next) override {
    recording_.prepared.emplace_back(next.begin(), next.end());
  }
  void train_step(BatchRange range, const StepParams& params) override {
    const auto step = static_cast<std::int64_t>(recording_.train_ranges.size());
    recording_.train_ranges.emplace_back(range.first, range.count);
    recording_.params.push_back(params);
    pending_.push_back({script_(step), 1, range.count});
  }
  void eval_step(BatchRange range) override {
    recording_.eval_ranges.emplace_back(range.first, range.count);
    if (range.first == 0) std::this_thread::sleep_for(eval_time_);
    pending_.push_back({test_loss_, 2, range.count});
  }
  std::vector<float> logits() override { return {}; }
  std::vector<StepMetrics> drain_metrics() override {
    recording_.drained.push_back(pending_.size());
    return std::exchange(pending_, {});
  }
  std::vector<float> read(StateBuffer buffer) const override {
    const bool running = buffer == StateBuffer::running_statistics;
    const std::vector<float>& written = running ? recording_.running : recording_.parameters;
    return written.empty() ? std::vector<float>(static_cast<std::size_t>(
                                 running ? plan_.network.running_floats() : plan_.network.parameter_floats()))
                           : written;
  }
  void write(StateBuffer buffer, std::span<const float> values) override {
    if (buffer == StateBuffer::parameters) recording_.parameters.assign(values.begin(), values.end());
    if (buffer == StateBuffer::running_statistics) recording_.running.assign(values.begin(), values.end());
  }
  std::int64_t updates() const override { return 0; }
  void restart(std::int64_t) override {}
  std::string variant() const override { return "fake"; }

  Diagnostics& diagnostics() override { return *this; }
  std::vector<BatchStatistics> eval_step_by_batch(BatchRange, int) override { return {}; }
  std::string first_non_finite(BatchRange range) override {
    recording_.diagnosed_ranges.emplace_back(range.first, range.count);
    return "0 fc3 (output)";
  }
  std::vector<OpTiming> time_ops(BatchRange, int) override { return {}; }
  std::vector<float> read_value(int, StepPass, std::int64_t) const override { return {}; }

 private:
  const Plan plan_;
  Recording& recording_;
  Script script_;
  double test_loss_;
  std::chrono::milliseconds eval_time_;
  std::vector<StepMetrics> pending_;
};

class FakeBackend : public Backend {
 public:
  std::unique_ptr<Executable> compile(const PlanRequest& request) override {
    return std::make_unique<FakeExecutable>(request, recording, script, test_loss, evaluation_time);
  }
  DevicePeaks measure_peaks() override { return {}; }
  std::string description() const override { return "fake"; }

  Recording recording;
  Script script = [](std::int64_t) { return 1.0; };
  double test_loss = 1.0;
  std::chrono::milliseconds evaluation_time{0};
};

struct RecordingObserver : TrainObserver {
  void on_steps(std::int64_t epoch, std::int64_t first_step, const std::vector<StepMetrics>& steps) override {
    calls.emplace_back(epoch, first_step, steps.size());
    if (during_steps) during_steps();
  }
  void on_evaluation(const Evaluation& evaluation) override { evaluations.push_back(evaluation); }
  void on_epoch(const EpochResult& epoch) override { epochs.push_back(epoch.epoch); }
  std::vector<std::tuple<std::int64_t, std::int64_t, std::size_t>> calls;
  std::vector<Evaluation> evaluations;
  std::vector<std::int64_t> epochs;
  std::function<void()> during_steps;
};

ImageSet images(std::int64_t count) {
  ImageSet set;
  set.shape = Shape{1, 2, 2, false};
  set.count = count;
  set.pixels.resize(static_cast<std::size_t>(count * 4));
  set.labels.resize(static_cast<std::size_t>(count));
  return set;
}

class TrainerTest : public ::testing::Test {
 protected:
  TrainerTest() {
    dataset.name = "fake";
    dataset.classes = 3;
    dataset.train = images(10);
    dataset.test = images(6);
    config.network = "fc3";
    config.batch_size = 4;
    config.epochs = 2;
  }
  TrainResult run() { return Trainer(config, dataset, backend).run(observer, stop); }

  Dataset dataset;
  TrainConfig config;
  FakeBackend backend;
  RecordingObserver observer;
  std::atomic<bool> stop{false};
};

TEST_F(TrainerTest, RunsEveryBatchOfEveryEpochWithItsShortLastOne) {
  const TrainResult result = run();
  EXPECT_EQ(result.end, TrainEnd::finished);
  EXPECT_EQ(result.steps, 6);
  using Pairs = std::vector<std::pair<std::int64_t, std::int64_t>>;
  EXPECT_EQ(backend.recording.train_ranges, (Pairs{{0, 4}, {4, 4}, {8, 2}, {0, 4}, {4, 4}, {8, 2}}));
  EXPECT_EQ(backend.recording.eval_ranges, (Pairs{{0, 4}, {4, 2}, {0, 4}, {4, 2}}));
  EXPECT_THAT(observer.epochs, ElementsAre(0, 1));
}

TEST_F(TrainerTest, SetsTheOrderOfEachEpochOnce) {
  config.seed = 7;
  run();
  EXPECT_THAT(backend.recording.orders,
              ElementsAre(epoch_order(10, 7, 0, true), epoch_order(10, 7, 1, true)));
  EXPECT_NE(backend.recording.orders[0], backend.recording.orders[1]);
}

TEST_F(TrainerTest, KeepsTheDataOrderWithoutShuffling) {
  config.shuffle = false;
  run();
  std::vector<std::int64_t> in_order(10);
  std::iota(in_order.begin(), in_order.end(), 0);
  EXPECT_THAT(backend.recording.orders, ElementsAre(in_order, in_order));
}

TEST_F(TrainerTest, ScalesByTheNominalBatchSizeAlsoInTheShortLastBatch) {
  config.optimizer.lr = 0.5;
  config.optimizer.momentum = 0.9;
  config.optimizer.weight_decay = 0.01;
  run();
  for (const StepParams& params : backend.recording.params) {
    EXPECT_EQ(params.gradient_scale, 0.25);
    EXPECT_EQ(params.update.lr, 0.5f);
    EXPECT_EQ(params.update.momentum, 0.9f);
    EXPECT_EQ(params.update.weight_decay, 0.01f);
  }
}

TEST_F(TrainerTest, EveryStepHasTheRateOfTheScheduleWhichIsPreparedBetweenDrains) {
  config.schedule = {.text = "cosine", .warmup = 1};
  config.log_every = 2;
  const TrainResult result = run();
  const Schedule schedule(config.schedule, config.optimizer.lr, result.steps, 3);
  std::vector<float> rates, prepared;
  for (const StepParams& params : backend.recording.params) rates.push_back(params.update.lr);
  for (const auto& part : backend.recording.prepared) {
    EXPECT_LE(part.size(), 2u);
    for (const StepParams& params : part) prepared.push_back(params.update.lr);
  }
  ASSERT_EQ(rates.size(), 6u);
  for (std::size_t i = 0; i < rates.size(); ++i)
    EXPECT_EQ(rates[i], static_cast<float>(schedule.lr(static_cast<std::int64_t>(i))));
  EXPECT_EQ(prepared, rates);
}

TEST_F(TrainerTest, AWarmupLongerThanTheRunIsRefused) {
  config.schedule.warmup = 7;
  EXPECT_THAT(error_message(ErrorKind::usage, [&] { run(); }),
              AllOf(HasSubstr("warmup: 7"), HasSubstr("more than the schedule has: 6")));
}

TEST_F(TrainerTest, DrainsOncePerIntervalAndAtTheEndOfAnEpoch) {
  config.epochs = 1;
  config.batch_size = 2;  // 5 training and 3 test steps
  config.log_every = 2;
  run();
  EXPECT_THAT(backend.recording.drained, ElementsAre(2, 2, 1, 3));
  EXPECT_THAT(observer.calls, ElementsAre(std::tuple(0, 0, 2), std::tuple(0, 2, 2), std::tuple(0, 4, 1)));
}

TEST_F(TrainerTest, DrainsEveryFiftyStepsWhenNothingIsLogged) {
  dataset.train = images(120);
  config.epochs = 1;
  config.batch_size = 1;
  run();
  EXPECT_THAT(backend.recording.drained, ElementsAre(50, 50, 20, 6));
}

TEST_F(TrainerTest, DrainsLongEvaluationsOnTheWay) {
  dataset.test = images(2500);
  config.epochs = 1;
  config.batch_size = 1;
  EXPECT_EQ(run().epochs.at(0).test.count, 2500);
  EXPECT_THAT(backend.recording.drained, ElementsAre(10, 1000, 1000, 500));
}

TEST_F(TrainerTest, AveragesBySampleAndByBatch) {
  config.epochs = 1;
  backend.script = [](std::int64_t step) { return step == 2 ? 8.0 : 4.0; };  // losses 1, 1 and 4
  backend.test_loss = 2.0;                                                   // losses 0.5 and 1
  const TrainResult result = run();
  ASSERT_EQ(result.epochs.size(), 1U);
  const EpochResult& epoch = result.epochs[0];
  EXPECT_DOUBLE_EQ(epoch.train.loss, 16.0 / 10);
  EXPECT_DOUBLE_EQ(epoch.train.loss_batch_mean, 2.0);
  EXPECT_DOUBLE_EQ(epoch.train.accuracy, 3.0 / 10);
  EXPECT_DOUBLE_EQ(epoch.test.loss, 4.0 / 6);
  EXPECT_DOUBLE_EQ(epoch.test.loss_batch_mean, 0.75);
  EXPECT_EQ(epoch.train.count, 10);
  EXPECT_EQ(epoch.test.count, 6);
  EXPECT_GE(epoch.train_seconds, 0);
}

TEST_F(TrainerTest, StepsEndTheRunInsideAnEpochWithAnEvaluation) {
  config.steps = 4;
  const TrainResult result = run();
  EXPECT_EQ(result.end, TrainEnd::finished);
  EXPECT_EQ(result.steps, 4);
  ASSERT_EQ(result.epochs.size(), 2U);
  EXPECT_EQ(result.epochs[1].steps, 4);
  EXPECT_EQ(result.epochs[1].train.count, 4);
  EXPECT_EQ(result.epochs[1].test.count, 6);
}

TEST_F(TrainerTest, StepsReplaceEpochs) {
  config.steps = 8;  // 2 epochs have 6
  EXPECT_EQ(run().steps, 8);
  EXPECT_THAT(observer.epochs, ElementsAre(0, 1, 2));
}

TEST_F(TrainerTest, EvaluatesEverySoManyStepsButNeverTwiceAtAnEpochsEnd) {
  config.eval_every = 2;  // of 6 steps in 2 epochs: after 2, within epoch 1 after 4, and not after the last
  const TrainResult result = run();
  ASSERT_EQ(observer.evaluations.size(), 2U);
  EXPECT_EQ(observer.evaluations[0].epoch, 0);
  EXPECT_EQ(observer.evaluations[0].steps, 2);
  EXPECT_EQ(observer.evaluations[1].epoch, 1);
  EXPECT_EQ(observer.evaluations[1].steps, 4);
  EXPECT_EQ(observer.evaluations[0].test.count, 6);
  EXPECT_EQ(backend.recording.eval_ranges.size(), 4U * 2U);  // each evaluation has two batches
  // The training metrics are drained before the evaluation adds its own.
  EXPECT_THAT(backend.recording.drained, ElementsAre(2, 2, 1, 2, 1, 2, 2, 2));
  EXPECT_EQ(result.epochs[1].train.count, 10);
}

TEST_F(TrainerTest, ADivergedStepIsNotEvaluated) {
  config.eval_every = 1;
  backend.script = [](std::int64_t step) { return step >= 1 ? nan_loss : 1.0; };
  EXPECT_EQ(run().end, TrainEnd::diverged);
  ASSERT_EQ(observer.evaluations.size(), 1U);
  EXPECT_EQ(observer.evaluations[0].steps, 1);
}

TEST_F(TrainerTest, EvaluationsAreNotCountedAsTraining) {
  config.epochs = 1;
  config.eval_every = 1;
  backend.evaluation_time = std::chrono::milliseconds(50);
  Trainer trainer(config, dataset, backend);
  const auto start = std::chrono::steady_clock::now();
  const TrainResult result = trainer.run(observer, stop);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(observer.evaluations.size(), 2U);
  const EpochResult& epoch = result.epochs.at(0);
  // Counted twice, the evaluations would not fit into the time that passed.
  const double evaluating = observer.evaluations[0].eval_seconds + observer.evaluations[1].eval_seconds;
  EXPECT_GE(evaluating, 0.1);
  EXPECT_LE(epoch.train_seconds + evaluating + epoch.eval_seconds, wall.count());
  EXPECT_LE(observer.evaluations[1].train_seconds + evaluating, wall.count());
  EXPECT_LE(observer.evaluations[0].train_seconds, observer.evaluations[1].train_seconds);
  EXPECT_LE(observer.evaluations[1].train_seconds, epoch.train_seconds);
}

TEST_F(TrainerTest, NoEpochsTrainNothing) {
  config.epochs = 0;
  const TrainResult result = run();
  EXPECT_EQ(result.end, TrainEnd::finished);
  EXPECT_TRUE(result.epochs.empty());
  EXPECT_TRUE(backend.recording.train_ranges.empty());
}

TEST_F(TrainerTest, DivergenceEndsTheRunAndDiagnosesExactlyThatBatch) {
  backend.script = [](std::int64_t step) { return step >= 4 ? nan_loss : 1.0; };
  const TrainResult result = run();
  EXPECT_EQ(result.end, TrainEnd::diverged);
  ASSERT_TRUE(result.divergence.has_value());
  EXPECT_EQ(result.divergence->epoch, 1);
  EXPECT_EQ(result.divergence->step, 4);
  EXPECT_EQ(result.divergence->lr, config.optimizer.lr);
  EXPECT_EQ(result.divergence->layer, "0 fc3 (output)");
  EXPECT_EQ(result.steps, 4);
  EXPECT_THAT(backend.recording.diagnosed_ranges, ElementsAre(std::pair(4, 4)));
  EXPECT_EQ(result.epochs.size(), 1U);
  // The observer sees the step that is not finite and none behind it.
  EXPECT_THAT(observer.calls, ElementsAre(std::tuple(0, 0, 3), std::tuple(1, 3, 2)));
}

TEST_F(TrainerTest, DivergenceOfTheShortLastBatchIsDiagnosedOnIt) {
  backend.script = [](std::int64_t step) {
    return step == 2 ? std::numeric_limits<double>::infinity() : 1.0;
  };
  run();
  EXPECT_THAT(backend.recording.diagnosed_ranges, ElementsAre(std::pair(8, 2)));
}

TEST_F(TrainerTest, AnUpdateThatRuinsTheWeightsAfterTheLastLossIsADivergence) {
  config.epochs = 1;
  backend.test_loss = nan_loss;
  const TrainResult result = run();
  EXPECT_EQ(result.end, TrainEnd::diverged);
  EXPECT_EQ(result.divergence.value().step, 3);
}

TEST_F(TrainerTest, StopEndsAfterTheStepWithoutAnEvaluation) {
  backend.script = [&](std::int64_t step) {
    if (step == 4) stop = true;
    return 1.0;
  };
  const TrainResult result = run();
  EXPECT_EQ(result.end, TrainEnd::interrupted);
  EXPECT_EQ(result.steps, 5);
  ASSERT_EQ(result.epochs.size(), 2U);
  EXPECT_EQ(result.epochs[1].train.count, 8);
  EXPECT_EQ(result.epochs[1].test.count, 0);
  EXPECT_EQ(backend.recording.eval_ranges.size(), 2U);  // those of epoch 0
  EXPECT_THAT(observer.epochs, ElementsAre(0, 1));
}

TEST_F(TrainerTest, StopBeforeTheFirstStepTrainsNothing) {
  stop = true;
  const TrainResult result = run();
  EXPECT_EQ(result.end, TrainEnd::interrupted);
  EXPECT_TRUE(backend.recording.train_ranges.empty());
}

TEST_F(TrainerTest, LoadsTheInitialStateOfTheSeed) {
  config.seed = 3;
  const Trainer trainer(config, dataset, backend);
  const ModelState expected = initial_state(trainer.network(), Init::tutorial, 3);
  EXPECT_TRUE(test::same_bits(trainer.save(), expected));
}

TEST_F(TrainerTest, BeginsWithTheValuesThatItIsGiven) {
  const Network network = Network::parse("fc3", dataset.train.shape, 3);
  const ModelState state = initial_state(network, Init::he, 1);
  const Trainer trainer(config, dataset, backend, state);
  EXPECT_TRUE(test::same_bits(trainer.save(), state));
}

TEST_F(TrainerTest, TheModelSaysHowItWasTrained) {
  config.network = "bn,fc3";
  config.seed = 4;
  config.init = Init::gluon;
  Trainer trainer(config, dataset, backend);
  trainer.run(observer, stop);
  const Model model = trainer.model();
  EXPECT_EQ(model.network.text(), trainer.network().text());
  EXPECT_EQ(model.metadata, (std::map<std::string, std::string>{{"dataset", "fake"},
                                                                {"init", "gluon"},
                                                                {"seed", "4"},
                                                                {"steps", "6"},
                                                                {"bn-eps", "1e-05"},
                                                                {"bn-momentum", "0.9"},
                                                                {"bn-variance", "biased"},
                                                                {"bn-values", "16"}}));
}

void expect_error(ErrorKind kind, const std::string& part, const std::function<void()>& action) {
  try {
    action();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    EXPECT_THAT(error.what(), ::testing::HasSubstr(part));
  }
}

TEST_F(TrainerTest, RefusesABatchLargerThanTheTrainingSet) {
  config.batch_size = 11;
  expect_error(ErrorKind::usage, "batch_size: 11", [&] { Trainer(config, dataset, backend); });
}

TEST_F(TrainerTest, RefusesANetworkThatDoesNotFitTheClasses) {
  config.network = "fc4";
  expect_error(ErrorKind::usage, "fc4", [&] { Trainer(config, dataset, backend); });
}

TEST_F(TrainerTest, RefusesInitialValuesOfAnotherNetwork) {
  const Network other = Network::parse("fc5,relu,fc3", dataset.train.shape, 3);
  const ModelState state = initial_state(other, Init::he, 1);
  expect_error(ErrorKind::data, "the initial values", [&] { Trainer(config, dataset, backend, state); });
}

}  // namespace
}  // namespace bntrain
