// Defaults < environment < configuration file < flags.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/configuration_fixture.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using PrecedenceTest = ConfigurationTest;

TEST_F(PrecedenceTest, DefaultsAreTheReferenceExperiment) {
  const nlohmann::json config = resolved({});
  EXPECT_EQ(config.at("lr"), 0.2);
  EXPECT_EQ(config.at("norm"), "batch");
  EXPECT_EQ(config.at("init"), "tutorial");
  EXPECT_EQ(config.at("bn-momentum"), 0.9);
  EXPECT_EQ(config.at("bn-eps"), 1e-5);
  EXPECT_EQ(config.at("bn-variance"), "biased");
  EXPECT_EQ(config.at("momentum"), 0.0);
  EXPECT_EQ(config.at("weight-decay"), 0.0);
  EXPECT_EQ(config.at("seed"), 0);
  EXPECT_EQ(config.at("shuffle"), "on");
}

TEST_F(PrecedenceTest, EachSourceBeatsTheOneBefore) {
  const std::string file = config("[train]\nlr = 0.3\nseed = 3\n");
  const ProgramSetup environment{
      .environment = {{"BNTRAIN_LR", "0.4"}, {"BNTRAIN_SEED", "4"}, {"BNTRAIN_INIT", "he"}}, .signal = 0};
  EXPECT_EQ(resolved({}, environment).at("lr"), 0.4);
  const nlohmann::json all = resolved({"--config", file, "--seed", "5"}, environment);
  EXPECT_EQ(all.at("init"), "he");
  EXPECT_EQ(all.at("lr"), 0.3);
  EXPECT_EQ(all.at("seed"), 5);
}

TEST_F(PrecedenceTest, TheFileMayBeNamedBeforeOrAfterTheCommand) {
  const std::string file = config("[train]\nlr = 0.3\n");
  EXPECT_EQ(resolved({"train", "--config", file}).at("lr"), 0.3);
  EXPECT_EQ(resolved({"--config", file}).at("lr"), 0.3);
  EXPECT_EQ(resolved({"--config", file, "train"}).at("lr"), 0.3);
  EXPECT_EQ(resolved({"--config=" + file, "train"}).at("lr"), 0.3);
  EXPECT_THAT(run_bntrain({"--config", file, "tran"}).err, HasSubstr("unknown command 'tran'"));
  EXPECT_EQ(resolved({"--config=" + file}).at("lr"), 0.3);
}

TEST_F(PrecedenceTest, AVariableMeansTheSameInEveryCommand) {
  ASSERT_EQ(run_bntrain(small_run({"--epochs", "1", "--out", folder.file("run")})).exit_code, 0);
  const auto report = [&](const std::string& name, const std::string& value) {
    return run_bntrain({"report", folder.file("run"), "--quiet"}, {.environment = {{name, value}}});
  };
  for (const char* of_another : {"BNTRAIN_CSV", "BNTRAIN_OUTPUT"}) {
    const ProgramResult result = report(of_another, folder.file("else"));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out + result.err, folder.file("run") + "/report.html\n") << of_another;
  }
  EXPECT_FALSE(std::filesystem::exists(folder.file("else")));
  EXPECT_THAT(report("BNTRAIN_REPORT_CSV", "true").out, HasSubstr("run,epoch,0,"));
  EXPECT_EQ(report("BNTRAIN_REPORT_OUTPUT", folder.file("page.html")).out, folder.file("page.html") + "\n");
  EXPECT_THAT(report("BNTRAIN_REPORT_CSV", "7").err,
              HasSubstr("(from the environment variable BNTRAIN_REPORT_CSV)"));
  const std::string table = folder.file("table.csv");
  const ProgramResult eval =
      run_bntrain({"eval", folder.file("run"), "--data", "synthetic:shape=1x8x8,train=200,test=70"},
                  {.environment = {{"BNTRAIN_CSV", table}, {"BNTRAIN_REPORT_CSV", "true"}}});
  EXPECT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_TRUE(std::filesystem::exists(table));
}

TEST_F(PrecedenceTest, EveryFlagHasItsEnvironmentVariable) {
  const nlohmann::json config = resolved(
      {},
      {.environment = {{"BNTRAIN_BN_MOMENTUM", "0.5"}, {"BNTRAIN_CPU_ISA", "v2"}, {"BNTRAIN_THREADS", "1"}},
       .signal = 0});
  EXPECT_EQ(config.at("bn-momentum"), 0.5);
  EXPECT_EQ(config.at("cpu-isa"), "v2");
  EXPECT_EQ(config.at("threads"), 1);
}

TEST_F(PrecedenceTest, ABadEnvironmentVariableIsNamed) {
  const ProgramResult result = run_bntrain({}, {.environment = {{"BNTRAIN_LR", "fast"}}, .signal = 0});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr("--lr"), HasSubstr("'fast'"), HasSubstr("variable BNTRAIN_LR")));
}

TEST_F(PrecedenceTest, ABadValueInTheFileIsNamedWithTheFileAndItsLine) {
  EXPECT_THAT(refusal("[train]\nlr = -1\n"), AllOf(HasSubstr("--lr"), HasSubstr("'-1'"),
                                                   HasSubstr("at least 0"), HasSubstr("c.toml, line 2)")));
  EXPECT_THAT(refusal("[train]\nnorm = \"layer\"\n"), HasSubstr("batch or none"));
}

