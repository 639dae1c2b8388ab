// RUN/evaluation.json of bntrain train --out.
#include "cli/resume_fixture.hpp"

namespace bntrain::test {
namespace {

using ::testing::HasSubstr;

class EvaluationDetailsProgramTest : public ResumeProgramTest {
 protected:
  nlohmann::json details(const std::string& run) const {
    return nlohmann::json::parse(read_text(file(run, "evaluation.json")));
  }
};

TEST_F(EvaluationDetailsProgramTest, AreOfTheLastEpochAndAgreeWithItsRecord) {
  const ProgramResult result = run_bntrain(flags("run"));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json run = details("run");
  EXPECT_EQ(run.at("epoch"), 3);
  EXPECT_EQ(run.at("images"), "valid");
  std::int64_t correct = 0;
  for (std::size_t c = 0; c < run.at("classes").size(); ++c)
    correct += run.at("confusion").at(c).at(c).get<std::int64_t>();
  const auto records = json_lines(read_text(file("run", "metrics.jsonl")));
  const nlohmann::json& epoch = *std::find_if(
      records.rbegin(), records.rend(), [](const auto& record) { return record.at("event") == "epoch"; });
  EXPECT_EQ(epoch.at("valid_accuracy"), static_cast<double>(correct) / run.at("count").get<double>());
}

TEST_F(EvaluationDetailsProgramTest, AreTheSameOfARunThatWasResumed) {
  std::vector<std::string> whole = flags("whole"), part = flags("part");
  *std::next(std::ranges::find(part, "--epochs")) = "2";
  ASSERT_EQ(run_bntrain(whole).exit_code, 0);
  ASSERT_EQ(run_bntrain(part).exit_code, 0);
  EXPECT_EQ(details("part").at("epoch"), 1);
  ASSERT_EQ(resume("part", {"--epochs", "4"}).exit_code, 0);
  EXPECT_EQ(details("part"), details("whole"));
}

TEST_F(EvaluationDetailsProgramTest, ComeToARunOfAnEarlierVersionWhenItIsResumed) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  std::filesystem::remove(file("run", "evaluation.json"));
  ASSERT_EQ(resume("run", {"--epochs", "5"}).exit_code, 0);
  EXPECT_EQ(details("run").at("epoch"), 4);
}

TEST_F(EvaluationDetailsProgramTest, ThatCannotBeWrittenAreOneWarning) {
  const std::string blocked = file("run", "evaluation.json").string();
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  std::filesystem::remove(blocked);
  std::filesystem::create_directory(blocked);
  const ProgramResult result = resume("run", {"--epochs", "7"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::size_t first = result.err.find("evaluation.json");
  ASSERT_NE(first, std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("evaluation.json", first + 1), std::string::npos) << result.err;
  EXPECT_THAT(result.err, HasSubstr("warning"));
  EXPECT_EQ(read_checkpoint(file("run", "last.safetensors")).checkpoint.progress.epochs.count, 7);
}

TEST_F(EvaluationDetailsProgramTest, AnswersThatAreNotFiniteAreCounted) {
  // One step, whose update nothing survives.
  std::vector<std::string> arguments =
      small_run({"--out", run_folder(), "--epochs", "1", "--lr", "1e38", "--init", "he"});
  *std::next(std::ranges::find(arguments, "--batch-size")) = "200";
  const ProgramResult result = run_bntrain(arguments);
  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_EQ(details("run").at("undecided"), 70);
  EXPECT_TRUE(details("run").at("mistakes").empty());
}

}  // namespace
}  // namespace bntrain::test
