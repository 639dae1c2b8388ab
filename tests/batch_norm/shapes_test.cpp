// Batch norm against the fp64 reference over shapes.
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "batch_norm/implementation.hpp"

namespace bntrain::test {
namespace {

using Parameters = std::tuple<const Implementation*, BatchNormShape>;

std::string parameters_name(const testing::TestParamInfo<Parameters>& info) {
  const auto& [implementation, s] = info.param;
  return implementation->name() + "_" + std::to_string(s.batch) + "x" + std::to_string(s.channels) + "x" +
         std::to_string(s.spatial);
}

std::vector<Parameters> training_parameters() {
  std::vector<Parameters> result;
  for (const Implementation* each : implementations())
    for (const BatchNormShape& shape : each->all_shapes()) result.emplace_back(each, shape);
  return result;
}

std::vector<Parameters> inference_parameters() {
  std::vector<Parameters> result = training_parameters();
  std::erase_if(result, [](const Parameters& p) { return !std::get<0>(p)->has_own_inference(); });
  return result;
}

class BatchNormShapes : public testing::TestWithParam<Parameters> {};
INSTANTIATE_TEST_SUITE_P(, BatchNormShapes, testing::ValuesIn(training_parameters()), parameters_name);

TEST_P(BatchNormShapes, Training) {
  const auto& [implementation, shape] = GetParam();
  check_training(*implementation, make_case(shape));
}

class BatchNormInferenceShapes : public testing::TestWithParam<Parameters> {};
INSTANTIATE_TEST_SUITE_P(, BatchNormInferenceShapes, testing::ValuesIn(inference_parameters()),
                         parameters_name);

TEST_P(BatchNormInferenceShapes, Inference) {
  const auto& [implementation, shape] = GetParam();
  check_inference(*implementation, make_case(shape));
}

}  // namespace
}  // namespace bntrain::test
