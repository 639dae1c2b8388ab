// What happens once a loss is not finite: nothing more, and the place can be named.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/small_training.hpp"

namespace bntrain::test {
namespace {

class HaltingTest : public BackendTest {
 protected:
  static TrainingSetup setup() {
    TrainingSetup result;
    result.backend = GetParam();
    return result;
  }
  static bool finite(const ModelState& state) {
    for (const Tensor& tensor : state.tensors)
      if (std::holds_alternative<std::vector<float>>(tensor.values))
        for (const float value : tensor.floats())
          if (!std::isfinite(value)) return false;
    return true;
  }
  /// The initial state with one number replaced.
  static ModelState with(const SmallTraining& training, const char* tensor, float value) {
    ModelState state = initial_state(training.network(), Init::torch, 1);
    for (Tensor& each : state.tensors)
      if (each.name == tensor) each.floats().at(0) = value;
    return state;
  }
};

TEST_P(HaltingTest, AStepWithoutAFiniteLossChangesNothingAndNoneFollows) {
  for (const Norm norm : {Norm::batch, Norm::none}) {
    TrainingSetup s = setup();
    s.norm = norm;
    SmallTraining training(s);
    const SgdStep params{.lr = 1e30, .momentum = 0.9};
    ModelState before;
    int steps = 0;
    double loss = 0;
    for (; std::isfinite(loss); ++steps) {
      ASSERT_LT(steps, 10) << "a learning rate of 1e30 did no harm";
      before = training->save();
      training->train_step({0, 16}, params);
      loss = training->drain_metrics().at(0).loss_sum;
    }
    EXPECT_GT(steps, 1);
    EXPECT_TRUE(same_bits(before, training->save()));
    for (int later = 0; later < 3; ++later) training->train_step({16, 8}, SgdStep{.lr = 0.1});
    for (const StepMetrics& metrics : training->drain_metrics()) {
      EXPECT_TRUE(std::isnan(metrics.loss_sum));
      EXPECT_EQ(metrics.correct, 0);
      EXPECT_EQ(metrics.count, 8);
    }
    EXPECT_TRUE(same_bits(before, training->save()));
    EXPECT_NE(training->first_non_finite({0, 16}), "");
  }
}

TEST_P(HaltingTest, LoadingStartsAgain) {
  SmallTraining training(setup());
  training->load(with(training, "0.weight", std::nanf("")));
  training->train_step({0, 16}, SgdStep{});
  EXPECT_TRUE(std::isnan(training->drain_metrics().at(0).loss_sum));
  const ModelState start = initial_state(training.network(), Init::torch, 1);
  training->load(start);
  training->train_step({0, 16}, SgdStep{});
  EXPECT_TRUE(std::isfinite(training->drain_metrics().at(0).loss_sum));
  EXPECT_TRUE(finite(training->save()));
  EXPECT_FALSE(same_bits(start, training->save()));
}

TEST_P(HaltingTest, FirstNonFiniteNamesTheStep) {
  SmallTraining training(setup());
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const auto named = [&](const char* tensor, float value) {
    training->load(with(training, tensor, value));
    return training->first_non_finite({3, 13});
  };
  EXPECT_EQ(named("0.weight", 0.5f), "");
  EXPECT_EQ(named("0.weight", kNan), "0 conv4x3 (parameter 0.weight)");
  EXPECT_EQ(named("0.bias", kInf), "0 conv4x3 (parameter 0.bias)");
  EXPECT_EQ(named("1.weight", kNan), "1-3 bn+relu+maxpool2 (parameter 1.weight)");
  EXPECT_EQ(named("7.bias", -kInf), "7 fc4 (parameter 7.bias)");
  EXPECT_EQ(named("5.weight", 3e38f), "5-6 fc8+relu (output)");
}

TEST_P(HaltingTest, FirstNonFiniteChangesNothing) {
  SmallTraining training(setup()), other(setup());
  training->train_step({0, 16}, SgdStep{});
  other->train_step({0, 16}, SgdStep{});
  EXPECT_EQ(training->first_non_finite({16, 9}), "");
  EXPECT_EQ(training->drain_metrics().size(), 1u);
  training->train_step({16, 16}, SgdStep{.momentum = 0.9});
  other->train_step({16, 16}, SgdStep{.momentum = 0.9});
  EXPECT_TRUE(same_bits(training->save(), other->save()));
}

BNTRAIN_FOR_EVERY_BACKEND(HaltingTest);

}  // namespace
}  // namespace bntrain::test
