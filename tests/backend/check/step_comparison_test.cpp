#include "backend/check/step_comparison.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "backend/check/faulty_backend.hpp"
#include "support/nan.hpp"

namespace bntrain {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
using support::kNan;

/// A made-up outcome of conv2x2,bn,relu,fc3 on images of 1x4x4: a step of momentum 0.9 at lr 0.5.
class StepComparisonTest : public testing::Test {
 protected:
  StepComparisonTest() {
    start.state = initial_state(network, Init::torch, 1);
    ModelState momentum;
    for (const Parameter& p : network.parameters()) momentum.tensors.push_back(*start.state.find(p.name));
    start.optimizer = {{"momentum_buffer", momentum}};
    outcome.metrics = {16.0, 3, 8};
    outcome.gradients = momentum;
    outcome.after = start;
    apply_update(outcome);
  }

  /// What the rule makes of the start and the outcome's own gradients.
  void apply_update(StepOutcome& made) const {
    for (const Parameter& p : network.parameters()) {
      const std::vector<float>& g = made.gradients.find(p.name)->floats();
      std::vector<float>& w = floats_of(made.after.state, p.name);
      std::vector<float>& m = floats_of(made.after.optimizer[0].state, p.name);
      for (std::size_t i = 0; i < g.size(); ++i) {
        m[i] = 0.9f * start.optimizer[0].state.find(p.name)->floats()[i] + g[i];
        w[i] = start.state.find(p.name)->floats()[i] - 0.5f * m[i];
      }
    }
  }

  std::vector<Distance> distances(const StepOutcome& judged) const {
    return step_distances(plan, params, start, outcome, judged);
  }
  Distance distance(const StepOutcome& judged, Quantity quantity, const std::string& tensor = "") const {
    for (const Distance& each : distances(judged))
      if (each.quantity == quantity && each.tensor == tensor) return each;
    ADD_FAILURE() << to_string(quantity) << " " << tensor << " is not compared";
    return {};
  }

