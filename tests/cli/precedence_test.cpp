// Defaults < environment < configuration file < flags, and what the file may contain.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_program.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class PrecedenceTest : public ::testing::Test {
 protected:
  std::string config(const std::string& text) const {
    write_text(folder.file("c.toml"), text);
    return folder.file("c.toml");
  }

  /// The configuration that a run with these arguments resolved.
  nlohmann::json resolved(std::vector<std::string> arguments, const ProgramSetup& setup = {}) const {
    const std::string metrics = folder.file("metrics.jsonl");
    for (const auto& word : small_run({"--epochs", "0", "--quiet", "--metrics", metrics}))
      arguments.push_back(word);
    const ProgramResult result = run_bntrain(arguments, setup);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json_lines(read_text(metrics)).at(0).at("config");
  }

  /// Standard error of a run that the configuration file stops.
  std::string refusal(const std::string& text) const {
    const ProgramResult result = run_bntrain({"--config", config(text)});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr("c.toml"));
    return result.err;
  }

  TemporaryFolder folder;
};

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

TEST_F(PrecedenceTest, TheFileTakesListsWithCommasBetweenTheirValues) {
  EXPECT_EQ(resolved({"--config", config("[train]\noptimizer = 'adamw'\nbetas = [0.8, 0.9]  # of adamw\n")})
                .at("betas"),
            "0.8,0.9");
  EXPECT_EQ(resolved({"--config", config("[train]\nrecord = [ \"bn\", 'activations' ]\n")}).at("record"),
            "bn,activations");
  EXPECT_THAT(refusal("[train]\nbetas = [0.8, 0.9\n"), AllOf(HasSubstr("line 2"), HasSubstr("]")));
  EXPECT_EQ(resolved({"--config", config("[train]\noptimizer = 'adamw'\nbetas = [0.8, 0.8, ]\nlr = +0.5\n")})
                .at("betas"),
            "0.8,0.8");
  for (const char* list : {"[]", "[0.8,,0.9]", "[,0.8]", "[0.8 0.9]", "["})
    EXPECT_THAT(refusal(std::string("[train]\nbetas = ") + list + "\n"),
                AllOf(HasSubstr("line 2"), HasSubstr("list")));
  EXPECT_THAT(refusal("[train]\nbetas = [0.8, 0.9, 1]\n"), HasSubstr("two numbers"));
  EXPECT_THAT(refusal("[train]\nlr = [0.1, 0.2]\n"), AllOf(HasSubstr("--lr"), HasSubstr("line 2")));
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

TEST_F(PrecedenceTest, TheFileTakesCommentsQuotesAndSwitches) {
  const nlohmann::json config_read =
      resolved({"--config", config("# a comment\n\n  [ train ]  # the command\n"
                                   "lr=0.3# close\nbn-variance = 'unbiased'\nsave = \"" +
                                   folder.file("a # b.safetensors") + "\" # end\nsummary = false\r\n")});
  EXPECT_EQ(config_read.at("lr"), 0.3);
  EXPECT_EQ(config_read.at("bn-variance"), "unbiased");
  EXPECT_EQ(config_read.at("save"), folder.file("a # b.safetensors"));
}

TEST_F(PrecedenceTest, SwitchesOfTheFileWork) {
  const ProgramResult result = run_bntrain(small_run({"--config", config("[train]\nsummary = true\n")}));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("trainable"));
}

TEST_F(PrecedenceTest, WhatTheFileDoesNotMeanIsRefusedWithItsLine) {
  EXPECT_THAT(refusal("[train]\n\nepcohs = 3\n"),
              AllOf(HasSubstr("line 3"), HasSubstr("did you mean epochs?")));
  EXPECT_THAT(refusal("[trian]\n"), AllOf(HasSubstr("line 1"), HasSubstr("did you mean train?")));
  EXPECT_THAT(refusal("lr = 0.3\n"), AllOf(HasSubstr("line 1"), HasSubstr("[train]")));
  EXPECT_THAT(refusal("[train]\nlr\n"), AllOf(HasSubstr("line 2"), HasSubstr("key = value")));
  EXPECT_THAT(refusal("[train]\nlr =\n"), AllOf(HasSubstr("line 2"), HasSubstr("missing")));
  EXPECT_THAT(refusal("[train]\nlr = 0.1 0.2\n"), AllOf(HasSubstr("line 2"), HasSubstr("unexpected '0.2'")));
  EXPECT_THAT(refusal("[train]\nlr = 0.1\nlr = 0.2\n"), AllOf(HasSubstr("line 3"), HasSubstr("twice")));
  EXPECT_THAT(refusal("[train]\nnorm = none\n"), AllOf(HasSubstr("line 2"), HasSubstr("\"none\"")));
  EXPECT_THAT(refusal("[train]\nsave = \"x\n"), AllOf(HasSubstr("line 2"), HasSubstr("not closed")));
  EXPECT_THAT(refusal("[train\n"), AllOf(HasSubstr("line 1"), HasSubstr("]")));
  EXPECT_THAT(refusal("[train]\nhelp = true\n"), HasSubstr("help"));
  EXPECT_THAT(refusal("[train]\njson = 7x\n"), HasSubstr("true or false"));
}

}  // namespace
}  // namespace bntrain::test
