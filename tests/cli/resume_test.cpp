// bntrain train --resume goes on as if the run had never stopped.
#include <chrono>
#include <csignal>
#include <random>

#include "bntrain/backend.hpp"
#include "cli/resume_fixture.hpp"

namespace bntrain::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(ResumeProgramTest, AfterCtrlCItGoesOnAsIfItHadNeverStopped) {
  const ProgramResult whole = run_bntrain(flags("whole"));
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const ProgramResult stopped = run_bntrain(flags("stopped"), {.signal = SIGINT});
  ASSERT_EQ(stopped.exit_code, 130) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("--resume " + run_folder("stopped")));
  const ProgramResult resumed = resume("stopped", {"--threads", "3"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("continues after"));
  expect_same_run("whole", "stopped");
  EXPECT_EQ(lines(resumed.out).back(), lines(whole.out).back()) << "the accuracy on the test set";
}

TEST_F(ResumeProgramTest, KilledAtAnyMomentItHasAWholeCheckpoint) {
  ASSERT_EQ(run_bntrain(flags("whole")).exit_code, 0);
  std::mt19937 random(1);
  std::uniform_int_distribution<int> microseconds(0, 60'000);
  int killed = 0;
  // Under load a process may be killed before its first checkpoint.
  const auto go_on = [&](const ProgramSetup& setup) {
    if (!std::filesystem::exists(file("killed", "last.safetensors"))) {
      std::filesystem::remove_all(run_folder("killed"));
      return run_bntrain(flags("killed"), setup);
    }
    read_checkpoint(file("killed", "last.safetensors"));
    return resume("killed", {}, setup);
  };
  ProgramResult result = go_on({.signal = SIGKILL, .after = std::chrono::milliseconds(5)});
  for (int attempt = 0; attempt < 12 && result.exit_code != 0; ++attempt) {
    ASSERT_EQ(result.exit_code, 128 + SIGKILL) << result.err;
    ++killed;
    result = go_on({.signal = SIGKILL, .after = std::chrono::microseconds(microseconds(random))});
  }
  if (result.exit_code != 0) result = go_on({});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_GT(killed, 0);
  expect_same_run("whole", "killed");
  EXPECT_EQ(files_in("killed"), 6u) << "a killed process left something that nobody removed";
}

TEST_F(ResumeProgramTest, MoreEpochsAreThoseOfALongerRun) {
  ASSERT_EQ(run_bntrain(flags("whole")).exit_code, 0);
  std::vector<std::string> shorter = flags("short");
  *(std::find(shorter.begin(), shorter.end(), "--epochs") + 1) = "2";
  ASSERT_EQ(run_bntrain(shorter).exit_code, 0);
  const ProgramResult resumed = resume("short", {"--epochs", "4"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_same_run("whole", "short");
}

TEST_F(ResumeProgramTest, AScheduleKeepsItsHorizonUnlessItIsGivenAgain) {
  const auto rates = [&](const std::string& run) {
    std::vector<double> result;
    for (const nlohmann::json& record : json_lines(read_text(file(run, "metrics.jsonl"))))
      if (record.at("event") == "step") result.push_back(record.at("lr"));
    return result;
  };
  const auto start = [&](const std::string& run) {
    const ProgramResult result =
        run_bntrain(small_run({"--out", run_folder(run), "--epochs", "1", "--optimizer", "adamw",
                               "--schedule", "cosine:1e-5", "--log-every", "1"}));
    ASSERT_EQ(result.exit_code, 0) << result.err;
  };
  start("kept");
  ASSERT_EQ(resume("kept", {"--epochs", "2"}).exit_code, 0);
  const std::vector<double> kept = rates("kept");
  ASSERT_EQ(kept.size(), 14U);
  EXPECT_LT(kept[6], kept[0] / 5);
  EXPECT_THAT(std::vector<double>(kept.begin() + 7, kept.end()), ::testing::Each(kept[6]));

  start("again");
  ASSERT_EQ(resume("again", {"--epochs", "2", "--schedule", "cosine:1e-5"}).exit_code, 0);
  const ProgramResult whole =
      run_bntrain(small_run({"--out", run_folder("whole"), "--epochs", "2", "--optimizer", "adamw",
                             "--schedule", "cosine:1e-5", "--log-every", "1"}));
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const std::vector<double> again = rates("again"), expected = rates("whole");
  ASSERT_EQ(again.size(), 14U);
  EXPECT_TRUE(std::equal(again.begin() + 7, again.end(), expected.begin() + 7));
  EXPECT_NE(again[5], expected[5]);

  start("variable");
  ASSERT_EQ(
      resume("variable", {"--epochs", "2"}, {.environment = {{"BNTRAIN_SCHEDULE", "cosine:1e-5"}}}).exit_code,
      0);
  EXPECT_EQ(rates("variable"), kept) << "a variable that says the run's schedule is not another one";
  for (const char* flag : {"--warmup", "--schedule-steps"}) {
    const ProgramResult refused = resume("kept", {"--epochs", "3", flag, "3"});
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.err, ::testing::AllOf(HasSubstr(std::string(flag) + ": 3 differs from the run's"),
                                              HasSubstr("give --schedule with it")));
  }
}

TEST_F(ResumeProgramTest, AFinishedRunTrainsNothingAndSaysItsResultAgain) {
  const ProgramResult first = run_bntrain(flags("run"));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const ProgramResult again = resume("run");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.out, lines(first.out).back() + "\n");
}

TEST_F(ResumeProgramTest, AnEqualFlagAndFlagsThatChangeNoBitAreTaken) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const ProgramResult result =
      resume("run", {"--lr", "0.050", "--bn-convention", "tutorial", "--threads", "2", "--device", "cpu",
                     "--patience", "50", "--save-every", "5", "--save", folder.file("model.safetensors"),
                     "--epochs", "5", "--data", "synthetic:train=200,test=70,shape=1x8x8"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(std::filesystem::exists(folder.file("model.safetensors")));
}

TEST_F(ResumeProgramTest, AnOlderCheckpointGoesOnUnderTheNameOfTheLast) {
  std::vector<std::string> arguments = flags("run");
  arguments.insert(arguments.end(), {"--keep", "50"});
  ASSERT_EQ(run_bntrain(arguments).exit_code, 0);
  const Checkpoint end = read_checkpoint(file("run", "last.safetensors")).checkpoint;
  const auto records = without_times(file("run", "metrics.jsonl"));
  std::filesystem::copy_file(file("run", "step-00000008.safetensors"), file("run", "last.safetensors"),
                             std::filesystem::copy_options::overwrite_existing);
  ASSERT_EQ(resume("run").exit_code, 0);
  EXPECT_TRUE(same_bits(read_checkpoint(file("run", "last.safetensors")).checkpoint.model, end.model));
  EXPECT_EQ(without_times(file("run", "metrics.jsonl")), records);
}

TEST_F(ResumeProgramTest, AnotherInstructionSetIsAllowedWithAWarning) {
  // There is no other one to change to.
  if (available_cpu_isas().size() < 2) GTEST_SKIP() << "this processor has one instruction set";
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  EXPECT_THAT(resume("run").err, Not(HasSubstr("bits will differ")));
  const ProgramResult other = resume("run", {"--cpu-isa", "v2", "--epochs", "5"});
  EXPECT_EQ(other.exit_code, 0);
  EXPECT_THAT(other.err, HasSubstr("bits will differ"));
}

TEST_F(ResumeProgramTest, AnotherMethodOfConvolutionsIsSaid) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const ProgramResult other = resume("run", {"--conv", "direct", "--epochs", "5"});
  EXPECT_EQ(other.exit_code, 0);
  EXPECT_THAT(other.err, HasSubstr("bits will differ"));
}

TEST_F(ResumeProgramTest, TheInitialModelMayBeGone) {
  const std::string model = folder.file("model.safetensors");
  ASSERT_EQ(run_bntrain(small_run({"--epochs", "0", "--save", model})).exit_code, 0);
  ASSERT_EQ(run_bntrain(small_run({"--epochs", "1", "--init-from", model, "--out", run_folder()})).exit_code,
            0);
  std::filesystem::remove(model);
  const ProgramResult result = resume("run", {"--epochs", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(ResumeProgramTest, ARunThatDivergedDivergesAgain) {
  const std::vector<std::string> arguments =
      small_run({"--out", run_folder(), "--lr", "1e30", "--save-every", "1"});
  const ProgramResult first = run_bntrain(arguments);
  ASSERT_EQ(first.exit_code, 4) << first.err;
  const ProgramResult again = resume("run");
  EXPECT_EQ(again.exit_code, 4);
  EXPECT_EQ(lines(again.err).back(), lines(first.err).back());
}

TEST_F(ResumeProgramTest, TheMetricsFileOfTheUserGoesOnToo) {
  const std::string metrics = folder.file("metrics.jsonl");
  std::vector<std::string> arguments = flags("run");
  arguments.insert(arguments.end(), {"--metrics", metrics});
  ASSERT_EQ(run_bntrain(arguments, {.signal = SIGINT}).exit_code, 130);
  ASSERT_EQ(resume("run").exit_code, 0);
  EXPECT_EQ(without_times(metrics), without_times(file("run", "metrics.jsonl")));
}

}  // namespace
}  // namespace bntrain::test
