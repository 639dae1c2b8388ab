// The worst mistakes of an evaluation, and what evaluation.json says.
#include "train/mistakes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "bntrain/evaluate.hpp"
#include "support/small_training.hpp"

namespace bntrain::test {
namespace {

using ::testing::ElementsAre;

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<std::int64_t> indices(const std::vector<Mistake>& mistakes) {
  std::vector<std::int64_t> result;
  for (const Mistake& mistake : mistakes) result.push_back(mistake.index);
  return result;
}

TEST(WorstMistakesTest, TheLeastProbabilityOfTheLabelComesFirstAndTiesByIndex) {
  const std::vector<float> logits = {2, 0,   // right
                                     0, 1,   // wrong
                                     0, 9,   // more wrong
                                     1, 0,   // as wrong as number 1
                                     0, 9};  // as number 2
  const std::vector<std::uint8_t> labels = {0, 0, 0, 1, 0};
  const auto mistakes = worst_mistakes(logits, labels, 2);
  EXPECT_THAT(indices(mistakes), ElementsAre(2, 4, 1, 3));
  EXPECT_EQ(mistakes.at(3).label, 1);
  EXPECT_EQ(mistakes.at(3).predicted, 0);
  EXPECT_NEAR(mistakes.at(3).probability, 0.7310585786300049, 1e-15);
  EXPECT_NEAR(mistakes.at(3).label_probability, 0.2689414213699951, 1e-15);
  EXPECT_THAT(indices(worst_mistakes(logits, labels, 2, 3)), ElementsAre(2, 4, 1));
}

TEST(WorstMistakesTest, WhatIsNotFiniteIsNone) {
  const std::vector<float> logits = {not_a_number, 1, 0, infinity, -infinity, 0, 0, 1};
  EXPECT_THAT(indices(worst_mistakes(logits, std::vector<std::uint8_t>{0, 0, 0, 0}, 2)), ElementsAre(2, 3));
}

/// Keeps what the last epoch answered.
struct Answers : TrainObserver {
  bool wants_answers() const override { return wanted; }
  void on_answers(const Trainer& trainer, const EpochResult& epoch,
                  const std::vector<float>& answered) override {
    ++calls;
    EXPECT_EQ(epochs, epoch.epoch) << "on_epoch() comes afterwards";
    logits = answered;
    details = evaluation_details(epoch, trainer.data(), logits);
  }
  void on_epoch(const EpochResult& epoch) override {
    ++epochs;
    last = epoch;
  }
  bool wanted = true;
  std::int64_t calls = 0, epochs = 0;
  EpochResult last;
  std::vector<float> logits;
  Json details;
};

class AnswersTest : public BackendTest {
 protected:
  AnswersTest() {
    config.network = "conv4x3,bn,relu,fc4";
    config.init = Init::torch;
    config.batch_size = 16;
    config.epochs = 2;
  }
  void run() {
    const auto backend = GetParam().make(1);
    Trainer trainer(config, dataset, *backend);
    trainer.run(observer, stop);
    Evaluator evaluator(trainer.network(), config.batch_norm, trainer.data().test, 16, *backend);
    evaluator.load(trainer.save());
    expected = evaluator.evaluate().logits;
  }

  Dataset dataset = make_synthetic({{1, 6, 5, false}, 4, 80, 40, 7, 0.95});
  TrainConfig config;
  Answers observer;
  std::atomic<bool> stop{false};
  std::vector<float> expected;
};

TEST_P(AnswersTest, AreThoseOfTheEvaluationThatEndsAnEpoch) {
  run();
  EXPECT_EQ(observer.calls, 2);
  ASSERT_EQ(observer.logits.size(), 160U);
  EXPECT_EQ(observer.logits, expected);
}

TEST_P(AnswersTest, AreOfTheHeldOutImagesWhereThereAreSome) {
  config.valid = 0.25;
  run();
  EXPECT_EQ(observer.logits, expected);
  EXPECT_EQ(observer.details.at("images"), "valid");
  EXPECT_EQ(observer.details.at("count"), 20);
}

TEST_P(AnswersTest, AreNotToldToWhoDoesNotWantThem) {
  observer.wanted = false;
  run();
  EXPECT_EQ(observer.calls, 0);
  EXPECT_EQ(observer.epochs, 2);
}

TEST_P(AnswersTest, GiveTheConfusionMatrixOfTheRecordedAccuracy) {
  run();
  const Json& details = observer.details;
  EXPECT_EQ(details.at("epoch"), 1);
  EXPECT_EQ(details.at("step"), 10);
  EXPECT_EQ(details.at("classes"), Json({"0", "1", "2", "3"}));
  std::int64_t correct = 0, sum = 0;
  for (std::size_t label = 0; label < 4; ++label)
    for (std::size_t predicted = 0; predicted < 4; ++predicted) {
      const std::int64_t count = details.at("confusion").at(label).at(predicted);
      sum += count;
      if (label == predicted) correct += count;
    }
  EXPECT_EQ(sum, 40);
  EXPECT_EQ(details.at("undecided"), 0);
  EXPECT_EQ(static_cast<double>(correct) / 40, observer.last.test.accuracy);
  EXPECT_EQ(details.at("mistakes").size(),
            static_cast<std::size_t>(std::min<std::int64_t>(40 - correct, 25)));
}

BNTRAIN_FOR_EVERY_BACKEND(AnswersTest);

TEST(EvaluationDetailsTest, ADivergedModelHasNoMistakesButUndecidedImages) {
  const Dataset dataset = make_synthetic({{3, 6, 5, false}, 4, 8, 3, 7, 0.5});
  const std::vector<float> logits(12, not_a_number);
  EpochResult epoch;
  epoch.test.count = 3;
  const Json details = evaluation_details(epoch, dataset, logits);
  EXPECT_EQ(details.at("undecided"), 3);
  EXPECT_EQ(details.at("confusion"), Json(std::vector<std::vector<int>>(4, std::vector<int>(4, 0))));
  EXPECT_TRUE(details.at("mistakes").empty());
}

TEST(EvaluationDetailsTest, PicturesAreWhatTheFileHeld) {
  Dataset dataset = make_synthetic({{1, 2, 2, false}, 2, 8, 2, 7, 0.5});
  dataset.name = "fashion-mnist";
  dataset.classes = 10;
  std::vector<float> logits(20, 0);
  logits[static_cast<std::size_t>((dataset.test.labels[0] + 1) % 10)] = 1;  // image 0 is wrong
  logits[static_cast<std::size_t>(10 + dataset.test.labels[1])] = 1;        // and 1 right
  const Json details = evaluation_details({}, dataset, logits);
  EXPECT_EQ(details.at("classes").at(9), "Ankle boot");
  ASSERT_EQ(details.at("mistakes").size(), 1U);
  const Json& mistake = details.at("mistakes").at(0);
  EXPECT_EQ(mistake.at("index"), 0);
  EXPECT_THAT(mistake.at("png").get<std::string>(), ::testing::StartsWith("iVBORw0KGgo"));
  EXPECT_EQ(png_of(dataset.test, 0).bytes.substr(0, 4), "\x89PNG");
}

}  // namespace
}  // namespace bntrain::test
