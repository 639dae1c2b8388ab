// Each planted fault of a device is caught at its step and named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backend/check/checked_training.hpp"
#include "support/error_message.hpp"

namespace bntrain::test {
namespace {

using testing::HasSubstr;

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
  all.push_back({"gradient_of_a_bias_before_a_norm",
                 {.gradients = [](int, ModelState& g) { floats_of(g, "4.bias")[2] += 0.1f; }},
                 0,
                 {"gradient 4.bias", "'4 conv6x2'"}});
  all.push_back({"nan_in_a_gradient",
                 {.gradients = [](int, ModelState& g) { floats_of(g, "5.weight")[0] = std::nanf(""); }},
                 0,
                 {"gradient 5.weight", "inf off"}});
  all.push_back({"unbiased_running_var",
                 {.batch_norm = [](BatchNormOptions& options) { options.unbiased = true; }},
                 0,
                 {"running statistics 1.running_var", "'1-3 bn+relu+maxpool2'"}});
  all.push_back({"running_momentum",
                 {.batch_norm = [](BatchNormOptions& options) { options.momentum = 0.1; }},
                 0,
                 {"running statistics 1.running_mean"}});
  all.push_back({"eps",
                 {.batch_norm = [](BatchNormOptions& options) { options.eps = 1e-3; }},
                 0,
                 {"running statistics 5."}});
  all.push_back({"running_var_moves_twice",
                 {.state = scaled("5.running_var", 1.00001f, 7)},
                 7,
                 {"running statistics 5.running_var", "'5-6 bn+relu'"}});
  all.push_back({"updates_counted_twice",
                 {.state =
                      [](int, ModelState& state) {
                        for (Tensor& tensor : state.tensors)  // an executable counts once for all of them
                          if (tensor.name.ends_with(".num_batches_tracked"))
                            ++std::get<std::vector<std::int64_t>>(tensor.values)[0];
                      }},
                 0,
                 {"1.num_batches_tracked"}});
  all.push_back({"a_step_that_is_not_applied",
                 {.params =
                      [](int step, BatchRange, StepParams& params) {
                        if (step == 5) params.update.lr = 0;
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
  all.push_back({"correct_predictions",
                 {.metrics =
                      [](int step, StepMetrics& metrics) {
                        if (step == 6) metrics.correct += metrics.correct < metrics.count ? 1 : -1;
                      }},
                 6,
                 {": correct predictions is "}});
  all.push_back({"momentum_lost",
                 {.momentum_loaded =
                      [](int, ModelState& momentum) {
                        for (Tensor& tensor : momentum.tensors) std::ranges::fill(tensor.floats(), 0.0f);
                      }},
                 1,
                 {"optimizer state 0.weight"}});
  all.push_back({"momentum_of_the_wrong_size",
                 {.params = [](int, BatchRange, StepParams& params) { params.update.momentum = 0.8f; }},
                 1,
                 {"optimizer state 0.weight"}});
  all.push_back({"no_weight_decay",
                 {.params = [](int, BatchRange, StepParams& params) { params.update.weight_decay = 0; }},
                 0,
                 {"optimizer state 0.weight"}});
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
  CheckedTraining run(with_fault(planted.fault)), alone(make_reference());
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
TEST(PlantedFaults, AreCaughtInTheTutorialsInitialState) {
  std::vector<Fault> faults;
  for (const char* tensor : {"0.weight", "1.weight", "4.weight", "5.bias", "8.weight", "10.weight"})
    faults.push_back({.gradients = scaled(tensor, 1.01f, 0)});
  faults.push_back({.batch_norm = [](BatchNormOptions& options) { options.unbiased = true; }});
  faults.push_back({.params = [](int, BatchRange, StepParams& params) { params.update.lr *= 0.99f; }});
  faults.push_back({.params = [](int, BatchRange, StepParams& params) { params.gradient_scale *= 1.001; }});
  for (std::size_t i = 0; i < faults.size(); ++i) {
    CheckedTraining run(with_fault(faults[i]), kNetwork, Init::tutorial);
    EXPECT_THROW(run.step(0), Error) << "fault " << i;
  }
}

}  // namespace
}  // namespace bntrain::test
