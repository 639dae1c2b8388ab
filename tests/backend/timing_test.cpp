// Timing a step changes nothing, and what it lists is the plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "plan/cost.hpp"
#include "support/small_training.hpp"

namespace bntrain::test {
namespace {

using testing::ElementsAre;

class TimingTest : public BackendTest {
 protected:
  static TrainingSetup setup(int threads = 1) {
    TrainingSetup result;
    result.text = "conv4x3,bn,relu,maxpool2,conv3x2,relu,fc8,bn,relu,fc4";
    result.backend = GetParam();
    result.threads = threads;
    return result;
  }
};

TEST_P(TimingTest, ListsThePartsInTheOrderOfTheStep) {
  SmallTraining training(setup());
  std::vector<std::string> forward, backward, update;
  for (const OpTiming& timing : training->time_ops({3, 16}, 2)) {
    (timing.pass == StepPass::forward    ? forward
     : timing.pass == StepPass::backward ? backward
                                         : update)
        .push_back(timing.name);
    EXPECT_EQ(timing.seconds.size(), 2u) << timing.name;
    for (const double seconds : timing.seconds) EXPECT_GE(seconds, 0) << timing.name;
  }
  EXPECT_THAT(forward, ElementsAre("gather", "0 conv4x3", "1-3 bn+relu+maxpool2", "4 conv3x2", "5 relu",
                                   "7 fc8", "8-9 bn+relu", "10 fc4", "loss"));
  EXPECT_THAT(backward, ElementsAre("10 fc4", "8-9 bn+relu", "7 fc8", "5 relu", "4 conv3x2",
                                    "1-3 bn+relu+maxpool2", "0 conv4x3"));
  EXPECT_THAT(update, ElementsAre("update"));
}

TEST_P(TimingTest, ListsThePartsWhoseCostsAreKnown) {
  for (const char* text :
       {"conv4x3,bn,relu,maxpool2,conv3x2,relu,fc8,bn,relu,fc4", "bn,conv3x3,flatten,bn,fc4", "fc4",
        "conv3x3p1,res(conv3x3p1,bn|conv3x1),relu,fc4"}) {
    TrainingSetup s = setup();
    s.text = text;
    SmallTraining training(s);
    const std::vector<OpTiming> timings = training->time_ops({0, 16}, 1);
    const std::vector<OpCost> costs = plan_costs(training->plan(), 16);
    ASSERT_EQ(timings.size(), costs.size());
    for (std::size_t i = 0; i < costs.size(); ++i) {
      EXPECT_EQ(timings[i].name, costs[i].name);
      EXPECT_EQ(timings[i].pass, costs[i].pass);
    }
  }
}

TEST_P(TimingTest, ChangesNothing) {
  const SgdStep params{.lr = 0.1, .momentum = 0.9, .weight_decay = 1e-3};
  for (const int threads : {1, 2}) {
    SmallTraining timed(setup(threads)), other(setup(threads));
    for (SmallTraining* training : {&timed, &other}) {
      ModelState state = (*training)->save();
      state.tensors.at(0).floats().at(0) = -0.0f;  // the least that a learning rate of 0 could change
      (*training)->load(state);
      (*training)->train_step({0, 16}, params);
    }
    timed->time_ops({16, 9}, 3);
    EXPECT_TRUE(same_bits(timed->save(), other->save()));
    EXPECT_TRUE(same_bits(timed->save_gradients(), other->save_gradients()));
    for (SmallTraining* training : {&timed, &other}) (*training)->train_step({16, 16}, params);
    EXPECT_TRUE(same_bits(timed->save(), other->save()));
    const std::vector<StepMetrics> metrics = timed->drain_metrics(), expected = other->drain_metrics();
    ASSERT_EQ(metrics.size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(metrics[i].loss_sum, expected[i].loss_sum);
      EXPECT_EQ(metrics[i].correct, expected[i].correct);
    }
  }
}

TEST_P(TimingTest, ANegativeZeroKeepsItsSign) {
  SmallTraining training(setup());
  ModelState state = training->save();
  for (Tensor& tensor : state.tensors)
    if (tensor.name == "0.weight") tensor.floats().at(0) = -0.0f;
  training->load(state);
  training->time_ops({0, 16}, 1);
  EXPECT_TRUE(same_bits(training->save(), state));
}

TEST_P(TimingTest, NumbersThatAreNotFiniteStayAsTheyAre) {
  SmallTraining training(setup());
  ModelState state = training->save();
  state.tensors.at(0).floats().at(0) = std::nanf("");
  training->load(state);
  training->time_ops({0, 16}, 1);
  EXPECT_TRUE(same_bits(training->save(), state));
}

// The forward pass is finite, but the gradient of the first layer is 2 * 3e38: 0 times it is NaN, and no copy
// of the weights may keep that.
TEST_P(TimingTest, GradientsBeyondFloatHarmNoLaterStep) {
  TrainingSetup s = setup();
  s.text = "fc8,fc4";
  SmallTraining training(s);
  ModelState state = training->save();
  for (Tensor& tensor : state.tensors) std::fill(tensor.floats().begin(), tensor.floats().end(), 0.0f);
  for (Tensor& tensor : state.tensors) {
    if (tensor.name == "2.bias") tensor.floats().at(0) = 20;  // class 0, whatever the image shows
    if (tensor.name != "2.weight") continue;
    for (std::size_t i = 0; i < tensor.floats().size(); ++i) tensor.floats()[i] = i < 8 ? 3e38f : -3e38f;
  }
  training->load(state);
  const std::vector<std::uint8_t>& labels = training.data().train.labels;
  const auto wrong =
      std::find_if(labels.begin(), labels.end(), [](std::uint8_t label) { return label != 0; });
  ASSERT_NE(wrong, labels.end());
  training->time_ops({wrong - labels.begin(), 1}, 1);
  EXPECT_TRUE(same_bits(training->save(), state));
  training->eval_step({0, 16});
  EXPECT_TRUE(std::isfinite(training->drain_metrics().at(0).loss_sum));
}

TEST_P(TimingTest, NeedsARepetitionAndABatch) {
  SmallTraining training(setup());
  EXPECT_THROW(training->time_ops({0, 16}, 0), std::logic_error);
  EXPECT_THROW(training->time_ops({0, 17}, 1), std::logic_error);
}

TEST_P(TimingTest, PeaksAreMeasured) {
  const DevicePeaks peaks = GetParam().make(2)->measure_peaks();
  EXPECT_GT(peaks.copy_bytes_per_second, 0);
  EXPECT_GT(peaks.fma_flops_per_second, 0);
}

BNTRAIN_FOR_EVERY_BACKEND(TimingTest);

}  // namespace
}  // namespace bntrain::test
