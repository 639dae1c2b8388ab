// bntrain train --record.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_program.hpp"

namespace bntrain::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class RecordTest : public ::testing::Test {
 protected:
  std::vector<std::string> arguments(const std::vector<std::string>& more) const {
    std::vector<std::string> all = small_run({"--steps", "9", "--metrics", folder.file("metrics.jsonl")});
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<nlohmann::json> run(const std::vector<std::string>& more) const {
    const ProgramResult result = run_bntrain(arguments(more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json_lines(read_text(folder.file("metrics.jsonl")));
  }
  static std::vector<nlohmann::json> events(const std::vector<nlohmann::json>& records,
                                            const std::string& name) {
    std::vector<nlohmann::json> result;
    for (const nlohmann::json& record : records)
      if (record.at("event") == name) result.push_back(record);
    return result;
  }

  TemporaryFolder folder;
};

void expect_rising(const nlohmann::json& percentiles) {
  ASSERT_EQ(percentiles.size(), 5U);
  double last = -1e30;
  for (const char* percent : {"5", "15", "50", "85", "95"}) {
    EXPECT_GE(percentiles.at(percent).get<double>(), last) << percent;
    last = percentiles.at(percent);
  }
}

TEST_F(RecordTest, WritesBatchNormsAndActivationsEveryInterval) {
  const auto records = run({"--record", "bn,activations", "--log-every", "4", "--init", "he"});
  EXPECT_EQ(records.at(0).at("config").at("record"), "bn,activations");
  const auto norms = events(records, "bn");
  ASSERT_EQ(norms.size(), 3U);
  for (std::size_t i = 0; i < norms.size(); ++i) {
    EXPECT_EQ(norms[i].at("step"), 4 * i);
    EXPECT_EQ(norms[i].at("layer"), "1 bn");
    expect_rising(norms[i].at("input_percentiles"));
    ASSERT_EQ(norms[i].at("channels").size(), 4U);
    for (const nlohmann::json& channel : norms[i].at("channels"))
      for (const char* name : {"batch_mean", "batch_var", "running_mean", "running_var", "gamma", "beta"})
        EXPECT_TRUE(channel.at(name).is_number()) << name;
    EXPECT_GT(norms[i].at("gradient_norm_output"), 0);
    EXPECT_GT(norms[i].at("gradient_norm_input"), 0);
  }
  // Before the first update the running statistics and the affine part are those of --init he.
  for (const nlohmann::json& channel : norms[0].at("channels")) {
    EXPECT_EQ(channel.at("running_mean"), 0);
    EXPECT_EQ(channel.at("running_var"), 1);
    EXPECT_EQ(channel.at("gamma"), 1);
    EXPECT_EQ(channel.at("beta"), 0);
  }
  EXPECT_NE(norms[1].at("channels").at(0).at("running_mean"), 0);

  const auto activations = events(records, "activation");
  ASSERT_EQ(activations.size(), 3U);
  EXPECT_EQ(activations[1].at("step"), 4);
  EXPECT_EQ(activations[1].at("layer"), "2 relu");
  EXPECT_EQ(activations[1].at("unit"), 0);
  expect_rising(activations[1].at("percentiles"));
  expect_rising(activations[1].at("all_percentiles"));
}

TEST_F(RecordTest, AStepIsToldAfterTheStepsBeforeIt) {
  std::vector<std::string> order;
  for (const nlohmann::json& record : run({"--record", "bn", "--log-every", "4"})) {
    if (record.contains("step"))
      order.push_back(record.at("event").get<std::string>() + " " + record.at("step").dump());
  }
  EXPECT_THAT(order, ElementsAre("bn 0", "step 0", "step 1", "step 2", "step 3", "bn 4", "step 4", "step 5",
                                 "step 6", "step 7", "bn 8", "step 8"));
}

TEST_F(RecordTest, WithoutBatchNormTheActivationsAreLeft) {
  const auto records = run({"--record", "bn,activations", "--norm", "none"});
  EXPECT_THAT(events(records, "bn"), IsEmpty());
  ASSERT_EQ(events(records, "activation").size(), 1U);
  EXPECT_EQ(events(records, "activation")[0].at("layer"), "1 relu");
}

TEST_F(RecordTest, IsOffByDefault) {
  const auto records = run({"--log-every", "1"});
  EXPECT_EQ(records.at(0).at("config").at("record"), "");
  EXPECT_THAT(events(records, "bn"), IsEmpty());
  EXPECT_THAT(events(records, "activation"), IsEmpty());
}

TEST_F(RecordTest, LeavesTheModelAlone) {
  const std::string plain = folder.file("plain.safetensors"), looked = folder.file("looked.safetensors");
  run({"--save", plain, "--init", "he"});
  run({"--save", looked, "--init", "he", "--record", "bn,activations", "--log-every", "2"});
  EXPECT_EQ(read_text(plain), read_text(looked));
}

TEST_F(RecordTest, ADivergedRunHasNullsUpToItsLastStep) {
  const ProgramResult result =
      run_bntrain(arguments({"--record", "bn,activations", "--log-every", "1", "--lr", "1e38"}));
  EXPECT_EQ(result.exit_code, 4) << result.err;
  const auto records = json_lines(read_text(folder.file("metrics.jsonl")));
  const auto norms = events(records, "bn");
  const auto divergence = records.back().at("divergence");
  ASSERT_FALSE(norms.empty());
  EXPECT_EQ(norms.back().at("step"), divergence.at("step"));
  EXPECT_TRUE(norms.back().at("gradient_norm_output").is_null());
  EXPECT_FALSE(norms.front().at("gradient_norm_output").is_null());
}

TEST_F(RecordTest, NeedsMetrics) {
  const ProgramResult result = run_bntrain(small_run({"--record", "bn"}));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--record: it needs --metrics FILE.jsonl"));
}

TEST_F(RecordTest, RefusesOtherNames) {
  for (const char* value : {"batch", "bn,", "bn,bn", "bn;activations", ""}) {
    const ProgramResult result = run_bntrain(arguments({"--record", value}));
    EXPECT_EQ(result.exit_code, 2) << value;
    EXPECT_THAT(result.err, HasSubstr("allowed: bn, activations or bn,activations")) << value;
  }
}

TEST_F(RecordTest, TheEnvironmentAndAFileCanAskForIt) {
  ProgramSetup setup;
  setup.environment["BNTRAIN_RECORD"] = "activations,bn";
  EXPECT_EQ(run_bntrain(arguments({}), setup).exit_code, 0);
  EXPECT_EQ(json_lines(read_text(folder.file("metrics.jsonl"))).at(0).at("config").at("record"),
            "bn,activations");
  write_text(folder.file("run.toml"), "[train]\nrecord = \"bn\"\n");
  EXPECT_EQ(run({"--config", folder.file("run.toml")}).at(0).at("config").at("record"), "bn");
}

}  // namespace
}  // namespace bntrain::test
