// What --resume refuses: another run, other images, damaged files.
#include "cli/resume_fixture.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(ResumeProgramTest, AFlagThatMakesAnotherRunIsRefusedByName) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const std::vector<std::vector<std::string>> differing = {
      {"--optimizer", "adamw", "sgd"}, {"--decay", "weights", "all"},
      {"--batch-size", "16", "32"},    {"--seed", "9", "0"},
      {"--momentum", "0", "0.9"},      {"--norm", "none", "batch"},
      {"--init", "he", "torch"},       {"--valid", "0.3", "0.2"},
      {"--bn-eps", "0.001", "1e-05"},  {"--bn-momentum", "0.5", "0.9"},
      {"--shuffle", "none", "on"},     {"--network", "fc10", "conv4x3"},
      {"--precision", "tf32", "fp32"}, {"--bn-variance", "unbiased", "biased"}};
  for (const auto& flag : differing) {
    const ProgramResult result = resume("run", {flag[0], flag[1]});
    EXPECT_EQ(result.exit_code, 2) << flag[0];
    EXPECT_THAT(result.err, AllOf(HasSubstr(flag[0] + ": " + flag[1]), HasSubstr(flag[2]))) << flag[0];
  }
  const ProgramResult variable = resume("run", {}, {.environment = {{"BNTRAIN_LR", "0.5"}}});
  EXPECT_EQ(variable.exit_code, 2);
  EXPECT_THAT(variable.err, HasSubstr("(from the environment variable BNTRAIN_LR)"));
  const ProgramResult convention = resume("run", {"--bn-convention", "torch"});
  EXPECT_EQ(convention.exit_code, 2);
  EXPECT_THAT(convention.err, HasSubstr("--bn-convention: its bn-variance unbiased differs"));
}

TEST_F(ResumeProgramTest, OtherImagesAreRefused) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const ProgramResult result =
      resume("run", {"--epochs", "5", "--data", "synthetic:shape=1x8x8,train=200,test=70,noise=0.4"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("are not those"));
}

TEST_F(ResumeProgramTest, AMissingOrDamagedCheckpointIsNoFreshStart) {
  EXPECT_EQ(resume("nowhere").exit_code, 3);
  EXPECT_FALSE(std::filesystem::exists(run_folder("nowhere")));
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const std::filesystem::path last = file("run", "last.safetensors");
  const std::string good = read_text(last), metrics = read_text(file("run", "metrics.jsonl"));
  const auto expect_refused = [&](const std::string& content) {
    write_text(last, content);
    const ProgramResult result = resume("run", {"--epochs", "6"});
    EXPECT_EQ(result.exit_code, 3) << result.err;
    EXPECT_THAT(result.err, HasSubstr(last.string()));
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(read_text(last), content);
    EXPECT_EQ(read_text(file("run", "metrics.jsonl")), metrics);
  };
  for (std::size_t i = 0; i < good.size(); i += good.size() / 8) {
    std::string damaged = good;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    expect_refused(damaged);
    expect_refused(good.substr(0, i));
  }
  const ProgramResult a_file = resume("run/best.safetensors");
  EXPECT_EQ(a_file.exit_code, 2);
  EXPECT_THAT(a_file.err, HasSubstr("is a file; name the run's folder, " + last.parent_path().string()));

  std::filesystem::remove(last);
  const ProgramResult missing = resume("run");
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_THAT(missing.err, AllOf(HasSubstr("there is no checkpoint"), HasSubstr(last.string())));

  std::filesystem::copy(file("run", "best.safetensors"), last);
  EXPECT_THAT(resume("run").err, HasSubstr("a model alone cannot be resumed"));
}

TEST_F(ResumeProgramTest, SettingsThatTheProgramDidNotWriteAreRefused) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  const std::filesystem::path last = file("run", "last.safetensors");
  CheckpointFile checkpoint = read_checkpoint(last);
  const std::string deep = R"({"lr":)" + std::string(300'000, '[') + std::string(300'000, ']') + "}";
  for (const std::string& settings : {std::string("{"), std::string("[1]"), std::string("2"), deep}) {
    checkpoint.metadata["bntrain.config"] = settings;
    write_checkpoint(last, checkpoint);
    const ProgramResult result = resume("run");
    EXPECT_EQ(result.exit_code, 3) << settings.substr(0, 10);
    EXPECT_THAT(result.err, HasSubstr("does not hold the settings of its run"));
  }
}

TEST_F(ResumeProgramTest, AMetricsFileOfSomethingElseIsLeftAlone) {
  ASSERT_EQ(run_bntrain(flags("run")).exit_code, 0);
  write_text(file("run", "metrics.jsonl"), "no record\nat all\n");
  const ProgramResult result = resume("run", {"--epochs", "5"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("metrics.jsonl, line 1"));
  EXPECT_EQ(read_text(file("run", "metrics.jsonl")), "no record\nat all\n");
}

}  // namespace
}  // namespace bntrain::test
