// The folder of bntrain train --out, and validation, which selects the best model in it.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "cli/resume_fixture.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(ResumeProgramTest, OutRefusesTheFolderOfAnotherRun) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const std::string before = read_text(file("run", "metrics.jsonl"));
  const ProgramResult result = run_bntrain(flags("run"));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--resume " + run_folder("run")));
  EXPECT_EQ(read_text(file("run", "metrics.jsonl")), before);
}

TEST_F(ResumeProgramTest, OneProcessAtATimeTrainsInAFolder) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const int descriptor = open(run_folder("run").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(flock(descriptor, LOCK_EX), 0);
  const ProgramResult result = resume("run", {"--epochs", "5"});
  close(descriptor);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("another bntrain"));
}

TEST_F(ResumeProgramTest, FlagsNameWhatTheyNeed) {
  for (const auto& [flag, needed] :
       {std::pair{"--save-every", "--out"}, {"--keep", "--out"}, {"--patience", "--valid"}}) {
    const ProgramResult result = run_bntrain(small_run({flag, "3"}));
    EXPECT_EQ(result.exit_code, 2) << flag;
    EXPECT_THAT(result.err, AllOf(HasSubstr(flag), HasSubstr(needed)));
  }
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const ProgramResult both = resume("run", {"--out", run_folder("other")});
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_THAT(both.err, HasSubstr("--out"));
  EXPECT_EQ(run_bntrain(small_run({"--valid", "0.001"})).exit_code, 2);
}

TEST_F(ResumeProgramTest, KeepsTheLastNumberedCheckpoints) {
  std::vector<std::string> arguments = flags("run");
  arguments.insert(arguments.end(), {"--keep", "2"});
  ASSERT_EQ(run_bntrain(arguments).exit_code, 0);
  EXPECT_EQ(files_in("run"), 8u);
  const auto at = [&](const std::string& name) { return read_checkpoint(file("run", name)).checkpoint; };
  EXPECT_EQ(at("step-00000018.safetensors").progress.steps, 18);
  EXPECT_TRUE(same_bits(at("step-00000020.safetensors").model, at("last.safetensors").model));
}

TEST_F(ResumeProgramTest, TheConfigurationFileMakesTheSameRunAgain) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const ProgramResult again =
      run_bntrain({"--config", file("run", "config.toml").string(), "--out", run_folder("again")});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  expect_same_run("run", "again");
}

TEST_F(ResumeProgramTest, TheConfigurationFileHoldsTextOfSeveralLines) {
  std::vector<std::string> arguments = small_run({"--out", run_folder("run")});
  *std::next(std::ranges::find(arguments, "--network")) = "fc4,\n\tbn,relu,\r\nfc10";
  const ProgramResult first = run_bntrain(arguments);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const ProgramResult again =
      run_bntrain({"--config", file("run", "config.toml").string(), "--out", run_folder("again")});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  const auto model = [&](const std::string& run) {
    return read_checkpoint(file(run, "last.safetensors")).checkpoint.model;
  };
  EXPECT_TRUE(same_bits(model("again"), model("run")));
}

TEST_F(ResumeProgramTest, ValidationIsNamedAndTheTestSetComesOnceAtTheEnd) {
  const ProgramResult result = run_bntrain(flags("run"));
  const auto printed = lines(result.out);
  ASSERT_EQ(printed.size(), 5u);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_THAT(printed[i], AllOf(HasSubstr("Valid acc"), Not(HasSubstr("Test acc"))));
  EXPECT_THAT(printed[4],
              ::testing::MatchesRegex(
                  R"(Test\. Loss: [0-9.]+, Test acc [01]\.[0-9]{6} \(weights of epoch [0-3], .*\))"));
  EXPECT_THAT(result.err, HasSubstr("40 of the training images are held out for validation"));
  const auto records = json_lines(read_text(file("run", "metrics.jsonl")));
  for (const nlohmann::json& record : records) {
    if (record.at("event") == "epoch" || record.at("event") == "evaluation") {
      EXPECT_TRUE(record.at("valid_accuracy").is_number());
      EXPECT_FALSE(record.contains("test_accuracy"));
    }
  }
  const nlohmann::json& end = records.back();
  EXPECT_TRUE(end.at("test_accuracy").is_number());
  EXPECT_EQ(std::to_string(end.at("test_accuracy").get<double>()),
            printed[4].substr(printed[4].find("acc ") + 4, 8));
  EXPECT_TRUE(end.at("best_valid_accuracy").is_number());
  EXPECT_FALSE(end.contains("best_test_accuracy"));
}

TEST_F(ResumeProgramTest, TheGateLooksAtTheTestSet) {
  std::vector<std::string> arguments = flags("run");
  arguments.insert(arguments.end(), {"--assert-acc", "1"});
  const ProgramResult result = run_bntrain(arguments);
  EXPECT_EQ(result.exit_code, 5);
  const std::string accuracy = lines(result.out).back();
  EXPECT_THAT(result.err, HasSubstr(accuracy.substr(accuracy.find("acc ") + 4, 8)));
}

TEST_F(ResumeProgramTest, NoFlagOfAnotherRunTakesTheFilesOfThisOne) {
  ASSERT_EQ(run_bntrain(small_run({"--out", run_folder(), "--epochs", "1"})).exit_code, 0);
  for (const auto& [flag, name] : {std::pair("--metrics", "metrics.jsonl"),
                                   {"--save", "last.safetensors"},
                                   {"--save", "best.safetensors"},
                                   {"--save-gradients", "last.safetensors"}}) {
    const ProgramResult result = run_bntrain(small_run({flag, file("run", name)}));
    EXPECT_EQ(result.exit_code, 2) << flag << " " << name;
    EXPECT_THAT(result.err, AllOf(HasSubstr(flag), HasSubstr("belongs to the run in " + run_folder())));
  }
  EXPECT_EQ(run_bntrain(small_run({"--epochs", "1", "--save", file("run", "another.safetensors")})).exit_code,
            0);
}

TEST_F(ResumeProgramTest, WithoutValidationThereIsNoBestModelAndItSaysSo) {
  const ProgramResult result = run_bntrain(small_run({"--out", run_folder(), "--epochs", "1"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("no best.safetensors is written"));
  EXPECT_FALSE(std::filesystem::exists(file("run", "best.safetensors")));
  EXPECT_EQ(files_in("run"), 5u);
}

}  // namespace
}  // namespace bntrain::test
