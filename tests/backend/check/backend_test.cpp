// Two devices side by side: those that agree pass, and what is not judged is not.
#include "backend/check/backend.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/check/checked_training.hpp"
#include "support/error_message.hpp"

namespace bntrain::test {
namespace {

using testing::HasSubstr;

std::vector<std::string> checked_networks() {
  return {kNetwork,
          "lenet-bn",
          "conv4x3p2,relu,maxpool2,conv4x2s2,relu,fc4",
          "fc9,bn,relu,fc7,bn,fc4",
          "bn,conv4x3,conv3x2,maxpool2,bn,relu,fc4",
          "conv4x3,bn,bn,relu,fc4",
          "conv4x3nobias,bn,relu,conv3x2nobias,fc6nobias,relu,fc4nobias",
          "flatten,bn,fc4",
          "conv4x3,bn,sigmoid,avgpool2,conv3x2,sigmoid,avgpool2,fc7,bn,sigmoid,fc4",
          "conv4x3p1,res(conv4x3p1,bn,relu,conv4x3p1,bn),relu,maxpool2,fc4",
          "res(conv4x3s2p1,bn,gelu|conv4x1s2),silu,res(conv4x1,leakyrelu),bn,fc4",
          "fc4"};
}

class CheckedBackendTest : public BackendTest {};

TEST_P(CheckedBackendTest, AgreesWithTheCpuAndTheResultIsTheReferences) {
  for (std::string text : checked_networks()) {
    if (text == "lenet-bn") text = "conv20x3,bn,relu,maxpool2,conv50x2,bn,relu,maxpool2,fc128,relu,fc4";
    for (const Init init : {Init::tutorial, Init::torch, Init::he}) {
      SCOPED_TRACE(text + ", init " + std::to_string(static_cast<int>(init)));
      CheckedTraining both(checked(GetParam().make(2)), text, init), alone(make_reference(), text, init);
      ASSERT_NO_THROW(both.steps(21));
      alone.steps(21);
      for (CheckedTraining* run : {&both, &alone})
        for (const BatchRange range : {BatchRange{0, kBatch}, BatchRange{kBatch, 4}})
          ASSERT_NO_THROW((*run)->eval_step(range));
      const auto metrics = both->drain_metrics(), expected = alone->drain_metrics();
      ASSERT_EQ(metrics.size(), 23u);
      for (std::size_t i = 0; i < metrics.size(); ++i) {
        EXPECT_EQ(metrics[i].loss_sum, expected[i].loss_sum);
        EXPECT_EQ(metrics[i].correct, expected[i].correct);
        EXPECT_EQ(metrics[i].count, expected[i].count);
      }
      EXPECT_TRUE(same_bits(both->save(), alone->save()));
      EXPECT_TRUE(same_bits(both->save_momentum(), alone->save_momentum()));
      EXPECT_TRUE(same_bits(both->save_gradients(), alone->save_gradients()));
      EXPECT_EQ(both->first_non_finite({0, kBatch}), "");
      EXPECT_TRUE(both->drain_metrics().empty());
    }
  }
}

BNTRAIN_FOR_EVERY_BACKEND(CheckedBackendTest);

TEST(CheckBackendTest, ItNamesBothDevicesAndReportsTheLargestDistances) {
  auto backend = checked(make_other());
  EXPECT_EQ(backend->description(),
            "check: " + make_other()->description() + " against " + make_reference()->description());
  CheckedTraining run(std::move(backend)), alone(make_reference()), other(make_other());
  EXPECT_EQ(run->variant(), "check: " + other->variant() + " against " + alone->variant());
  run.steps(4);
  run->eval_step({0, 5});
  EXPECT_THAT(run->report(),
              testing::AllOf(HasSubstr(other->variant()), HasSubstr("4 training and 1 evaluation steps"),
                             HasSubstr("loss "), HasSubstr("gradient "), HasSubstr("parameter "),
                             HasSubstr("running statistics "), HasSubstr("optimizer state ")));
  EXPECT_EQ(alone->report(), "");
}

TEST(CheckBackendTest, EvaluationsAreCompared) {
  CheckedTraining run(with_fault({.loaded = [](int, ModelState& state) {
    std::ranges::fill(floats_of(state, "1.running_var"), 2.0f);
  }}));
  EXPECT_THAT(error_message(ErrorKind::runtime,
                            [&] {
                              run->eval_step({3, 9});
                            }),
              HasSubstr("evaluation of test images 3 to 11: loss is "));
}

TEST(CheckBackendTest, EvaluationsByBatchAreComparedAndTheResultIsTheReferences) {
  CheckedTraining both(checked(make_other())), alone(make_reference());
  for (const int first_layer : {0, 5}) {
    const auto statistics = both->eval_step_by_batch({3, 9}, first_layer);
    const auto expected = alone->eval_step_by_batch({3, 9}, first_layer);
    ASSERT_EQ(statistics.size(), first_layer == 0 ? 2u : 1u);
    for (std::size_t i = 0; i < statistics.size(); ++i) {
      EXPECT_EQ(statistics[i].mean, expected[i].mean);
      EXPECT_EQ(statistics[i].var, expected[i].var);
    }
    EXPECT_EQ(both->logits(), alone->logits());
  }
  both->eval_step({0, 16});
  alone->eval_step({0, 16});
  EXPECT_EQ(both->logits(), alone->logits());

  CheckedTraining faulty(
      with_fault({.loaded = [](int, ModelState& state) { floats_of(state, "1.bias")[0] = 2; }}));
  EXPECT_THAT(error_message(ErrorKind::runtime,
                            [&] {
                              faulty->eval_step_by_batch({3, 9}, 0);
                            }),
              HasSubstr("evaluation by batch statistics of test images 3 to 11: loss is "));
}

TEST(CheckBackendTest, APlanWithoutTrainingIsEvaluatedByBoth) {
  CheckedTraining run(checked(make_other()), kNetwork, Init::torch, false);
  ASSERT_NO_THROW(run->eval_step({0, 16}));
  EXPECT_EQ(run->drain_metrics().size(), 1u);
}

TEST(CheckBackendTest, BothHaltAlikeAndLoadingStartsAgain) {
  CheckedTraining run(checked(make_other()));
  const ModelState start = run->save();
  double loss = 0;
  ModelState before;
  for (int step = 0; step < 10 && std::isfinite(loss); ++step) {
    before = run->save();
    ASSERT_NO_THROW(run.step(0, {.lr = 1e30, .momentum = 0.9}));
    loss = run->drain_metrics().at(0).loss_sum;
  }
  ASSERT_FALSE(std::isfinite(loss));
  ASSERT_NO_THROW(run.steps(3));
  for (const StepMetrics& metrics : run->drain_metrics()) EXPECT_TRUE(std::isnan(metrics.loss_sum));
  EXPECT_TRUE(same_bits(run->save(), before));
  EXPECT_NE(run->first_non_finite({0, kBatch}), "");
  run->load(start);
  ASSERT_NO_THROW(run.steps(3));
  for (const StepMetrics& metrics : run->drain_metrics()) EXPECT_TRUE(std::isfinite(metrics.loss_sum));
}

TEST(CheckBackendTest, ADeviceThatDoesNotHaltOrMovesItsStateIsCaught) {
  const auto diverge = [](Fault fault) {
    CheckedTraining run(with_fault(std::move(fault)));
    ModelState state = run->save();
    floats_of(state, "8.weight")[0] = std::numeric_limits<float>::quiet_NaN();
    run->load(state);
    return error_message(ErrorKind::runtime, [&] { run.step(0); });
  };
  EXPECT_THAT(diverge({.metrics = [](int, StepMetrics& metrics) { metrics.loss_sum = 1; }}),
              HasSubstr("loss is inf off"));
  EXPECT_THAT(diverge({.state = [](int, ModelState& state) { floats_of(state, "5.bias")[1] += 1; }}),
              HasSubstr("5.bias"));
}

// One hidden unit's input is 0 but for rounding, and the other device, whose bias is a few roundings smaller,
// finds it on the other side: half of the unit's gradients are gone, and nothing is wrong.
TEST(CheckBackendTest, ADecisionWithinRoundingIsNoFaultButAWrongOneIs) {
  const auto step = [](float input, Fault fault) {
    CheckedTraining run(with_fault(std::move(fault)), "fc3,relu,fc4");
    ModelState state = run->save();
    std::vector<float>& bias = floats_of(state, "1.bias");
    const std::vector<float>& weight = floats_of(state, "1.weight");
    double sum = 0;
    for (std::size_t pixel = 0; pixel < 90; ++pixel)
      sum += run.data().train.pixels[pixel] / 255.0 * weight[pixel];
    bias = {static_cast<float>(input - sum), 4, 4};
    run->load(state);
    run->train_step({0, 1}, SgdStep{.lr = 0.1, .gradient_scale = 1});
    return run->report();
  };
  const auto lowered = [](int, ModelState& state) { floats_of(state, "1.bias")[0] -= 1e-6f; };
  EXPECT_THAT(step(5e-7f, {.loaded = lowered}), HasSubstr("1 of them up to decisions"));
  EXPECT_THAT(step(0.5f, {.loaded = lowered}), HasSubstr("0 of them up to decisions"));
  const auto no_gradient = [](int, ModelState& g) {
    std::ranges::fill_n(floats_of(g, "1.weight").begin(), 90, 0.0f);
  };
  EXPECT_THAT(error_message(ErrorKind::runtime, [&] { step(0.5f, {.gradients = no_gradient}); }),
              HasSubstr("gradient 1.weight"));
}

// Inspection judges nothing, and must not count as steps.
TEST(CheckBackend, APlanForInspectionIsTheReferencesAlone) {
  const auto backend = make_check_backend(
      cpu_backend().make(1),
      std::make_unique<FaultyBackend>(cpu_backend().make(1), Fault{.batch_norm = [](BatchNormOptions&) {
                                        ADD_FAILURE() << "compiled twice";
                                      }}));
  const Dataset data = make_synthetic({{1, 6, 6, false}, 4, 8, 8, 7, 0.5});
  const Network network = Network::parse("conv2x3,bn,relu,fc4", data.train.shape, 4);
  TestedExecutable inspected = with_images(backend->compile({network, {}, 8, Purpose::inspection}), data);
  inspected.load(initial_state(network, Init::torch, 1));
  inspected.train_step({0, 8}, SgdStep{});
  EXPECT_EQ(inspected.read_value(1, StepPass::forward, 8).size(), 8u * 2 * 4 * 4);
  EXPECT_EQ(inspected.report(), "");
}

}  // namespace
}  // namespace bntrain::test