TEST_F(PrecedenceTest, TheSourceOfAnErrorIsTheOneThatCounts) {
  const ProgramSetup environment{.environment = {{"BNTRAIN_LR", "-1"}}, .signal = 0};
  const std::string file = config("[train]\nlr = -1\n");
  EXPECT_THAT(run_bntrain({"--config", file}, environment).err, HasSubstr("c.toml, line 2)"));
  EXPECT_THAT(run_bntrain({"--config", file, "--lr", "-1"}, environment).err,
              AllOf(HasSubstr("'-1'"), Not(HasSubstr("(from"))));
}

TEST_F(PrecedenceTest, AConflictNamesWhereTheValueCameFrom) {
  const ProgramResult variable =
      run_bntrain(small_run({"--quiet"}), {.environment = {{"BNTRAIN_NESTEROV", "true"}}, .signal = 0});
  EXPECT_EQ(variable.exit_code, 2);
  EXPECT_THAT(variable.err, AllOf(HasSubstr("--nesterov: it needs --optimizer sgd"),
                                  HasSubstr("(from the environment variable BNTRAIN_NESTEROV)")));
  // What only the library finds out, once the data set is known.
  EXPECT_THAT(refusal("[train]\ndata = \"synthetic:train=100\"\nbatch-size = 101\nquiet = true\n"),
              AllOf(HasSubstr("--batch-size: 101 does not fit"), HasSubstr("c.toml, line 3)")));
}

TEST_F(PrecedenceTest, OnlyAFlagInsistsOnCheckpoints) {
  const ProgramResult file =
      run_bntrain(small_run({"--config", config("[train]\nsave-every = 2\nkeep = 1\n")}));
  EXPECT_EQ(file.exit_code, 0) << file.err;
  EXPECT_THAT(file.err, AllOf(HasSubstr("save-every 2 has no effect without --out RUN"),
                              HasSubstr("c.toml, line 2)"), HasSubstr("keep 1 has no effect")));
  EXPECT_EQ(run_bntrain(small_run(), {.environment = {{"BNTRAIN_SAVE_EVERY", "2"}}, .signal = 0}).exit_code,
            0);
  EXPECT_EQ(run_bntrain(small_run({"--save-every", "2"})).exit_code, 2);
}

TEST_F(PrecedenceTest, AVariableMayNameTheFile) {
  const std::string file = config("[train]\nlr = 0.3\n");
  EXPECT_EQ(resolved({}, {.environment = {{"BNTRAIN_CONFIG", file}}}).at("lr"), 0.3);
  EXPECT_EQ(resolved({"--config", config("[train]\nlr = 0.5\n")},
                     {.environment = {{"BNTRAIN_CONFIG", folder.file("gone.toml")}}})
                .at("lr"),
            0.5);
  const ProgramResult gone =
      run_bntrain({"info"}, {.environment = {{"BNTRAIN_CONFIG", folder.file("gone.toml")}}});
  EXPECT_EQ(gone.exit_code, 3);
  EXPECT_THAT(gone.err, AllOf(HasSubstr("gone.toml: the file cannot be read"),
                              HasSubstr("(from the environment variable BNTRAIN_CONFIG)")));
}

TEST_F(PrecedenceTest, OneFileIsGivenOnce) {
  const std::string file = config("[train]\nlr = 0.3\n");
  for (const auto& arguments : {std::vector<std::string>{"train", "--config", file, "--config", file},
                                {"--config", file, "train", "--config=" + file}}) {
    const ProgramResult twice = run_bntrain(arguments);
    EXPECT_EQ(twice.exit_code, 2);
    EXPECT_THAT(twice.err, HasSubstr("--config: it names one file and is given once"));
  }
  EXPECT_EQ(run_bntrain({"--config", folder.path().string()}).exit_code, 3);
}

TEST_F(PrecedenceTest, AVariableOfNoFlagIsWarnedOf) {
  const ProgramResult result = run_bntrain(
      small_run({"--epochs", "0", "--quiet"}),
      {.environment = {{"BNTRAIN_EPOCS", "3"}, {"BNTRAIN_SEEDS", "3"}, {"BNTRAIN_TUNINGS", "x"}}});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr("BNTRAIN_EPOCS is no setting and is ignored; did you mean "
                                          "BNTRAIN_EPOCHS?"),
                                Not(HasSubstr("BNTRAIN_SEEDS")), Not(HasSubstr("BNTRAIN_TUNINGS"))));
}

TEST_F(PrecedenceTest, AVariableThatAFlagReplacesIsNotJudged) {
  const ProgramSetup bad{.environment = {{"BNTRAIN_JSON", "7x"}, {"BNTRAIN_LR", "fast"}}};
  EXPECT_EQ(run_bntrain(small_run({"--epochs", "0", "--json", "--lr", "0.1"}), bad).exit_code, 0);
  const ProgramResult refused = run_bntrain(small_run({"--lr", "0.1"}), bad);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("(from the environment variable BNTRAIN_JSON)"));
  EXPECT_EQ(
      run_bntrain({"info"}, {.environment = {{"BNTRAIN_LR", "fast"}, {"BNTRAIN_REPORT", "7x"}}}).exit_code, 0)
      << "other commands' variables";
}

}  // namespace
}  // namespace bntrain::test
