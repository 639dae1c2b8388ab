// Data sets as they are met: classes without images, labels that are wrong, no test set.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "bntrain/dataset.hpp"
#include "cli/run_program.hpp"

namespace bntrain::test {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class DataTest : public ::testing::Test {
 protected:
  static void write(const std::filesystem::path& path, const std::vector<std::uint32_t>& header,
                    const std::vector<std::uint8_t>& bytes) {
    std::string contents;
    for (const std::uint32_t word : header)
      for (const int shift : {24, 16, 8, 0}) contents.push_back(static_cast<char>(word >> shift));
    contents.append(bytes.begin(), bytes.end());
    write_text(path, contents);
  }
  static void write_set(const std::string& part, const std::filesystem::path& folder, const ImageSet& set) {
    const auto count = static_cast<std::uint32_t>(set.count);
    write(folder / (part + "-images-idx3-ubyte"), {0x803, count, 8, 8}, set.pixels);
    write(folder / (part + "-labels-idx1-ubyte"), {0x801, count}, set.labels);
  }
  /// The small synthetic set of so many classes as IDX files.
  std::string make(const std::string& name, int classes = 10, bool test_set = true) const {
    const Dataset data =
        make_synthetic(parse_synthetic("shape=1x8x8,train=200,test=70,classes=" + std::to_string(classes)));
    std::filesystem::create_directory(folder_.file(name));
    write_set("train", folder_.file(name), data.train);
    if (test_set) write_set("t10k", folder_.file(name), data.test);
    return folder_.file(name);
  }
  /// Writes another label into the training set.
  void relabel(const std::string& data, std::uint8_t from, std::uint8_t to, bool all) const {
    const std::string path = data + "/train-labels-idx1-ubyte";
    std::string contents = read_text(path);
    for (std::size_t i = 8; i < contents.size(); ++i) {
      if (static_cast<std::uint8_t>(contents[i]) != from) continue;
      contents[i] = static_cast<char>(to);
      if (!all) break;
    }
    write_text(path, contents);
  }
  static ProgramResult train(const std::string& data, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--data", data, "--network", "mlp-bn", "--batch-size", "32", "--epochs", "1",
                               "--init", "torch"});
    return run_bntrain(more);
  }
  static void expect_refusal(const ProgramResult& result, int exit_code, const std::string& words) {
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("error: "), HasSubstr(words)));
    EXPECT_EQ(result.out, "");
  }

  TemporaryFolder folder_;
};

TEST_F(DataTest, OneWrongLabelDoesNotMakeTwoHundredClasses) {
  const std::string data = make("d");
  relabel(data, 3, 200, false);
  const ProgramResult result = train(data);
  expect_refusal(result, 3, "the label is 200, but classes 10 to 199 have no training image");
  EXPECT_THAT(result.err, AllOf(StartsWith("error: --classes: "), HasSubstr("200: 1)")));
  EXPECT_EQ(train(data, {"--classes", "201"}).exit_code, 0);
  expect_refusal(train(data, {"--classes", "10"}), 3, "the label is 200; allowed is 0 to 9");
}

TEST_F(DataTest, AModelKnowsItsClasses) {
  const std::string model = folder_.file("ten.safetensors"), sub = make("sub", 9);
  ASSERT_EQ(train(make("ten"), {"--save", model}).exit_code, 0);
  const ProgramResult evaluated = run_bntrain({"eval", model, "--data", sub, "--quiet", "--json"});
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_EQ(json::parse(evaluated.out).at("results").at(0).at("classes").size(), 10U);
  EXPECT_EQ(run_bntrain({"predict", model, "--data", sub, "--range", "0:1", "--quiet"}).exit_code, 0);
  const ProgramResult tuned = train(sub, {"--init-from", model, "--json"});
  EXPECT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_THAT(tuned.err, HasSubstr("--classes 10 keeps them"));
  const ProgramResult with_text =
      run_bntrain({"--data", sub, "--init-from", model, "--network", "fc256,bn,relu,fc128,bn,relu,fc10",
                   "--epochs", "1", "--batch-size", "32"});
  EXPECT_EQ(with_text.exit_code, 0) << with_text.err;
  EXPECT_THAT(with_text.err,
              AllOf(HasSubstr("the data show 9 of the 10 classes"), Not(HasSubstr("begin anew"))));
  // A class between others may be missing too: the model has it.
  relabel(sub, 4, 5, true);
  expect_refusal(train(sub), 3, "class 4 has no training image");
  EXPECT_EQ(run_bntrain({"eval", model, "--data", sub, "--quiet"}).exit_code, 0);
  EXPECT_EQ(train(sub, {"--init-from", model, "--classes", "10"}).exit_code, 0);
  expect_refusal(run_bntrain({"eval", model, "--data", make("more", 12), "--quiet"}), 3, "allowed is 0 to 9");
}

TEST_F(DataTest, AResumedRunKeepsTheClassesThatWereNamed) {
  const std::string run = folder_.file("run"), data = make("d", 9);
  ASSERT_EQ(train(data, {"--classes", "12", "--out", run}).exit_code, 0);
  const ProgramResult resumed = run_bntrain({"--resume", run, "--epochs", "2"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
}

TEST_F(DataTest, LabelsThatBeginWithOneAreTrained) {
  const std::string data = make("d");
  relabel(data, 0, 1, true);
  const ProgramResult result = train(data);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("no training label is 0"));
}

TEST_F(DataTest, WithValidationTheTestSetMayBeMissing) {
  const std::string data = make("d", 10, false), run = folder_.file("run");
  expect_refusal(train(data), 3, "--valid");
  const ProgramResult result = train(data, {"--valid", "0.2", "--json", "--out", run});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("there is no test set"));
  const json end = json_lines(result.out).back();
  EXPECT_EQ(end.at("status"), "finished");
  EXPECT_TRUE(end.at("best_valid_accuracy").is_number());
  EXPECT_TRUE(end.at("test_accuracy").is_null());
  EXPECT_TRUE(end.at("test_loss").is_null());
  EXPECT_EQ(run_bntrain({"--resume", run, "--epochs", "2"}).exit_code, 0);
  expect_refusal(train(data, {"--valid", "0.2", "--assert-acc", "0.1"}), 2,
                 "--assert-acc: it needs a test set");
  const std::string model = run + "/best.safetensors";
  EXPECT_EQ(run_bntrain({"eval", model, "--data", data, "--split", "train"}).exit_code, 0);
  expect_refusal(run_bntrain({"eval", model, "--data", data, "--quiet"}), 3,
                 "there is no t10k-images-idx3-ubyte");
}

}  // namespace
}  // namespace bntrain::test
