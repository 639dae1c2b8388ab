// Two devices side by side: those that agree pass, and each planted fault is named.
#include "backend/check_backend.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "backend/cpu/backend.hpp"
#include "backend/faulty_backend.hpp"
#include "bntrain/random.hpp"
#include "support/error_message.hpp"
#include "support/small_training.hpp"

namespace bntrain {
namespace {

using test::same_bits;
using testing::HasSubstr;

constexpr const char* kNetwork = "conv4x3,bn,relu,maxpool2,conv6x2,bn,relu,fc8,relu,fc4";
constexpr std::int64_t kBatch = 16, kTrain = 40;  // two full batches and one of 8
const StepParams kParams{.lr = 0.05, .momentum = 0.9, .weight_decay = 1e-3, .gradient_scale = 1.0 / kBatch};

std::unique_ptr<Backend> make_reference() {
  return cpu::make_cpu_backend(1, available_cpu_isas().back());
}

std::unique_ptr<Backend> make_other() {
  return cpu::make_cpu_backend(2, available_cpu_isas().front());
}

/// A backend, a network with its initial state loaded, and data.
class Training {
 public:
  Training(std::unique_ptr<Backend> backend, const std::string& text = kNetwork, Init init = Init::torch,
           bool training = true)
      : data_(make_synthetic({{1, 10, 9, false}, 4, kTrain, 20, 7, 0.5})),
        network_(Network::parse(text, data_.train.shape, 4)),
        backend_(std::move(backend)) {
    PlanOptions options = backend_->plan_options();
    options.training = training;
    executable_ = backend_->compile(make_plan(network_, {}, kBatch, options), data_);
    executable_->load(initial_state(network_, init, 1));
  }

  /// Makes training step `number`: the three batches again and again, each epoch in another order.
  void step(int number, const StepParams& params = kParams) {
    const int in_epoch = number % 3;
    if (in_epoch == 0) executable_->set_order(epoch_order(kTrain, 3, number / 3, true));
    executable_->train_step({in_epoch * kBatch, in_epoch == 2 ? kTrain - 2 * kBatch : kBatch}, params);
  }
  void steps(int count, const StepParams& params = kParams) {
    for (int number = 0; number < count; ++number) step(number, params);
  }

  Executable* operator->() { return executable_.get(); }
  const Network& network() const { return network_; }
  const Dataset& data() const { return data_; }