  Network network = Network::parse("conv2x2,bn,relu,fc3", {1, 4, 4, false}, 3);
  Plan plan = make_plan({network, {}, 8, Purpose::training, UpdateRule::sgd_momentum}, {});
  StepParams params{{.lr = 0.5f, .momentum = 0.9f}, 1};
  StepState start;
  StepOutcome outcome;
};

TEST_F(StepComparisonTest, EqualOutcomesHaveNoDistanceButTheUpdatesRounding) {
  const std::vector<Distance> all = distances(outcome);
  EXPECT_EQ(all.size(), 3u + 2u + 3 * 6u);  // running statistics, metrics, three of each parameter
  for (const Distance& each : all) {
    const bool updated = each.quantity == Quantity::optimizer || each.quantity == Quantity::parameter;
    EXPECT_LE(each.value, updated ? 1e-7 : 0) << to_string(each.quantity) << each.tensor;
  }
}

TEST_F(StepComparisonTest, ARuleThatKeepsNothingIsComparedWithoutIt) {
  plan.update = UpdateRule::sgd;
  start.optimizer.clear();
  outcome.after.optimizer.clear();
  EXPECT_EQ(distances(outcome).size(), 3u + 2u + 2 * 6u);
}

TEST_F(StepComparisonTest, WeightDecayEndsWhereThePlanSays) {
  params.update.weight_decay = 0.25f;
  plan.decayed_floats = network.weight_floats();
  for (const Parameter& p : network.parameters()) {
    std::vector<float>& w = floats_of(outcome.after.state, p.name);
    std::vector<float>& m = floats_of(outcome.after.optimizer[0].state, p.name);
    if (p.role != TensorRole::weight) continue;
    for (std::size_t i = 0; i < w.size(); ++i) {
      const float decay = 0.25f * start.state.find(p.name)->floats()[i];
      m[i] += decay;
      w[i] -= 0.5f * decay;
    }
  }
  for (const Distance& each : distances(outcome)) EXPECT_TRUE(each.within()) << each.tensor;
  plan.decayed_floats = network.parameter_floats();
  EXPECT_FALSE(distance(outcome, Quantity::parameter, "1.weight").within());
  EXPECT_TRUE(distance(outcome, Quantity::parameter, "0.weight").within());
}

TEST_F(StepComparisonTest, AnEvaluationHasMetricsAlone) {
  const StepOutcome evaluation{{16.0, 3, 8}, {}, {}};
  EXPECT_EQ(step_distances(plan, {}, {}, evaluation, evaluation).size(), 2u);
}

TEST_F(StepComparisonTest, ThingsAreMeasuredInTheirOwnUnits) {
  StepOutcome judged = outcome;
  judged.metrics.loss_sum += 24e-3;  // the loss is 16 for 8 images
  judged.metrics.correct -= 2;
  for (float& value : floats_of(judged.gradients, "4.weight")) value *= 1.01f;
  for (float& value : floats_of(judged.after.state, "1.running_var")) value = 1.02f;  // mean 0, var 1
  floats_of(judged.after.state, "1.running_mean") = {0.03f, 0.03f};
  EXPECT_NEAR(distance(judged, Quantity::loss).value, 1e-3, 1e-9);
  EXPECT_NEAR(distance(judged, Quantity::correct).value, 0.25, 1e-9);
  EXPECT_NEAR(distance(judged, Quantity::gradient, "4.weight").value, 0.01, 1e-6);
  EXPECT_NEAR(distance(judged, Quantity::running_statistics, "1.running_var").value, 0.02, 1e-6);
  EXPECT_NEAR(distance(judged, Quantity::running_statistics, "1.running_mean").value, 0.03, 1e-6);
}

TEST_F(StepComparisonTest, AnUpdateIsJudgedWithItsOwnGradient) {
  StepOutcome judged = outcome;
  floats_of(judged.gradients, "4.bias")[1] += 0.25f;
  apply_update(judged);
  EXPECT_FALSE(distance(judged, Quantity::gradient, "4.bias").within());
  EXPECT_LT(distance(judged, Quantity::optimizer, "4.bias").value, 1e-7);
  EXPECT_LT(distance(judged, Quantity::parameter, "4.bias").value, 1e-7);
  floats_of(judged.after.state, "4.bias")[1] += 0.125f;
  EXPECT_FALSE(distance(judged, Quantity::parameter, "4.bias").within());
}

TEST_F(StepComparisonTest, AnUpdateIsMeasuredByTheTermsThatCancel) {
  std::ranges::fill(floats_of(start.state, "4.bias"), 0.45f);
  std::ranges::fill(floats_of(start.optimizer[0].state, "4.bias"), -1.0f);
  std::ranges::fill(floats_of(outcome.gradients, "4.bias"),
                    1.8f);  // the momentum is 0.9: what is left is 0.9
  apply_update(outcome);
  StepOutcome judged = outcome;
  for (float& value : floats_of(judged.after.state, "4.bias"))
    value += 1e-7f;  // and of the bias about nothing
  EXPECT_TRUE(distance(judged, Quantity::parameter, "4.bias").within());
  for (float& value : floats_of(judged.after.state, "4.bias")) value += 1e-6f;
  EXPECT_FALSE(distance(judged, Quantity::parameter, "4.bias").within());
}

TEST_F(StepComparisonTest, TheGradientOfAShiftThatANormSubtractsIsMeasuredByWhatCancelled) {
  std::ranges::fill(floats_of(outcome.gradients, "0.bias"), 0.0f);
  StepOutcome judged = outcome;
  floats_of(judged.gradients, "0.bias")[0] = 1e-4f;
  EXPECT_TRUE(distance(judged, Quantity::gradient, "0.bias").within());
  floats_of(judged.gradients, "0.bias")[0] = 0.1f;
  EXPECT_FALSE(distance(judged, Quantity::gradient, "0.bias").within());
  std::ranges::fill(floats_of(outcome.gradients, "1.bias"), 0.0f);  // a ReLU follows this one
  judged = outcome;
  floats_of(judged.gradients, "1.bias")[0] = 1e-30f;
  EXPECT_FALSE(distance(judged, Quantity::gradient, "1.bias").within());
}

TEST_F(StepComparisonTest, WhatIsNotFiniteMustBeSoInBoth) {
  for (const float value : {kInf, -kInf, kNan}) {
    StepOutcome judged = outcome;
    floats_of(judged.gradients, "4.weight")[0] = value;
    EXPECT_FALSE(distance(judged, Quantity::gradient, "4.weight").within());
    StepOutcome swapped = judged;
    std::swap(outcome, swapped);
    EXPECT_EQ(distance(judged, Quantity::gradient, "4.weight").value, 0);
    EXPECT_FALSE(distance(swapped, Quantity::gradient, "4.weight").within());
    std::swap(outcome, swapped);
  }
  StepOutcome judged = outcome;
  judged.metrics.loss_sum = kNan;
  EXPECT_FALSE(distance(judged, Quantity::loss).within());
}

TEST_F(StepComparisonTest, AfterALossThatIsNotFiniteTheStatesAreEqual) {
  outcome.metrics.loss_sum = kNan;
  StepOutcome judged = outcome;
  judged.metrics.loss_sum = kInf;
  std::ranges::fill(floats_of(judged.gradients, "4.weight"), kNan);  // ignored then
  for (const Distance& each : distances(judged)) EXPECT_TRUE(each.within());
  floats_of(judged.after.state, "4.weight")[5] *= 1.000001f;
  EXPECT_FALSE(distance(judged, Quantity::parameter, "4.weight").within());
  judged.metrics.loss_sum = 1;
  EXPECT_FALSE(distance(judged, Quantity::loss).within());
}

}  // namespace
}  // namespace bntrain
