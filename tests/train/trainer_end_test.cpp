// How a run ends: by its steps, by divergence, because it is told to.
#include "train/trainer_fixture.hpp"

namespace bntrain {
namespace {

using ::testing::ElementsAre;

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

TEST_F(TrainerTest, ADivergedStepIsNotEvaluated) {
  config.eval_every = 1;
  backend.script = [](std::int64_t step) { return step >= 1 ? nan_loss : 1.0; };
  EXPECT_EQ(run().end, TrainEnd::diverged);
  ASSERT_EQ(observer.evaluations.size(), 1U);
  EXPECT_EQ(observer.evaluations[0].steps, 1);
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

TEST_F(TrainerTest, ATestLossThatIsNotFiniteIsADivergenceWhateverTrainingComputes) {
  backend.test_loss = nan_loss;
  backend.recording.diagnosis = "";
  const TrainResult finite = run();
  EXPECT_EQ(finite.end, TrainEnd::diverged);
  EXPECT_EQ(finite.steps, 3);
  EXPECT_EQ(finite.divergence.value().layer, "");

  // Running statistics, say, which only an evaluation reads.
  backend.script = [&](std::int64_t) {
    backend.recording.parameters.front() = std::numeric_limits<float>::infinity();
    return 1.0;
  };
  EXPECT_EQ(run().divergence.value().layer, "1.weight");
}

TEST_F(TrainerTest, InitialValuesThatAreNotFiniteAreRefused) {
  ModelState initial = initial_state(Network::parse("fc3", {1, 2, 2, false}, 3), Init::torch, 0);
  initial.tensors.at(0).floats()[1] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(
      error_message(ErrorKind::data, [&] { Trainer(config, dataset, backend, initial); }),
      ::testing::HasSubstr("the initial values: nothing can be computed with tensor '1.weight' of 1 fc3"));
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

}  // namespace
}  // namespace bntrain
