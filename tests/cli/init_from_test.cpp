// --init-from a model of which not everything is taken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/edit_model.hpp"
#include "cli/run_program.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// A run of that network on images of so many classes.
std::vector<std::string> run_of(const std::string& network, int classes,
                                const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {
      "--data",       "synthetic:shape=1x8x8,train=200,test=70,classes=" + std::to_string(classes),
      "--network",    network,
      "--batch-size", "32",
      "--init",       "torch",
      "--seed",       "3"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

const std::string kTen = "conv4x3,bn,relu,fc12,relu,fc10", kSeven = "conv4x3,bn,relu,fc12,relu,fc7";

class InitFromTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(run_bntrain(run_of(kTen, 10, {"--epochs", "1", "--save", model()})).exit_code, 0);
  }
  std::string model() const { return folder_.file("ten.safetensors"); }
  std::string file(const std::string& name) const { return folder_.file(name); }
  /// The values before the first step.
  TensorFile begin(const std::vector<std::string>& more, ProgramResult* result = nullptr) const {
    std::vector<std::string> flags = {"--epochs", "0", "--save", file("begin.safetensors")};
    flags.insert(flags.end(), more.begin(), more.end());
    const ProgramResult run = run_bntrain(run_of(kSeven, 7, flags));
    EXPECT_EQ(run.exit_code, 0) << run.err;
    if (result != nullptr) *result = run;
    return read_safetensors(file("begin.safetensors"));
  }
  static const std::vector<float>& values(const TensorFile& tensors, const std::string& name) {
    return tensors.state.find(name)->floats();
  }

  TemporaryFolder folder_;
};

TEST_F(InitFromTest, ALastLayerWithOtherOutputsBeginsAnew) {
  ProgramResult result;
  const TensorFile begun = begin({"--init-from", model(), "--quiet"}, &result);
  EXPECT_THAT(result.err, AllOf(HasSubstr("warning: "), HasSubstr("has 10 outputs in its last layer, 6 fc7"),
                                HasSubstr("6.bias and 6.weight"),
                                HasSubstr("begin anew with --init torch and --seed 3")));
  const TensorFile old = read_safetensors(model()), fresh = begin({});
  for (const char* name : {"0.weight", "1.running_var", "4.weight"})
    EXPECT_EQ(values(begun, name), values(old, name)) << name;
  for (const char* name : {"6.weight", "6.bias"})
    EXPECT_EQ(values(begun, name), values(fresh, name)) << "as in a new network of that seed: " << name;
  EXPECT_EQ(begun.metadata.at("init-anew"), "6.bias,6.weight");
}

TEST_F(InitFromTest, EverythingElseMustFit) {
  const ProgramResult result =
      run_bntrain(run_of("conv4x3,bn,relu,fc11,relu,fc7", 7, {"--epochs", "0", "--init-from", model()}));
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, AllOf(HasSubstr("'4.weight' is float32 [12, 144], not float32 [11, 144]"),
                                HasSubstr("'6.weight'")));
}

TEST_F(InitFromTest, LayersThatAreSkippedBeginAnew) {
  const TensorFile old = read_safetensors(model()), fresh = begin({});
  ProgramResult result;
  const TensorFile begun =
      begin({"--init-from", model(), "--init-skip", "1,4.bias", "--init-skip", "6"}, &result);
  for (const char* name : {"0.weight", "4.weight"}) EXPECT_EQ(values(begun, name), values(old, name)) << name;
  for (const char* name : {"1.weight", "1.running_var", "4.bias", "6.weight"})
    EXPECT_EQ(values(begun, name), values(fresh, name)) << name;
  EXPECT_THAT(result.err, AllOf(HasSubstr("1.running_var"), HasSubstr("4.bias"), Not(HasSubstr("4.weight"))));
}

TEST_F(InitFromTest, AStatisticThatIsSkippedIsNotConverted) {
  const TensorFile begun = begin({"--init-from", model(), "--init-skip", "1", "--bn-convention", "torch"});
  for (const float var : values(begun, "1.running_var")) EXPECT_EQ(var, 1);
}

TEST_F(InitFromTest, RuinedValuesThatAreSkippedDoNotMatter) {
  edit_values(model(), "4.weight", [](std::vector<float>& values) { values[0] = INFINITY; });
  const auto flags = [&](const std::string& skip) {
    return run_of(kSeven, 7, {"--epochs", "0", "--init-from", model(), "--init-skip", skip});
  };
  EXPECT_EQ(run_bntrain(flags("4")).exit_code, 0);
  EXPECT_EQ(run_bntrain(flags("0")).exit_code, 3);
}

TEST_F(InitFromTest, WhatCannotBeSkippedIsRefused) {
  const ProgramResult unknown = run_bntrain(run_of(kSeven, 7, {"--init-from", model(), "--init-skip", "5"}));
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("--init-skip: '5'"), HasSubstr("4 (fc12)")));
  const ProgramResult alone = run_bntrain(run_of(kSeven, 7, {"--init-skip", "6"}));
  EXPECT_EQ(alone.exit_code, 2);
  EXPECT_THAT(alone.err, AllOf(HasSubstr("--init-skip"), HasSubstr("--init-from")));
}

TEST_F(InitFromTest, AResumedRunSaysItToo) {
  const std::string run = file("run");
  const std::vector<std::string> flags = {"--init-from", model(), "--init-skip", "1",
                                          "--epochs",    "1",     "--out",       run};
  ASSERT_EQ(run_bntrain(run_of(kSeven, 7, flags)).exit_code, 0);
  const auto start = [&] { return json_lines(read_text(run + "/metrics.jsonl")).at(0); };
  const nlohmann::json before = start();
  EXPECT_THAT(before.at("init-anew"),
              "1.bias,1.num_batches_tracked,1.running_mean,1.running_var,1.weight,6.bias,6.weight");
  EXPECT_EQ(before.at("config").at("init-skip"), "1");
  const std::string saved = file("saved.safetensors");
  const ProgramResult resumed = run_bntrain({"--resume", run, "--epochs", "2", "--save", saved});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(start().at("init-anew"), before.at("init-anew"));
  EXPECT_EQ(start().at("config").at("init-skip"), "1");
  EXPECT_EQ(read_safetensors(saved).metadata.at("init-anew"), before.at("init-anew"));
}

}  // namespace
}  // namespace bntrain::test
