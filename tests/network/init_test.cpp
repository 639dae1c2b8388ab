// Fixed values were computed by a separate implementation in another language.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "bntrain/network.hpp"

namespace bntrain {
namespace {

using testing::ElementsAre;

Network reference(Norm norm = Norm::batch) {
  return Network::parse("lenet-bn", {1, 28, 28, false}, 10, norm);
}

const std::vector<float>& values(const ModelState& state, const std::string& name) {
  const Tensor* tensor = state.find(name);
  if (tensor == nullptr) throw std::runtime_error("no tensor " + name);
  return tensor->floats();
}

double mean(const std::vector<float>& numbers) {
  double sum = 0;
  for (const float number : numbers) sum += number;
  return sum / static_cast<double>(numbers.size());
}

double deviation(const std::vector<float>& numbers) {
  const double middle = mean(numbers);
  double sum = 0;
  for (const float number : numbers) sum += (number - middle) * (number - middle);
  return std::sqrt(sum / static_cast<double>(numbers.size()));
}

/// Within five standard errors.
void expect_normal(const std::vector<float>& numbers, double sigma) {
  const auto count = static_cast<double>(numbers.size());
  EXPECT_NEAR(mean(numbers), 0.0, 5 * sigma / std::sqrt(count));
  EXPECT_NEAR(deviation(numbers), sigma, 5 * sigma / std::sqrt(2 * count));
}

void expect_uniform(const std::vector<float>& numbers, double bound) {
  const auto count = static_cast<double>(numbers.size());
  for (const float number : numbers) ASSERT_LE(std::abs(number), static_cast<float>(bound));
  EXPECT_NEAR(mean(numbers), 0.0, 5 * bound / std::sqrt(3 * count));
  EXPECT_NEAR(deviation(numbers), bound / std::sqrt(3), 5 * bound / std::sqrt(3 * count));
  EXPECT_GT(*std::max_element(numbers.begin(), numbers.end()), 0.8 * bound);
}

void expect_constant(const std::vector<float>& numbers, float value) {
  EXPECT_TRUE(std::all_of(numbers.begin(), numbers.end(), [&](float number) { return number == value; }));
}

TEST(InitialState, OrderIsThatOfAStateDict) {
  std::vector<std::string> names;
  const ModelState state = initial_state(reference(), Init::tutorial, 0);
  for (const Tensor& tensor : state.tensors) names.push_back(tensor.name);
  EXPECT_THAT(names, ElementsAre("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean",
                                 "1.running_var", "1.num_batches_tracked", "4.weight", "4.bias", "5.weight",
                                 "5.bias", "5.running_mean", "5.running_var", "5.num_batches_tracked",
                                 "9.weight", "9.bias", "11.weight", "11.bias"));
  const Tensor* tracked = state.find("5.num_batches_tracked");
  EXPECT_TRUE(tracked->shape.empty());
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(tracked->values), std::vector<std::int64_t>{0});
  EXPECT_EQ(state.find("4.weight")->shape, (std::vector<std::int64_t>{50, 20, 3, 3}));
  EXPECT_EQ(state.find("9.weight")->shape, (std::vector<std::int64_t>{128, 1250}));
}

TEST(InitialState, Tutorial) {
  const ModelState state = initial_state(reference(), Init::tutorial, 0);
  for (const char* name :
       {"0.weight", "4.weight", "9.weight", "11.weight", "1.weight", "1.bias", "5.weight", "5.bias"}) {
    SCOPED_TRACE(name);
    expect_normal(values(state, name), 0.01);
  }
  for (const char* name :
       {"0.bias", "4.bias", "9.bias", "11.bias", "1.running_mean", "1.running_var", "5.running_var"}) {
    expect_constant(values(state, name), 0.0f);
  }
}

TEST(InitialState, Gluon) {
  const ModelState state = initial_state(reference(), Init::gluon, 0);
  for (const char* name : {"0.weight", "4.weight", "9.weight", "11.weight"})
    expect_normal(values(state, name), 0.01);
  for (const char* name : {"0.bias", "11.bias", "1.bias", "5.bias", "1.running_mean"}) {
    expect_constant(values(state, name), 0.0f);
  }
  for (const char* name : {"1.weight", "5.weight", "1.running_var", "5.running_var"}) {
    expect_constant(values(state, name), 1.0f);
  }
}

TEST(InitialState, Torch) {
  const ModelState state = initial_state(reference(), Init::torch, 0);
  expect_uniform(values(state, "0.weight"), 1 / std::sqrt(25.0));
  expect_uniform(values(state, "4.weight"), 1 / std::sqrt(180.0));
  expect_uniform(values(state, "9.weight"), 1 / std::sqrt(1250.0));
  expect_uniform(values(state, "9.bias"), 1 / std::sqrt(1250.0));
  expect_uniform(values(state, "11.weight"), 1 / std::sqrt(128.0));
  EXPECT_NE(values(state, "0.weight")[0], values(state, "0.bias")[0]);
  expect_constant(values(state, "5.weight"), 1.0f);
  expect_constant(values(state, "5.bias"), 0.0f);
  expect_constant(values(state, "5.running_var"), 1.0f);
}

TEST(InitialState, He) {
  const ModelState state = initial_state(reference(), Init::he, 0);
  expect_normal(values(state, "0.weight"), std::sqrt(2 / 25.0));
  expect_normal(values(state, "4.weight"), std::sqrt(2 / 180.0));
  expect_normal(values(state, "9.weight"), std::sqrt(2 / 1250.0));
  expect_normal(values(state, "11.weight"), std::sqrt(1 / 128.0));
  expect_constant(values(state, "9.bias"), 0.0f);
  expect_constant(values(state, "1.weight"), 1.0f);
  expect_constant(values(state, "1.running_var"), 1.0f);
}

TEST(InitialState, Xavier) {
  const ModelState state = initial_state(reference(), Init::xavier, 0);
  expect_uniform(values(state, "0.weight"), std::sqrt(6.0 / (25 + 500)));
  expect_uniform(values(state, "4.weight"), std::sqrt(6.0 / (180 + 450)));
  expect_uniform(values(state, "9.weight"), std::sqrt(6.0 / (1250 + 128)));
  expect_uniform(values(state, "11.weight"), std::sqrt(6.0 / (128 + 10)));
  for (const char* name : {"0.bias", "9.bias", "11.bias", "1.bias", "5.running_mean"})
    expect_constant(values(state, name), 0.0f);
  expect_constant(values(state, "1.weight"), 1.0f);
  expect_constant(values(state, "5.running_var"), 1.0f);
}

class EveryInit : public testing::TestWithParam<Init> {};

TEST_P(EveryInit, TheSameWeightsWithoutNorm) {
  const ModelState with = initial_state(reference(), GetParam(), 4);
  const ModelState without = initial_state(reference(Norm::none), GetParam(), 4);
  const std::pair<const char*, const char*> pairs[] = {{"0", "0"}, {"4", "3"}, {"9", "7"}, {"11", "9"}};
  for (const auto& [one, other] : pairs) {
    for (const char* part : {".weight", ".bias"}) {
      EXPECT_EQ(values(with, std::string(one) + part), values(without, std::string(other) + part))
          << one << part;
    }
  }
}

TEST_P(EveryInit, SeedsDifferAndRepeat) {
  const ModelState once = initial_state(reference(), GetParam(), 1);
  const ModelState again = initial_state(reference(), GetParam(), 1);
  const ModelState other = initial_state(reference(), GetParam(), 2);
  for (const Tensor& tensor : once.tensors)
    EXPECT_EQ(tensor.values, again.find(tensor.name)->values) << tensor.name;
  for (const char* name : {"0.weight", "4.weight", "9.weight", "11.weight"}) {
    EXPECT_NE(values(once, name), values(other, name)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Inits, EveryInit,
                         testing::Values(Init::tutorial, Init::gluon, Init::torch, Init::he, Init::xavier));

TEST(InitialState, TheNumbersNeverChange) {
  const auto start = [](const ModelState& state, const char* name, std::size_t count) {
    const std::vector<float>& all = values(state, name);
    return std::vector<float>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
  };
  const ModelState state = initial_state(reference(), Init::tutorial, 7);
  EXPECT_THAT(start(state, "0.weight", 4),
              ElementsAre(-0x1.6e01ep-8f, 0x1.0797d6p-9f, 0x1.1510dp-7f, 0x1.e910ecp-7f));
  EXPECT_THAT(start(state, "9.weight", 4),
              ElementsAre(-0x1.d1c6e6p-8f, 0x1.a2156cp-9f, 0x1.da31a4p-12f, 0x1.1e341cp-9f));
  EXPECT_THAT(start(state, "5.weight", 4),
              ElementsAre(-0x1.e9f1d6p-9f, 0x1.17b216p-8f, -0x1.020aa6p-7f, 0x1.32aee4p-7f));
  EXPECT_THAT(start(state, "1.bias", 4),
              ElementsAre(0x1.3c6bf2p-8f, -0x1.5aa3eep-6f, 0x1.1dbc4p-7f, 0x1.e3d768p-6f));
  EXPECT_THAT(start(initial_state(reference(), Init::torch, 7), "0.weight", 3),
              ElementsAre(0x1.1546dcp-3f, -0x1.688366p-6f, -0x1.baf714p-4f));
}

}  // namespace
}  // namespace bntrain
