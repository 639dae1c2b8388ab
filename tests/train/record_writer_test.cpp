#include "train/record_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "train/probe.hpp"

namespace bntrain {
namespace {

using testing::ElementsAre;

std::vector<StepMetrics> drained_steps(std::size_t count) {
  return {count, StepMetrics{.loss_sum = 8, .correct = 2, .count = 4, .lr = 0.1}};
}

std::vector<int> steps_before_divergence(const std::vector<std::vector<StepMetrics>>& drained) {
  std::ostringstream out;
  RecordWriter writer(out, "the records", false);
  std::int64_t first = 0;
  for (const std::vector<StepMetrics>& some : drained) {
    writer.on_steps(0, first, some);
    first += static_cast<std::int64_t>(some.size());
  }
  TrainResult result;
  result.end = TrainEnd::diverged;
  result.divergence = Divergence{.epoch = 0, .step = first - 1, .lr = 0.1, .layer = ""};
  writer.on_end(result);
  std::vector<int> numbers;
  const Json record = Json::parse(out.str());
  for (const Json& step : record.at("divergence").at("last_steps")) numbers.push_back(step.at("step"));
  return numbers;
}

TEST(RecordMaker, KeepsTheLastTenStepsBeforeADivergence) {
  EXPECT_THAT(steps_before_divergence({drained_steps(2)}), ElementsAre(0, 1));
  EXPECT_THAT(steps_before_divergence({drained_steps(10)}), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_THAT(steps_before_divergence({drained_steps(10), drained_steps(1)}),
              ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
  EXPECT_THAT(steps_before_divergence({drained_steps(3), drained_steps(25), drained_steps(1)}),
              ElementsAre(19, 20, 21, 22, 23, 24, 25, 26, 27, 28));
}

TEST(ProbeRecords, HaveEveryPercentileUnderItsName) {
  StepRecord record;
  record.norms.resize(1);
  record.norms[0].input = {1, 2, 3, 4, 5};
  EXPECT_EQ(probe_records(record).at(0).at("input_percentiles"),
            Json({{"5", 1}, {"15", 2}, {"50", 3}, {"85", 4}, {"95", 5}}));
}

/// `depth` lists in a record.
std::string nested_record(std::size_t depth) {
  return R"({"value":)" + std::string(depth, '[') + std::string(depth, ']') + "}";
}

TEST(ParseRecord, RefusesMoreThanSixteenLevels) {
  EXPECT_EQ(parse_record(nested_record(16)).dump(), nested_record(16));
  EXPECT_TRUE(parse_record(nested_record(17)).is_discarded());
}

}  // namespace
}  // namespace bntrain
