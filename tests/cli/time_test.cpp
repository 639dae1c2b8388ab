// bntrain time on a small network: what it lists is the plan, and its numbers belong together. No time is
// asserted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "bntrain/backend.hpp"
#include "cli/run_program.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::vector<std::string> time_arguments(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = small_run(more);
  arguments.insert(arguments.begin(), "time");
  arguments.insert(arguments.end(), {"--device", "cpu", "--repetitions", "3", "--quiet"});
  return arguments;
}

nlohmann::json time_json(std::vector<std::string> more, const ProgramSetup& setup = {}) {
  more.emplace_back("--json");
  const ProgramResult result = run_bntrain(time_arguments(more), setup);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  const auto records = json_lines(result.out);
  EXPECT_EQ(records.size(), 1U);
  return records.at(0);
}

void expect_near(double actual, double expected, const std::string& what) {
  EXPECT_NEAR(actual, expected, 1e-9 * std::abs(expected)) << what;
}

void expect_quartiles(const nlohmann::json& seconds, const std::string& what) {
  const double first = seconds.at("first_quartile"), median = seconds.at("median"),
               third = seconds.at("third_quartile");
  EXPECT_GT(first, 0) << what;
  EXPECT_LE(first, median) << what;
  EXPECT_LE(median, third) << what;
}

/// How the forward passes of the convolutions are computed.
std::vector<std::string> conv_variants(const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"time",
                                     "--json",
                                     "--quiet",
                                     "--device",
                                     "cpu",
                                     "--repetitions",
                                     "1",
                                     "--data",
                                     "synthetic:shape=1x8x8,train=256,test=16",
                                     "--network",
                                     "conv16x3p1,relu,conv16x3p1,relu,conv16x3,relu,conv16x5p2,relu,fc10"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const ProgramResult result = run_bntrain(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::vector<std::string> variants;
  const auto records = json_lines(result.out);
  for (const auto& part : records.at(0).at("parts")) {
    if (part.at("name").get<std::string>().find("conv") == std::string::npos || part.at("pass") != "forward")
      continue;
    const std::string variant = part.at("variant");
    variants.push_back(variant.substr(0, variant.find('+')));
  }
  return variants;
}

// Images of 8x8: one channel is too few, 6x6 outputs would waste nearly half of the large tiles, 5x5 weights
// have no transform.
TEST(TimeTest, ConvolutionsAreComputedAsConvSays) {
  if (available_cpu_isas().back() < CpuIsa::v3) GTEST_SKIP() << "Winograd's algorithm needs AVX2";
  EXPECT_THAT(conv_variants({}), ElementsAre("direct", "Winograd 4x4", "Winograd 2x2", "direct"));
  EXPECT_THAT(conv_variants({"--conv", "winograd"}),
              ElementsAre("Winograd 2x2", "Winograd 4x4", "Winograd 2x2", "direct"));
  EXPECT_THAT(conv_variants({"--conv", "direct"}), ElementsAre("direct", "direct", "direct", "direct"));
}

TEST(TimeTest, TheTableHasEveryPartOfTheStep) {
  // On a busy machine a spread may take six digits.
  const ProgramResult result = run_bntrain(time_arguments({}), {.environment = {{"COLUMNS", "200"}}});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("conv4x3,bn,relu,maxpool2,fc10"), HasSubstr("(32, 1, 8, 8)"), HasSubstr("CPU"),
                    HasSubstr("peaks"), HasSubstr("3 repetitions"), HasSubstr("before a block")));
  const std::vector<std::string> printed = lines(result.out);
  const auto heading = std::find_if(printed.begin(), printed.end(),
                                    [](const std::string& line) { return line.starts_with("part "); });
  ASSERT_NE(heading, printed.end());
  const std::string cells = " +[0-9]+\\.[0-9]{3} +[0-9]+% +[0-9]+\\.[0-9]%( +[0-9.]+%?| +-)+";
  EXPECT_THAT(std::vector<std::string>(heading + 1, printed.end()),
              ElementsAre(MatchesRegex("gather +forward" + cells),
                          MatchesRegex("0 conv4x3 +forward +direct\\+block reduce" + cells),
                          MatchesRegex("1-3 bn\\+relu\\+maxpool2 +forward +apply" + cells),
                          MatchesRegex("5 fc10 +forward +product" + cells),
                          MatchesRegex("loss +forward +loss\\+gradient" + cells),
                          MatchesRegex("5 fc10 +backward +weights\\+input" + cells),
                          MatchesRegex("1-3 bn\\+relu\\+maxpool2 +backward +sums" + cells),
                          MatchesRegex("0 conv4x3 +backward +block input\\+weights" + cells),
                          MatchesRegex("update +update +update\\+running\\+pack" + cells), "",
                          MatchesRegex("sum of parts [0-9.]+ ms, whole step [0-9.]+ ms \\(spread [0-9]+%\\): "
                                       "[0-9]+ images/s")));
}

