#include "backend/check/step_comparison.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "backend/check/faulty_backend.hpp"

namespace bntrain {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// A made-up outcome of conv2x2,bn,relu,fc3 on images of 1x4x4.
class StepComparisonTest : public testing::Test {
 protected:
  StepComparisonTest() {
    const ModelState state = initial_state(network, Init::torch, 1);
    outcome.metrics = {16.0, 3, 8};
    outcome.state = state;
    for (const Parameter& p : network.parameters()) outcome.gradients.tensors.push_back(*state.find(p.name));
    outcome.momentum = outcome.gradients;
  }

  Distance distance(const StepOutcome& judged, Quantity quantity, const std::string& tensor = "") const {
    for (const Distance& each : step_distances(network, params, outcome, judged))
      if (each.quantity == quantity && each.tensor == tensor) return each;
    ADD_FAILURE() << to_string(quantity) << " " << tensor << " is not compared";
    return {};
  }

  Network network = Network::parse("conv2x2,bn,relu,fc3", {1, 4, 4, false}, 3);
  SgdStep params{.lr = 0.5, .momentum = 0.9};
  StepOutcome outcome;
};

TEST_F(StepComparisonTest, EqualOutcomesHaveNoDistance) {
  const std::vector<Distance> distances = step_distances(network, params, outcome, outcome);
  EXPECT_EQ(distances.size(), 3u + 2u + 3 * 6u);  // running statistics, metrics, three of each parameter
  for (const Distance& each : distances) EXPECT_EQ(each.value, 0) << to_string(each.quantity) << each.tensor;
}

TEST_F(StepComparisonTest, WithoutMomentumTheBuffersAreNotCompared) {
  params.momentum = 0;
  EXPECT_EQ(step_distances(network, params, outcome, outcome).size(), 3u + 2u + 2 * 6u);
}

TEST_F(StepComparisonTest, AnEvaluationHasMetricsAlone) {
  const StepOutcome evaluation{{16.0, 3, 8}, {}, {}, {}};
  EXPECT_EQ(step_distances(network, {}, evaluation, evaluation).size(), 2u);
}

TEST_F(StepComparisonTest, ThingsAreMeasuredInTheirOwnUnits) {
  StepOutcome judged = outcome;
  judged.metrics.loss_sum += 24e-3;  // the loss is 16 for 8 images
  judged.metrics.correct -= 2;
  for (float& value : floats_of(judged.gradients, "4.weight")) value *= 1.01f;
  for (float& value : floats_of(judged.state, "1.running_var")) value = 1.02f;  // mean 0, var 1
  floats_of(judged.state, "1.running_mean") = {0.03f, 0.03f};
  EXPECT_NEAR(distance(judged, Quantity::loss).value, 1e-3, 1e-9);
  EXPECT_NEAR(distance(judged, Quantity::correct).value, 0.25, 1e-9);
  EXPECT_NEAR(distance(judged, Quantity::gradient, "4.weight").value, 0.01, 1e-6);
  EXPECT_NEAR(distance(judged, Quantity::running_statistics, "1.running_var").value, 0.02, 1e-6);
  EXPECT_NEAR(distance(judged, Quantity::running_statistics, "1.running_mean").value, 0.03, 1e-6);
}

TEST_F(StepComparisonTest, AnUpdateIsJudgedWithItsOwnGradient) {
  StepOutcome judged = outcome;
  floats_of(judged.gradients, "4.bias")[1] += 0.25f;
  floats_of(judged.momentum, "4.bias")[1] += 0.25f;
  floats_of(judged.state, "4.bias")[1] -= 0.125f;
  EXPECT_FALSE(distance(judged, Quantity::gradient, "4.bias").within());
  EXPECT_LT(distance(judged, Quantity::momentum, "4.bias").value, 1e-7);
  EXPECT_LT(distance(judged, Quantity::parameter, "4.bias").value, 1e-7);
  floats_of(judged.state, "4.bias")[1] += 0.125f;
  EXPECT_FALSE(distance(judged, Quantity::parameter, "4.bias").within());
}

TEST_F(StepComparisonTest, TheGradientOfAShiftBehindWhichANormSubtractsIsMeasuredByWhatCancelled) {
  std::ranges::fill(floats_of(outcome.gradients, "0.bias"), 0.0f);
  StepOutcome judged = outcome;
  floats_of(judged.gradients, "0.bias")[0] = 1e-4f;
  EXPECT_TRUE(distance(judged, Quantity::gradient, "0.bias").within());
  floats_of(judged.gradients, "0.bias")[0] = 0.1f;
  EXPECT_FALSE(distance(judged, Quantity::gradient, "0.bias").within());
  std::ranges::fill(floats_of(outcome.gradients, "1.bias"), 0.0f);  // a ReLU is behind this one
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
  std::ranges::fill(floats_of(judged.gradients, "4.weight"), kNan);  // of no meaning then
  for (const Distance& each : step_distances(network, params, outcome, judged)) EXPECT_TRUE(each.within());
  floats_of(judged.state, "4.weight")[5] *= 1.000001f;
  EXPECT_FALSE(distance(judged, Quantity::parameter, "4.weight").within());
  judged.metrics.loss_sum = 1;
  EXPECT_FALSE(distance(judged, Quantity::loss).within());
}

}  // namespace
}  // namespace bntrain
