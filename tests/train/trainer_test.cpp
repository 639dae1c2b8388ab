// What the trainer asks of a device, and when.
#include <numeric>

#include "core/random.hpp"
#include "train/trainer_fixture.hpp"

namespace bntrain {
namespace {

using ::testing::ElementsAre;

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

}  // namespace
}  // namespace bntrain
