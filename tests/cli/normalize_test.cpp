// --normalize: the images' scale as a property of the model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_program.hpp"
#include "formats/safetensors.hpp"

namespace bntrain::test {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

class NormalizeTest : public ::testing::Test {
 protected:
  /// The training loss of the last epoch.
  double train(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments =
        small_run({"--epochs", "1", "--init", "he", "--save", model(), "--json"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult result = run_bntrain(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json_lines(result.out).at(0).at("train_loss");
  }
  double loss(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"eval", model(), "--data", kSmallData, "--quiet", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult result = run_bntrain(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? json::parse(result.out).at("results").at(0).at("loss").get<double>() : 0;
  }
  std::string model() const { return folder_.file("m.safetensors"); }
  static void expect_refusal(const ProgramResult& result, int exit_code, const std::string& words) {
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("error: "), HasSubstr("normalize"), HasSubstr(words)));
  }

  TemporaryFolder folder_;
};

TEST_F(NormalizeTest, TheModelRemembersIt) {
  const double plain = train({});
  EXPECT_EQ(train({"--normalize", "0/1"}), plain);
  EXPECT_NE(train({"--normalize", "0.1307/0.3081"}), plain);
  EXPECT_EQ(read_safetensors(model()).metadata.at("normalize"), "0.1307/0.3081");
  const double remembered = loss();
  EXPECT_EQ(loss({"--normalize", "0.1307/0.3081"}), remembered);
  EXPECT_NE(loss({"--normalize", "0.5/0.5"}), remembered);
  const TensorFile file = read_safetensors(model());
  write_safetensors(model(), {file.state, {}});  // as PyTorch's: nothing is said
  const std::vector<std::string> described = {"--network", "conv4x3,bn,relu,maxpool2,fc10", "--bn-eps",
                                              "1e-5"};
  EXPECT_NE(loss(described), remembered);
  std::vector<std::string> normalised = described;
  normalised.insert(normalised.end(), {"--normalize", "0.1307/0.3081"});
  EXPECT_EQ(loss(normalised), remembered);
}

TEST_F(NormalizeTest, FoldingAndExportKeepIt) {
  train({"--normalize", "0.3/0.2"});
  const double before = loss();
  const ProgramResult result = run_bntrain(
      {"export", model(), "--fold", "--data", kSmallData, "-o", folder_.file("folded.safetensors")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(read_safetensors(folder_.file("folded.safetensors")).metadata.at("normalize"), "0.3/0.2");
  const ProgramResult evaluated =
      run_bntrain({"eval", folder_.file("folded.safetensors"), "--data", kSmallData, "--quiet", "--json"});
  EXPECT_NEAR(json::parse(evaluated.out).at("results").at(0).at("loss").get<double>(), before, 1e-5 * before);
}

TEST_F(NormalizeTest, AResumedRunKeepsIt) {
  const std::string run = folder_.file("run");
  const auto start = [&](const std::string& epochs, std::vector<std::string> more) {
    more.insert(more.end(), {"--epochs", epochs, "--json"});
    const ProgramResult result = run_bntrain(small_run(more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json_lines(result.out);
  };
  const auto whole = start("2", {"--normalize", "0.1307/0.3081"});
  start("1", {"--normalize", "0.1307/0.3081", "--out", run});
  const ProgramResult resumed = run_bntrain({"--resume", run, "--epochs", "2", "--json"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(json_lines(resumed.out).at(0).at("train_loss"), whole.at(1).at("train_loss"));
  expect_refusal(run_bntrain({"--resume", run, "--epochs", "2", "--normalize", "0/1"}), 2, "0.1307/0.3081");
}

TEST_F(NormalizeTest, AValueForEachChannelOrOneForAll) {
  const auto run = [](const std::string& text) {
    return run_bntrain({"--data", "synthetic:shape=3x8x8,train=64,test=32", "--network", "fc10",
                        "--batch-size", "32", "--epochs", "1", "--quiet", "--json", "--normalize", text});
  };
  const ProgramResult one = run("0.5/0.2"), each = run("0.5,0.5,0.5/0.2,0.2,0.2");
  EXPECT_EQ(one.exit_code, 0) << one.err;
  EXPECT_EQ(json_lines(one.out).at(0).at("train_loss"), json_lines(each.out).at(0).at("train_loss"));
  EXPECT_EQ(run("0.485,0.456,0.406/0.229,0.224,0.225").exit_code, 0);
  expect_refusal(run("0.5,0.5/0.2,0.2"), 2, "for 2 channels, and the images have 3");
  for (const std::string bad : {"0.5", "0.5/", "/0.5", "0.5/0", "0.5/-1", "nan/1", "0/inf", "0,0/1", "0/1/2",
                                "x/1", "0.5 / 0.2", "0/1e-60", "1e60/1", ",/,"})
    expect_refusal(run(bad), 2, "'" + bad + "'");
}

TEST_F(NormalizeTest, InitialValuesOfAnotherNormalisationAreSaid) {
  train({"--normalize", "0.5/0.2"});
  const ProgramResult result = run_bntrain(small_run({"--epochs", "1", "--init-from", model()}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("was trained with --normalize 0.5/0.2, and this run has none"));
}

}  // namespace
}  // namespace bntrain::test
