// --bn-convention and the running variance of --init-from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_program.hpp"
#include "formats/safetensors.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ConventionTest : public ::testing::Test {
 protected:
  std::string file(const std::string& name) const { return folder.file(name); }
  /// Trains with `flags` and returns what was saved.
  TensorFile train(const std::vector<std::string>& flags, const ProgramSetup& setup = {}) {
    std::vector<std::string> arguments = small_run({"--init", "torch", "--save", file("model.safetensors")});
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    result = run_bntrain(arguments, setup);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return read_safetensors(file("model.safetensors"));
  }
  /// "eps momentum variance" that the saved model names.
  std::string options(const std::vector<std::string>& flags, const ProgramSetup& setup = {}) {
    const auto metadata = train(flags, setup).metadata;
    return metadata.at("bn-eps") + " " + metadata.at("bn-momentum") + " " + metadata.at("bn-variance");
  }

  TemporaryFolder folder;
  ProgramResult result;
};

TEST_F(ConventionTest, NamesTheThreeOfAFramework) {
  const std::vector<std::string> start = {"--epochs", "0", "--bn-convention"};
  const auto of = [&](const std::string& name) { return options({start[0], start[1], start[2], name}); };
  EXPECT_EQ(options({"--epochs", "0"}), "1e-05 0.9 biased");
  EXPECT_EQ(of("tutorial"), "1e-05 0.9 biased");
  EXPECT_EQ(of("torch"), "1e-05 0.9 unbiased");
  EXPECT_EQ(of("keras"), "0.001 0.99 biased");
  EXPECT_EQ(of("caffe"), "1e-05 0.999 unbiased");
  EXPECT_EQ(of("onnx"), "1e-05 0.9 biased");
}

TEST_F(ConventionTest, AFlagOfItsOwnGoesBeforeIt) {
  const std::string expected = "0.5 0.99 biased";
  EXPECT_EQ(options({"--epochs", "0", "--bn-convention", "keras", "--bn-eps", "0.5"}), expected);
  EXPECT_EQ(options({"--epochs", "0", "--bn-eps", "0.5", "--bn-convention", "keras"}), expected);
  EXPECT_EQ(
      options({"--epochs", "0", "--bn-convention", "torch", "--bn-variance", "biased", "--bn-momentum", "0"}),
      "1e-05 0 biased");
}

TEST_F(ConventionTest, AlsoWhereTheyComeFromOtherSources) {
  const std::string expected = "0.5 0.99 biased";
  EXPECT_EQ(
      options({"--epochs", "0", "--bn-convention", "keras"}, {.environment = {{"BNTRAIN_BN_EPS", "0.5"}}}),
      expected);
  EXPECT_EQ(
      options({"--epochs", "0", "--bn-eps", "0.5"}, {.environment = {{"BNTRAIN_BN_CONVENTION", "keras"}}}),
      expected);
  for (const char* lines :
       {"bn-eps = 0.5\nbn-convention = \"keras\"\n", "bn-convention = \"keras\"\nbn-eps = 0.5\n"}) {
    write_text(file("c.toml"), std::string("[train]\n") + lines);
    EXPECT_EQ(options({"--epochs", "0", "--config", file("c.toml")}), expected);
  }
  write_text(file("c.toml"), "[train]\nbn-eps = 0.5\n");
  EXPECT_EQ(options({"--epochs", "0", "--config", file("c.toml"), "--bn-convention", "keras"}), expected);
  EXPECT_EQ(options({"--epochs", "0", "--config", file("c.toml")},
                    {.environment = {{"BNTRAIN_BN_CONVENTION", "keras"}}}),
            expected);
  write_text(file("c.toml"), "[train]\nbn-convention = \"keras\"\n");
  EXPECT_EQ(options({"--epochs", "0", "--config", file("c.toml"), "--bn-eps", "0.5"}), expected);
}

TEST_F(ConventionTest, AModelNamesTheValuesOfAChannel) {
  EXPECT_EQ(train({"--epochs", "0"}).metadata.at("bn-values"), "1152");  // 32 images of 6 x 6
  EXPECT_EQ(train({"--epochs", "0", "--norm", "none"}).metadata.count("bn-values"), 0U);
}

// The judge is training itself: both conventions see the same batch, a whole one.
TEST_F(ConventionTest, ConversionGivesWhatTheOtherConventionWouldHaveRecorded) {
  const std::vector<std::string> one_step = {"--steps", "1", "--bn-momentum", "0"};
  const auto with = [](std::vector<std::string> flags, const std::vector<std::string>& more) {
    flags.insert(flags.end(), more.begin(), more.end());
    return flags;
  };
  const auto variance = [](const TensorFile& content) {
    return content.state.find("1.running_var")->floats();
  };
  const auto expected = variance(train(with(one_step, {"--bn-variance", "unbiased"})));
  const TensorFile biased = train(one_step);
  EXPECT_NE(variance(biased), expected);
  write_safetensors(file("start.safetensors"), biased);
  const auto converted = variance(
      train({"--init-from", file("start.safetensors"), "--epochs", "0", "--bn-variance", "unbiased"}));
  EXPECT_THAT(result.err, AllOf(HasSubstr("converted from biased to unbiased"), HasSubstr("1152")));
  for (std::size_t c = 0; c < expected.size(); ++c) EXPECT_FLOAT_EQ(converted[c], expected[c]);
}

TEST_F(ConventionTest, AFileThatSaysNothingIsTakenAsItIsAndExplained) {
  const TensorFile content = train({"--epochs", "1"});
  write_safetensors(file("bare.safetensors"), {content.state, {}});
  const TensorFile after =
      train({"--init-from", file("bare.safetensors"), "--epochs", "0", "--bn-variance", "unbiased"});
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("does not say which variance"), HasSubstr("--bn-convention torch")));
  EXPECT_EQ(after.state.find("1.running_var")->values, content.state.find("1.running_var")->values);
}

TEST_F(ConventionTest, TheSameConventionNeedsNoWord) {
  write_safetensors(file("start.safetensors"), train({"--epochs", "1"}));
  train({"--init-from", file("start.safetensors"), "--epochs", "0"});
  EXPECT_THAT(result.err, AllOf(Not(HasSubstr("running_var")), Not(HasSubstr("--bn-eps"))));
  train({"--init-from", file("start.safetensors"), "--epochs", "0", "--bn-eps", "0.001"});
  EXPECT_THAT(result.err, HasSubstr("was trained with --bn-eps 1e-05"));
}

TEST_F(ConventionTest, DamagedMetadataAreRefused) {
  TensorFile content = train({"--epochs", "0"});
  content.metadata["bn-values"] = "many";
  write_safetensors(file("start.safetensors"), content);
  const ProgramResult refused = run_bntrain(small_run({"--init-from", file("start.safetensors")}));
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("start.safetensors"), HasSubstr("bn-values 'many'")));
}

}  // namespace
}  // namespace bntrain::test
