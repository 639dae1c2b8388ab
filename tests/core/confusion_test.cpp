#include "core/confusion.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace bntrain {
namespace {

constexpr float nan_logit = std::numeric_limits<float>::quiet_NaN();
constexpr float infinite = std::numeric_limits<float>::infinity();

TEST(PredictedClass, IsThatOfTheFirstLargestLogit) {
  EXPECT_EQ(predicted_class(std::vector<float>{-3, -1, -2}), 1);
  EXPECT_EQ(predicted_class(std::vector<float>{0, 2, 2}), 1);
  EXPECT_EQ(predicted_class(std::vector<float>{-infinite, -infinite}), 0);
  EXPECT_EQ(predicted_class(std::vector<float>{1, infinite, 3}), 1);
}

TEST(PredictedClass, IsUndecidedWhereAnyLogitIsNaN) {
  EXPECT_EQ(predicted_class(std::vector<float>{1, 2, nan_logit}), undecided);
  EXPECT_EQ(predicted_class(std::vector<float>{nan_logit, 2, 1}), undecided);
}

// Rows are labels: 0 is right twice and taken for 1 once; 1 is right 3 times and undecided once; 2 is taken
// for 0 and for 1; nothing is 3 and nothing is taken for 3.
ConfusionMatrix example() {
  ConfusionMatrix confusion(4);
  for (const std::int64_t predicted : {0, 0, 1}) confusion.add(0, predicted);
  for (const std::int64_t predicted : {1, 1, 1}) confusion.add(1, predicted);
  confusion.add(1, undecided);
  confusion.add(2, 0);
  confusion.add(2, 1);
  return confusion;
}

TEST(ConfusionMatrix, CountsLabelsByPredictions) {
  const ConfusionMatrix confusion = example();
  EXPECT_EQ(confusion.count(0, 0), 2);
  EXPECT_EQ(confusion.count(0, 1), 1);
  EXPECT_EQ(confusion.count(1, 0), 0);
  EXPECT_EQ(confusion.count(2, 1), 1);
  EXPECT_EQ(confusion.correct(), 5);
  EXPECT_EQ(confusion.undecided_of(0), 0);
  EXPECT_EQ(confusion.undecided_of(1), 1);
  EXPECT_EQ(confusion.undecided_count(), 1);
}

TEST(ConfusionMatrix, TakesLogitsOfManyImages) {
  const std::vector<float> logits = {1, 2, 3, /**/ 3, 2, 1, /**/ 0, nan_logit, 0};
  const std::vector<std::uint8_t> labels = {2, 1, 1};
  const ConfusionMatrix confusion(3, logits, labels);
  EXPECT_EQ(confusion.count(2, 2), 1);
  EXPECT_EQ(confusion.count(1, 0), 1);
  EXPECT_EQ(confusion.undecided_of(1), 1);
  EXPECT_EQ(confusion.correct(), 1);
}

TEST(ConfusionMatrix, RefusesWhatIsNoClass) {
  ConfusionMatrix confusion(3);
  EXPECT_THROW(confusion.add(3, 0), std::logic_error);
  EXPECT_THROW(confusion.add(0, 3), std::logic_error);
  EXPECT_THROW(confusion.add(-1, 0), std::logic_error);
  EXPECT_THROW(confusion.count(0, undecided), std::logic_error);
  const std::vector<std::uint8_t> labels = {0, 1};
  EXPECT_THROW(ConfusionMatrix(3, std::vector<float>(5), labels), std::logic_error);
}

TEST(ClassScores, AreThoseComputedByHand) {
  const std::vector<ClassScore> scores = class_scores(example());
  ASSERT_EQ(scores.size(), 4u);
  EXPECT_EQ(scores[0].support, 3);
  EXPECT_EQ(scores[0].predicted, 3);
  EXPECT_EQ(scores[0].right, 2);
  EXPECT_DOUBLE_EQ(scores[0].precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(scores[0].recall, 2.0 / 3);
  EXPECT_DOUBLE_EQ(scores[0].f1, 2.0 / 3);
  EXPECT_EQ(scores[1].support, 4);  // with the undecided one
  EXPECT_EQ(scores[1].predicted, 5);
  EXPECT_DOUBLE_EQ(scores[1].precision, 3.0 / 5);
  EXPECT_DOUBLE_EQ(scores[1].recall, 3.0 / 4);
  EXPECT_DOUBLE_EQ(scores[1].f1, 2 * (0.6 * 0.75) / (0.6 + 0.75));
}

TEST(ClassScores, NothingDividedByNothingIsZero) {
  const std::vector<ClassScore> scores = class_scores(example());
  EXPECT_EQ(scores[2].predicted, 0);
  EXPECT_EQ(scores[2].precision, 0);
  EXPECT_EQ(scores[2].recall, 0);
  EXPECT_EQ(scores[3].support, 0);
  EXPECT_EQ(scores[3].recall, 0);
  EXPECT_EQ(scores[3].f1, 0);
}

TEST(ClassScores, TheMacroAverageWeighsClassesTheSame) {
  const ClassScore mean = macro_average(class_scores(example()));
  EXPECT_EQ(mean.support, 9);
  EXPECT_EQ(mean.predicted, 8);
  EXPECT_EQ(mean.right, 5);
  EXPECT_DOUBLE_EQ(mean.precision, (2.0 / 3 + 3.0 / 5) / 4);
  EXPECT_DOUBLE_EQ(mean.recall, (2.0 / 3 + 3.0 / 4) / 4);
  EXPECT_DOUBLE_EQ(mean.f1, (2.0 / 3 + 2.0 / 3) / 4);
}

TEST(Softmax, IsExactForLargeLogitsToo) {
  for (const float offset : {0.0f, 5000.0f, -5000.0f}) {
    const std::vector<double> p = softmax(std::vector<float>{offset, offset + 1, offset - 1});
    const double sum = 1 + std::exp(1.0) + std::exp(-1.0);
    EXPECT_DOUBLE_EQ(p[0], 1 / sum);
    EXPECT_DOUBLE_EQ(p[1], std::exp(1.0) / sum);
    EXPECT_DOUBLE_EQ(p[2], std::exp(-1.0) / sum);
  }
}

TEST(Softmax, OfNaNIsNaNThroughout) {
  for (const double p : softmax(std::vector<float>{1, nan_logit, 3})) EXPECT_TRUE(std::isnan(p));
}

}  // namespace
}  // namespace bntrain
