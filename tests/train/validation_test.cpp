// Validation images: what is trained on, what chooses the model, and when the test set is evaluated.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bntrain/train.hpp"
#include "support/error_message.hpp"
#include "support/small_training.hpp"

namespace bntrain::test {
namespace {

using ::testing::HasSubstr;

struct BestModels : TrainObserver {
  void on_best(const EpochResult& epoch, const ModelState& model) override {
    epochs.push_back(epoch.epoch);
    last = model;
  }
  std::vector<std::int64_t> epochs;
  ModelState last;
};

class ValidationTest : public BackendTest {
 protected:
  ValidationTest() {
    config.network = "fc4";
    config.init = Init::torch;
    config.batch_size = 16;
    config.epochs = 3;
    config.valid = 0.25;
  }
  TrainResult run() {
    const auto backend = GetParam().make(1);
    return Trainer(config, dataset, *backend).run(observer, stop);
  }

  Dataset dataset = make_synthetic({{1, 6, 5, false}, 4, 80, 24, 7, 0.5});
  TrainConfig config;
  BestModels observer;
  std::atomic<bool> stop{false};
};

TEST_P(ValidationTest, TheHeldOutImagesTakeTheTestSetsPlaceInEveryEpoch) {
  const TrainResult result = run();
  ASSERT_EQ(result.epochs.size(), 3u);
  for (const EpochResult& epoch : result.epochs) {
    EXPECT_EQ(epoch.train.count, 60);
    EXPECT_EQ(epoch.test.count, 20);
    EXPECT_EQ(epoch.evaluated, EvaluatedSet::validation);
  }
  EXPECT_EQ(result.final_test.count, 24);
}

TEST_P(ValidationTest, WithoutItTheTestSetIsEvaluatedAndNothingElse) {
  config.valid = 0;
  const TrainResult result = run();
  EXPECT_EQ(result.epochs.at(0).train.count, 80);
  EXPECT_EQ(result.epochs.at(0).test.count, 24);
  EXPECT_EQ(result.epochs.at(0).evaluated, EvaluatedSet::test);
  EXPECT_EQ(result.final_test.count, 0);
  EXPECT_TRUE(observer.epochs.empty());
}

TEST_P(ValidationTest, TheTestSetIsSeenWithTheWeightsOfTheBestEpoch) {
  config.optimizer.lr = 3.0;  // so large that a later epoch is worse than an earlier one
  config.epochs = 6;
  const TrainResult result = run();
  const std::optional<EpochResult>& best = result.history.best;
  ASSERT_TRUE(best.has_value());
  ASSERT_LT(best->epoch, 5) << "the last epoch is the best one: this test shows nothing";
  EXPECT_EQ(observer.epochs.back(), best->epoch);

  // An epoch at learning rate 0 evaluates weights as they are.
  config.valid = 0;
  config.optimizer.lr = 0;
  config.epochs = 1;
  const ModelState model = observer.last;
  const auto backend = GetParam().make(1);
  const TrainResult tested = Trainer(config, dataset, *backend, model).run(observer, stop);
  EXPECT_EQ(result.final_test.loss, tested.epochs.at(0).test.loss);
  EXPECT_EQ(result.final_test.accuracy, tested.epochs.at(0).test.accuracy);
}

TEST_P(ValidationTest, PatienceCountsTheEpochsWithoutABetterAccuracy) {
  config.optimizer.lr = 0;  // the accuracy of the first epoch is never bettered
  config.epochs = 10;
  config.patience = 3;
  const TrainResult result = run();
  EXPECT_EQ(result.end, TrainEnd::finished);
  EXPECT_TRUE(result.out_of_patience);
  EXPECT_EQ(result.epochs.size(), 4u);
  EXPECT_THAT(observer.epochs, testing::ElementsAre(0));
}

TEST_P(ValidationTest, ARunThatEndsInTimeIsNotOutOfPatience) {
  config.optimizer.lr = 0;
  config.patience = 3;
  const TrainResult result = run();
  EXPECT_FALSE(result.out_of_patience);
  EXPECT_EQ(result.epochs.size(), 3u);
}

TEST_P(ValidationTest, TheBatchMustFitWhatIsLeftToTrainOn) {
  config.batch_size = 61;
  EXPECT_THAT(error_message(ErrorKind::usage, [&] { run(); }), HasSubstr("1 to 60"));
}

BNTRAIN_FOR_EVERY_BACKEND(ValidationTest);

TEST(EpochHistory, TheBestIsTheFirstOfTheHighestAccuracyAmongTheEvaluatedOnes) {
  const auto epoch = [](std::int64_t number, double accuracy, std::int64_t count) {
    EpochResult result;
    result.epoch = number;
    result.test.accuracy = accuracy;
    result.test.count = count;
    return result;
  };
  EpochHistory interrupted;
  interrupted.add(epoch(0, 0, 0));
  EXPECT_FALSE(interrupted.best);
  EXPECT_FALSE(interrupted.last);
  EpochHistory history;
  for (const EpochResult& next :
       {epoch(0, 0.5, 9), epoch(1, 0.7, 9), epoch(2, 0.7, 9), epoch(3, 0.6, 9), epoch(4, 0.9, 0)})
    history.add(next);
  EXPECT_EQ(history.best->epoch, 1);
  EXPECT_EQ(history.last->epoch, 3);
  EXPECT_EQ(history.count, 5);
}

}  // namespace
}  // namespace bntrain::test
