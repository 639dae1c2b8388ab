// bntrain train --resume RUN with another learning rate, momentum or weight decay: the run goes on with it
// and records from which step.
#include "cli/resume_fixture.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ResumeChangeTest : public ResumeProgramTest {
 protected:
  /// A run of two epochs of 7 steps.
  void begin(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"--epochs", "2",     "--out",       run_folder(),
                                          "--init",   "torch", "--log-every", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult result = run_bntrain(small_run(arguments));
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  std::string config() const { return read_text(file("run", "config.toml")); }
  std::vector<nlohmann::json> records() const { return json_lines(read_text(file("run", "metrics.jsonl"))); }
};

TEST_F(ResumeChangeTest, AnotherRateIsTakenFromThereOnAndRecorded) {
  begin({"--lr", "0.1", "--momentum", "0.9"});
  const ProgramResult changed =
      resume("run", {"--epochs", "3", "--lr", "0.01", "--momentum", "0.5", "--weight-decay", "0.1"});
  ASSERT_EQ(changed.exit_code, 0) << changed.err;
  EXPECT_THAT(config(), AllOf(HasSubstr("lr = 0.01\n"), HasSubstr("# lr was 0.1 up to step 14\n"),
                              HasSubstr("# momentum was 0.9 up to step 14\n"),
                              HasSubstr("# weight-decay was 0.0 up to step 14\n")));
  const nlohmann::json changes = records().at(0).at("changes");
  ASSERT_EQ(changes.size(), 3U);
  const auto lr = std::ranges::find(changes, "lr", [](const auto& change) { return change.at("setting"); });
  EXPECT_EQ(*lr, nlohmann::json({{"step", 14}, {"setting", "lr"}, {"from", 0.1}, {"to", 0.01}}));
  for (const nlohmann::json& record : records()) {
    if (record.at("event") != "step") continue;
    EXPECT_EQ(record.at("lr"), record.at("step") < 14 ? 0.1 : 0.01);
  }

  // It stays, and stays recorded.
  ASSERT_EQ(resume("run", {"--epochs", "4"}).exit_code, 0);
  EXPECT_EQ(records().at(0).at("changes"), changes);
  EXPECT_EQ(records().at(0).at("config").at("lr"), 0.01);
  ASSERT_EQ(resume("run", {"--epochs", "5", "--lr", "0.02"}).exit_code, 0);
  EXPECT_EQ(records().at(0).at("changes").size(), 4U);
  EXPECT_THAT(config(),
              AllOf(HasSubstr("# lr was 0.1 up to step 14\n"), HasSubstr("# lr was 0.01 up to step 28\n")));
  EXPECT_EQ(run_bntrain({"--config", file("run", "config.toml").string(), "--epochs", "0"}).exit_code, 0);
}

TEST_F(ResumeChangeTest, ItIsTheRateAndNothingElseThatChanges) {
  begin({"--lr", "0.1"});
  ASSERT_EQ(resume("run", {"--epochs", "3", "--lr", "0.01"}).exit_code, 0);
  // The same in one run: a schedule that steps after two epochs.
  const ProgramResult whole = run_bntrain(small_run({"--epochs", "3", "--out", run_folder("whole"), "--init",
                                                     "torch", "--lr", "0.1", "--schedule", "step:2:0.1"}));
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  EXPECT_TRUE(same_bits(read_checkpoint(file("run", "last.safetensors")).checkpoint.model,
                        read_checkpoint(file("whole", "last.safetensors")).checkpoint.model));
}

TEST_F(ResumeChangeTest, OnlyAFlagChangesARun) {
  begin({"--lr", "0.1"});
  const ProgramResult variable = resume("run", {"--epochs", "3"}, {.environment = {{"BNTRAIN_LR", "0.5"}}});
  EXPECT_EQ(variable.exit_code, 2);
  EXPECT_THAT(variable.err, HasSubstr("(from the environment variable BNTRAIN_LR)"));
  const ProgramResult momentum = resume("run", {"--epochs", "3", "--momentum", "0.9"});
  EXPECT_EQ(momentum.exit_code, 2);
  EXPECT_THAT(momentum.err, HasSubstr("--momentum: 0.9 differs from the run's 0.0"));
  EXPECT_THAT(config(), Not(HasSubstr("#")));
}

TEST_F(ResumeChangeTest, AnotherScheduleIsRecordedToo) {
  begin({"--optimizer", "adamw"});
  ASSERT_EQ(resume("run", {"--epochs", "3", "--schedule", "cosine"}).exit_code, 0);
  EXPECT_THAT(config(), HasSubstr("# schedule was \"constant\" up to step 14\n"));
}

TEST_F(ResumeChangeTest, TheConfigurationKeepsWhatTheUserWroteOfTheSchedule) {
  begin({"--optimizer", "adamw", "--schedule", "cosine"});
  EXPECT_THAT(config(), HasSubstr("schedule-steps = 0\n"));
  ASSERT_EQ(resume("run").exit_code, 0);
  EXPECT_THAT(config(), HasSubstr("schedule-steps = 0\n"));
  ASSERT_EQ(resume("run", {"--epochs", "3"}).exit_code, 0);
  EXPECT_THAT(config(), HasSubstr("schedule-steps = 14\n"))
      << "the longer run keeps the length of its schedule";
}

TEST_F(ResumeChangeTest, ARunThatDivergedGoesOnWithASmallerRate) {
  const ProgramResult diverged =
      run_bntrain(small_run({"--out", run_folder(), "--lr", "1e30", "--save-every", "1"}));
  ASSERT_EQ(diverged.exit_code, 4) << diverged.err;
  EXPECT_THAT(diverged.err,
              HasSubstr("--resume " + run_folder() + " --lr X goes on from the last checkpoint"));
  const std::int64_t steps = read_checkpoint(file("run", "last.safetensors")).checkpoint.progress.steps;
  const ProgramResult resumed = resume("run", {"--lr", "0.01", "--epochs", "1"});
  if (steps == 0) {
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  }
  EXPECT_THAT(config(), HasSubstr("# lr was 1e+30 up to step " + std::to_string(steps) + "\n"));
}

TEST_F(ResumeChangeTest, AFinishedRunSaysWhatContinuesIt) {
  begin();
  EXPECT_THAT(resume("run").err, HasSubstr("a larger --epochs continues it"));
  ASSERT_EQ(run_bntrain(small_run({"--steps", "3", "--out", run_folder("steps")})).exit_code, 0);
  EXPECT_THAT(resume("steps").err, HasSubstr("a larger --steps continues it"));
}

}  // namespace
}  // namespace bntrain::test
