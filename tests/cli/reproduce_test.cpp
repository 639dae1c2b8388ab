// bntrain reproduce as a user runs it. On generated images no published number comes out, which is a test of
// the verdict; that it can be "reproduced" takes minutes and is docs/reproduce.md's command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <csignal>
#include <filesystem>

#include "cli/run_program.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const char* const kData = "synthetic:shape=1x12x12,train=300,test=60";

ProgramResult reproduce(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"reproduce", "--data", kData, "--seeds", "2", "--device", "cpu"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_bntrain(arguments);
}

TEST(ReproduceTest, TheListSaysWhatEachClaimsAndCosts) {
  const ProgramResult list = reproduce({"--list"});
  EXPECT_EQ(list.exit_code, 0) << list.err;
  for (const char* name : {"tutorial-bn\n", "tutorial-bn-gluon\n", "tutorial-no-bn\n", "larger-lr\n",
                           "ioffe-fig1\n", "d2l-lenet\n"}) {
    EXPECT_THAT(list.out, HasSubstr(name));
  }
  // 2 seeds of 5 epochs of 2 batches, 300 images an epoch.
  EXPECT_THAT(list.out, HasSubstr("costs 2 runs, 20 steps, 0.0 million images"));
  EXPECT_THAT(list.out,
              AllOf(HasSubstr("arXiv 1502.03167"), HasSubstr("claims: "), HasSubstr("recorded by ")));
}

TEST(ReproduceTest, RecordedAndMeasuredStandSideBySideAndTheVerdictIsTheExitCode) {
  const ProgramResult run = reproduce({"tutorial-bn", "tutorial-no-bn"});
  EXPECT_EQ(run.exit_code, 5);
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("0.3124"), HasSubstr("0.8785"), HasSubstr("tutorial-bn: NOT reproduced"),
                    HasSubstr("tutorial-no-bn: NOT reproduced")));
  std::string unwrapped = run.out;
  std::ranges::replace(unwrapped, '\n', ' ');
  EXPECT_THAT(unwrapped,
              ContainsRegex("BN: tutorial last train loss: recorded 0.3124, measured [0-9.]+ ± [0-9.]+, "
                            "allowed distance [0-9.]+: FAIL"));
  EXPECT_THAT(run.err, HasSubstr("not reproduced: tutorial-bn and tutorial-no-bn"));
}

TEST(ReproduceTest, JsonIsOneObjectAnExperiment) {
  const ProgramResult run = reproduce({"tutorial-bn", "--json", "--quiet"});
  EXPECT_EQ(run.exit_code, 5);
  const auto records = json_lines(run.out);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0]["name"], "tutorial-bn");
  EXPECT_EQ(records[0]["passed"], false);
  EXPECT_EQ(records[0]["arms"][0]["epochs"].size(), 5U);
  EXPECT_EQ(records[0]["numbers"][0]["recorded"], 0.312399);
  EXPECT_EQ(records[0]["numbers"][0]["measured"]["n"], 2);
}

TEST(ReproduceTest, TheSameNumbersComeOutWhateverTheJobs) {
  const auto out = [](const char* jobs) {
    return reproduce({"tutorial-bn-gluon", "--json", "--quiet", "--threads", "3", "--jobs", jobs}).out;
  };
  const std::string one = out("1");
  EXPECT_THAT(one, Not(IsEmpty()));
  EXPECT_EQ(out("3"), one);
}

TEST(ReproduceTest, TheRecordsOfTheRunsAreKept) {
  const TemporaryFolder folder;
  const ProgramResult run = reproduce({"tutorial-bn", "--out", folder.file("runs")});
  EXPECT_EQ(run.exit_code, 5);
  for (const char* name : {"tutorial-bn-BN-seed-0.jsonl", "tutorial-bn-BN-seed-1.jsonl"}) {
    const auto records = json_lines(read_text(std::filesystem::path(folder.file("runs")) / name));
    ASSERT_FALSE(records.empty()) << name;
    EXPECT_EQ(records.front()["event"], "start");
    EXPECT_EQ(records.back()["event"], "end");
  }
}

TEST(ReproduceTest, AnInterruptedRunSaysHowFarItCame) {
  ProgramSetup setup;
  setup.signal = SIGINT;
  setup.signal_after = "[1/";
  const ProgramResult run = run_bntrain(
      {"reproduce", "tutorial-bn", "--data", kData, "--device", "cpu", "--seeds", "1000", "--jobs", "1"},
      setup);
  EXPECT_EQ(run.exit_code, 130);
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_THAT(run.err, ContainsRegex("interrupted: [0-9]+ of 1000 runs of tutorial-bn were finished"));
}

TEST(ReproduceTest, AnUnknownExperimentIsNamedWithItsNearest) {
  const ProgramResult run = reproduce({"tutorial-nb"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, AllOf(HasSubstr("unknown experiment 'tutorial-nb'"), HasSubstr("tutorial-bn")));
}

TEST(ReproduceTest, ASingleSeedHasNoSpread) {
  const ProgramResult run = run_bntrain({"reproduce", "--seeds", "1"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("--seeds"));
}

}  // namespace
}  // namespace bntrain::test