TEST(TimeTest, TheNumbersBelongTogether) {
  for (const std::string threads : {"1", "2"}) {
    const nlohmann::json record = time_json({"--threads", threads});
    EXPECT_THAT(record.at("backend").get<std::string>(), HasSubstr("CPU, " + threads + " thread"));
    EXPECT_EQ(record.at("batch_size"), 32);
    EXPECT_EQ(record.at("repetitions"), 3);
    const double copy = record.at("peaks").at("copy_bytes_per_second");
    const double fma = record.at("peaks").at("fma_flops_per_second");
    EXPECT_GT(copy, 0);
    EXPECT_GT(fma, 0);
    expect_quartiles(record.at("step_seconds"), "whole step");
    expect_near(record.at("images_per_second"), 32 / record.at("step_seconds").at("median").get<double>(),
                "images_per_second");

    double shares = 0, sum = 0;
    for (const nlohmann::json& part : record.at("parts")) {
      const std::string name = part.at("name").get<std::string>() + " " + part.at("pass").get<std::string>();
      expect_quartiles(part.at("seconds"), name);
      const double median = part.at("seconds").at("median");
      const double bytes = part.at("bytes"), flops = part.at("flops");
      EXPECT_GT(bytes, 0) << name;
      EXPECT_GT(flops, 0) << name;
      expect_near(part.at("bytes_per_second"), bytes / median, name);
      expect_near(part.at("flops_per_second"), flops / median, name);
      expect_near(part.at("copy_share"), bytes / median / copy, name);
      expect_near(part.at("fma_share"), flops / median / fma, name);
      shares += part.at("share").get<double>();
      sum += median;
    }
    expect_near(shares, 1, "shares");
    expect_near(record.at("sum_of_parts_seconds"), sum, "sum of parts");
    // conv4x3 on 8x8: 4 x 6 x 6 outputs of 9 products, then 4 FLOP each for the batch norm's statistics.
    EXPECT_EQ(record.at("parts").at(1).at("flops"), 32 * (2 * 144 * 9 + 4 * 144));
  }
}

TEST(TimeTest, WithoutNormNoPartHasOne) {
  const nlohmann::json record = time_json({"--norm", "none"});
  std::vector<std::string> names;
  for (const nlohmann::json& part : record.at("parts")) names.push_back(part.at("name"));
  EXPECT_THAT(names, ElementsAre("gather", "0 conv4x3", "1-2 relu+maxpool2", "4 fc10", "loss", "4 fc10",
                                 "1-2 relu+maxpool2", "0 conv4x3", "update"));
  EXPECT_EQ(record.at("parts").at(2).at("flops"), 0);  // only comparisons
}

TEST(TimeTest, HasItsOwnSectionOfTheFile) {
  const TemporaryFolder folder;
  write_text(folder.file("c.toml"), "[train]\nthreads = 3\n[time]\nthreads = 1\n");
  const nlohmann::json record =
      time_json({"--config", folder.file("c.toml")},
                {.environment = {{"BNTRAIN_THREADS", "2"}, {"BNTRAIN_CPU_ISA", "v2"}}, .signal = 0});
  EXPECT_THAT(record.at("backend").get<std::string>(), HasSubstr("1 thread, "));
  EXPECT_THAT(record.at("variant").get<std::string>(), HasSubstr("4 lanes"));
}

TEST(TimeTest, TellsOnStderrWhatItMeasures) {
  std::vector<std::string> arguments = time_arguments({});
  arguments.pop_back();  // --quiet
  EXPECT_THAT(run_bntrain(arguments).err, HasSubstr("measuring CPU"));
}

}  // namespace
}  // namespace bntrain::test