 private:
  Dataset data_;
  Network network_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Executable> executable_;
};

std::unique_ptr<Backend> checked(std::unique_ptr<Backend> judged) {
  return make_check_backend(make_reference(), std::move(judged));
}

std::unique_ptr<Backend> with_fault(Fault fault) {
  return checked(std::make_unique<FaultyBackend>(make_other(), std::move(fault)));
}

std::vector<std::string> networks() {
  return {kNetwork,
          "lenet-bn",
          "conv4x3p2,relu,maxpool2,conv4x2s2,relu,fc4",
          "fc9,bn,relu,fc7,bn,fc4",
          "bn,conv4x3,conv3x2,maxpool2,bn,relu,fc4",
          "conv4x3,bn,bn,relu,fc4",
          "flatten,bn,fc4",
          "conv4x3,bn,sigmoid,avgpool2,conv3x2,sigmoid,avgpool2,fc7,bn,sigmoid,fc4",
          "fc4"};
}

class CheckedBackendTest : public test::BackendTest {};

TEST_P(CheckedBackendTest, AgreesWithTheCpuAndTheResultIsTheReferences) {
  for (std::string text : networks()) {
    if (text == "lenet-bn") text = "conv20x3,bn,relu,maxpool2,conv50x2,bn,relu,maxpool2,fc128,relu,fc4";
    for (const Init init : {Init::tutorial, Init::torch, Init::he}) {
      SCOPED_TRACE(text + ", init " + std::to_string(static_cast<int>(init)));
      Training both(checked(GetParam().make(2)), text, init), alone(make_reference(), text, init);
      ASSERT_NO_THROW(both.steps(21));
      alone.steps(21);
      for (Training* run : {&both, &alone})
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
  Training run(std::move(backend)), alone(make_reference()), other(make_other());
  EXPECT_EQ(run->variant(), "check: " + other->variant() + " against " + alone->variant());
  run.steps(4);
  run->eval_step({0, 5});
  EXPECT_THAT(run->report(),
              testing::AllOf(HasSubstr(other->variant()), HasSubstr("4 training and 1 evaluation steps"),
                             HasSubstr("loss "), HasSubstr("gradient "), HasSubstr("parameter "),
                             HasSubstr("running statistics "), HasSubstr("momentum ")));
  EXPECT_EQ(alone->report(), "");
}

struct PlantedFault {
  std::string name;
  Fault fault;
  int step;                        ///< the first that goes wrong
  std::vector<std::string> words;  ///< all are in the message
};

void PrintTo(const PlantedFault& planted, std::ostream* out) {
  *out << planted.name;
}

auto scaled(const std::string& tensor, float factor, int at_step) {
  return [=](int step, ModelState& state) {
    if (step == at_step)
      for (float& value : floats_of(state, tensor)) value *= factor;
  };
}

std::vector<PlantedFault> planted_faults() {
  std::vector<PlantedFault> all;
  for (const char* tensor : {"0.weight", "1.weight", "1.bias", "4.weight", "5.bias", "8.weight", "10.bias"})
    all.push_back({"gradient_of_" + std::string(1, tensor[0]) + (tensor[1] == '.' ? "_" : "0_") +
                       std::string(tensor).substr(std::string(tensor).find('.') + 1),
                   {.gradients = scaled(tensor, 1.01f, 4)},
                   4,
                   {"gradient " + std::string(tensor)}});
  all.push_back({"gradient_of_a_bias_in_front_of_a_norm",
                 {.gradients = [](int, ModelState& g) { floats_of(g, "4.bias")[2] += 0.1f; }},
                 0,
                 {"gradient 4.bias", "'4 conv6x2'"}});
  all.push_back({"nan_in_a_gradient",
                 {.gradients = [](int, ModelState& g) { floats_of(g, "5.weight")[0] = std::nanf(""); }},
                 0,
                 {"gradient 5.weight", "inf off"}});
  all.push_back({"unbiased_running_var",
                 {.plan = [](Plan& plan) { plan.batch_norm.unbiased = true; }},
                 0,
                 {"running statistics 1.running_var", "'1-3 bn+relu+maxpool2'"}});
  all.push_back({"running_momentum",
                 {.plan = [](Plan& plan) { plan.batch_norm.momentum = 0.1; }},
                 0,
                 {"running statistics 1.running_mean"}});
  all.push_back(
      {"eps", {.plan = [](Plan& plan) { plan.batch_norm.eps = 1e-3; }}, 0, {"running statistics 5."}});
  all.push_back({"running_var_moves_twice",
                 {.state = scaled("5.running_var", 1.00001f, 7)},
                 7,
                 {"running statistics 5.running_var", "'5-6 bn+relu'"}});
  all.push_back({"updates_counted_twice",
                 {.state =
                      [](int, ModelState& state) {
                        for (Tensor& tensor : state.tensors)
                          if (tensor.name == "5.num_batches_tracked")
                            ++std::get<std::vector<std::int64_t>>(tensor.values)[0];
                      }},
                 0,
                 {"5.num_batches_tracked"}});
  all.push_back({"a_step_that_is_not_applied",
                 {.params =
                      [](int step, BatchRange, StepParams& params) {
                        if (step == 5) params.lr = 0;
                      }},
                 5,
                 {"parameter 0.weight", "'0 conv4x3'"}});
  all.push_back({"loss",
                 {.metrics =
                      [](int step, StepMetrics& metrics) {
                        if (step == 6) metrics.loss_sum *= 1.001;
                      }},
                 6,
                 {": loss is "}});
  all.push_back({"hits",
                 {.metrics =
                      [](int step, StepMetrics& metrics) {
                        if (step == 6) metrics.correct += metrics.correct < metrics.count ? 1 : -1;
                      }},
                 6,
                 {": images classified right is "}});
  all.push_back({"momentum_lost",
                 {.momentum_loaded =
                      [](int, ModelState& momentum) {
                        for (Tensor& tensor : momentum.tensors) std::ranges::fill(tensor.floats(), 0.0f);
                      }},
                 1,
                 {"momentum 0.weight"}});
  all.push_back({"momentum_of_the_wrong_size",
                 {.params = [](int, BatchRange, StepParams& params) { params.momentum = 0.8; }},
                 1,
                 {"momentum 0.weight"}});
  all.push_back({"no_weight_decay",
                 {.params = [](int, BatchRange, StepParams& params) { params.weight_decay = 0; }},
                 0,
                 {"momentum 0.weight"}});
  all.push_back(
      {"short_batch_divided_by_its_own_size",
       {.params = [](int, BatchRange range,
                     StepParams& params) { params.gradient_scale = 1.0 / static_cast<double>(range.count); }},
       2,
       {"gradient 10.bias", "'10 fc4'"}});
  all.push_back(
      {"bias_of_a_convolution_left_out",
       {.loaded = [](int, ModelState& state) { std::ranges::fill(floats_of(state, "4.bias"), 0.0f); }},
       0,
       {"running statistics 5.running_mean"}});
  all.push_back(
      {"bias_of_the_last_layer_left_out",
       {.loaded = [](int, ModelState& state) { std::ranges::fill(floats_of(state, "10.bias"), 0.0f); }},
       0,
       {": loss is "}});
  all.push_back({"halts_alone",
                 {.metrics =
                      [](int step, StepMetrics& metrics) {
                        if (step == 3) metrics.loss_sum = std::nan("");
                      }},
                 3,
                 {": loss is inf off"}});
  return all;
}

class PlantedFaultTest : public testing::TestWithParam<PlantedFault> {};

TEST_P(PlantedFaultTest, IsCaughtAtItsStepAndNamed) {
  const PlantedFault& planted = GetParam();
  Training run(with_fault(planted.fault)), alone(make_reference());
  for (int step = 0; step < planted.step; ++step) ASSERT_NO_THROW(run.step(step)) << "step " << step;
  const std::string message = error_message(ErrorKind::runtime, [&] { run.step(planted.step); });
  EXPECT_THAT(message, HasSubstr("training step " + std::to_string(planted.step) + ": "));
  for (const std::string& word : planted.words) EXPECT_THAT(message, HasSubstr(word));
  EXPECT_THAT(message, HasSubstr("faulty against " + alone->variant()));
  EXPECT_THAT(message, testing::ContainsRegex("is .* off, allowed [0-9.e-]+"));
}

INSTANTIATE_TEST_SUITE_P(Faults, PlantedFaultTest, testing::ValuesIn(planted_faults()),
                         [](const auto& param) { return param.param.name; });

// Init tutorial starts with gradients and parameters near nothing; relative distances see them all the same.
TEST(CheckBackendTest, FaultsAreCaughtInTheTutorialsInitialState) {
  std::vector<Fault> faults;
  for (const char* tensor : {"0.weight", "1.weight", "4.weight", "5.bias", "8.weight", "10.weight"})
    faults.push_back({.gradients = scaled(tensor, 1.01f, 0)});
  faults.push_back({.plan = [](Plan& plan) { plan.batch_norm.unbiased = true; }});
  faults.push_back({.params = [](int, BatchRange, StepParams& params) { params.lr *= 0.99; }});
  faults.push_back({.params = [](int, BatchRange, StepParams& params) { params.gradient_scale *= 1.001; }});
  for (std::size_t i = 0; i < faults.size(); ++i) {
    Training run(with_fault(faults[i]), kNetwork, Init::tutorial);
    EXPECT_THROW(run.step(0), Error) << "fault " << i;
  }
}

TEST(CheckBackendTest, EvaluationsAreCompared) {
  Training run(with_fault({.loaded = [](int, ModelState& state) {
    std::ranges::fill(floats_of(state, "1.running_var"), 2.0f);
  }}));
  EXPECT_THAT(error_message(ErrorKind::runtime,
                            [&] {
                              run->eval_step({3, 9});
                            }),
              HasSubstr("evaluation of test images 3 to 11: loss is "));
}

TEST(CheckBackendTest, EvaluationsByBatchAreComparedAndTheResultIsTheReferences) {
  Training both(checked(make_other())), alone(make_reference());
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

  Training faulty(with_fault({.loaded = [](int, ModelState& state) { floats_of(state, "1.bias")[0] = 2; }}));
  EXPECT_THAT(error_message(ErrorKind::runtime,
                            [&] {
                              faulty->eval_step_by_batch({3, 9}, 0);
                            }),
              HasSubstr("evaluation by batch statistics of test images 3 to 11: loss is "));
}

TEST(CheckBackendTest, APlanWithoutTrainingIsEvaluatedByBoth) {
  Training run(checked(make_other()), kNetwork, Init::torch, false);
  ASSERT_NO_THROW(run->eval_step({0, 16}));
  EXPECT_EQ(run->drain_metrics().size(), 1u);
}

TEST(CheckBackendTest, BothHaltAlikeAndLoadingStartsAgain) {
  Training run(checked(make_other()));
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
    Training run(with_fault(std::move(fault)));
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
    Training run(with_fault(std::move(fault)), "fc3,relu,fc4");
    ModelState state = run->save();
    std::vector<float>& bias = floats_of(state, "1.bias");
    const std::vector<float>& weight = floats_of(state, "1.weight");
    double sum = 0;
    for (std::size_t pixel = 0; pixel < 90; ++pixel)
      sum += run.data().train.pixels[pixel] / 255.0 * weight[pixel];
    bias = {static_cast<float>(input - sum), 4, 4};
    run->load(state);
    run->train_step({0, 1}, {.lr = 0.1, .gradient_scale = 1});
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

// Looking judges nothing, and must not count as steps.
TEST(CheckBackend, APlanOfEveryValueIsTheReferencesAlone) {
  const auto backend = make_check_backend(
      test::cpu_backend().make(1),
      std::make_unique<FaultyBackend>(test::cpu_backend().make(1),
                                      Fault{.plan = [](Plan&) { ADD_FAILURE() << "compiled twice"; }}));
  const Dataset data = make_synthetic({{1, 6, 6, false}, 4, 8, 8, 7, 0.5});
  const Network network = Network::parse("conv2x3,bn,relu,fc4", data.train.shape, 4);
  const auto looking = backend->compile(make_plan(network, {}, 8, {.every_value = true}), data);
  looking->load(initial_state(network, Init::torch, 1));
  looking->train_step({0, 8}, {});
  EXPECT_EQ(looking->read_value(1, StepPass::forward, 8).size(), 8u * 2 * 4 * 4);
  EXPECT_EQ(looking->report(), "");
}

}  // namespace
}  // namespace bntrain
