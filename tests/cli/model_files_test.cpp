// Model files of other programs, ruined ones, and folders, given to the commands that read models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "cli/edit_model.hpp"
#include "cli/run_program.hpp"
#include "support/raw_safetensors.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ModelFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const ProgramResult result = run_bntrain(
        small_run({"--epochs", "2", "--lr", "0.1", "--init", "he", "--quiet", "--save", model()}));
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  std::string file(const std::string& name) const { return folder_.file(name); }
  std::string model() const { return file("m.safetensors"); }

  ProgramResult eval(const std::string& path, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"eval", path, "--data", kSmallData, "--batch-size", "32", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_bntrain(arguments);
  }
  /// Of a file that holds the tensors alone.
  ProgramResult eval_bare(const std::string& path) const {
    return eval(path, {"--network", "conv4x3,bn,relu,maxpool2,fc10", "--bn-eps", "1e-5"});
  }
  static nlohmann::json results(const ProgramResult& result) {
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? nlohmann::json::parse(result.out).at("results") : nlohmann::json();
  }
  static void expect_refused(const ProgramResult& result, int exit_code,
                             const std::vector<std::string>& words) {
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    for (const std::string& word : words) EXPECT_THAT(result.err, HasSubstr(word));
  }
  /// The model's tensors by hand, each changed.
  std::vector<RawTensor> raw() const {
    std::vector<RawTensor> tensors;
    for (const Tensor& tensor : read_safetensors(model()).state.tensors) {
      const auto* floats = std::get_if<std::vector<float>>(&tensor.values);
      tensors.push_back({tensor.name, floats != nullptr ? "F32" : "I64", tensor.shape,
                         floats != nullptr ? bytes_of(*floats)
                                           : bytes_of(std::get<std::vector<std::int64_t>>(tensor.values))});
    }
    return tensors;
  }

  TemporaryFolder folder_;
};

TEST_F(ModelFilesTest, ValuesThatNothingCanBeComputedWithAreRefusedByEveryCommand) {
  for (const auto& [name, layer] : {std::pair{"1.running_var", "1 bn"}, {"5.weight", "5 fc10"}}) {
    const std::string ruined = file("ruined.safetensors");
    std::filesystem::copy_file(model(), ruined, std::filesystem::copy_options::overwrite_existing);
    edit_values(ruined, name, [](std::vector<float>& values) { values[1] = std::nanf(""); });
    const std::vector<std::string> words = {ruined, "'" + std::string(name) + "' of " + layer, "1 of ",
                                            "NaN"};
    const std::string out = file("out");
    expect_refused(run_bntrain(small_run({"--init-from", ruined, "--save", out})), 3, words);
    expect_refused(eval(ruined), 3, words);
    expect_refused(run_bntrain({"predict", ruined, "--data", kSmallData, "--range", "0"}), 3, words);
    for (const char* extension : {".safetensors", ".onnx"})
      expect_refused(run_bntrain({"export", ruined, "-o", out + extension}), 3, words);
    expect_refused(
        run_bntrain({"export", ruined, "-o", out + ".safetensors", "--fold", "--data", kSmallData}), 3,
        words);
    EXPECT_FALSE(std::filesystem::exists(out) || std::filesystem::exists(out + ".onnx") ||
                 std::filesystem::exists(out + ".safetensors"));
  }
}

TEST_F(ModelFilesTest, RuinedStatisticsCanBeRecomputed) {
  edit_values(model(), "1.running_mean", [](std::vector<float>& values) { values[0] = INFINITY; });
  const std::string mended = file("mended.safetensors");
  const ProgramResult result = eval(model(), {"--bn-stats", "recomputed", "--save-recomputed", mended});
  const nlohmann::json expected = results(result);
  EXPECT_THAT(result.err, AllOf(HasSubstr("warning: "), HasSubstr("'1.running_mean' of 1 bn")));
  EXPECT_EQ(results(eval(mended)).at(0).at("loss"), expected.at(0).at("loss"));
}

TEST_F(ModelFilesTest, RecomputedStatisticsThatAreNotFiniteAreNotWritten) {
  edit_values(model(), "0.weight", [](std::vector<float>& values) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % 2 == 0 ? 3e38F : -3e38F;
  });
  const std::string kept = file("kept.safetensors");
  const ProgramResult result = eval(model(), {"--bn-stats", "recomputed", "--save-recomputed", kept});
  expect_refused(result, 3, {"the recomputed statistics", "of 1 bn"});
  EXPECT_FALSE(std::filesystem::exists(kept));
}

TEST_F(ModelFilesTest, APrefixAndMissingCountsAreTaken) {
  const nlohmann::json expected = results(eval(model()));
  std::vector<RawTensor> tensors = raw();
  std::erase_if(tensors, [](const RawTensor& tensor) { return tensor.dtype == "I64"; });
  for (RawTensor& tensor : tensors) tensor.name.insert(0, "module._orig_mod.");
  write_raw_safetensors(file("p.safetensors"), tensors);
  const ProgramResult result = eval_bare(file("p.safetensors"));
  EXPECT_EQ(results(result), expected);
  EXPECT_THAT(result.err, AllOf(HasSubstr("the prefix 'module._orig_mod.' is taken off"),
                                HasSubstr("counted as 0 because it is missing: 1.num_batches_tracked")));
}

TEST_F(ModelFilesTest, ElementsOfOtherTypesAreConverted) {
  std::vector<RawTensor> doubles = raw(), halves = raw();
  for (RawTensor& tensor : doubles) {
    if (tensor.dtype != "F32") continue;
    std::vector<double> values;
    for (std::size_t i = 0; i < tensor.bytes.size(); i += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, tensor.bytes.data() + i, sizeof value);
      values.push_back(value);
    }
    tensor = {tensor.name, "F64", tensor.shape, bytes_of(values)};
  }
  for (RawTensor& tensor : halves) {  // the upper halves
    if (tensor.dtype != "F32") continue;
    std::string upper;
    for (std::size_t i = 0; i < tensor.bytes.size(); i += sizeof(float))
      upper += tensor.bytes.substr(i + 2, 2);
    tensor = {tensor.name, "BF16", tensor.shape, upper};
  }
  write_raw_safetensors(file("d.safetensors"), doubles);
  write_raw_safetensors(file("h.safetensors"), halves);
  EXPECT_EQ(results(eval_bare(file("d.safetensors"))), results(eval(model())));
  const ProgramResult half = eval_bare(file("h.safetensors"));
  EXPECT_NEAR(results(half).at(0).at("loss").get<double>(),
              results(eval(model())).at(0).at("loss").get<double>(), 0.05);
  EXPECT_THAT(half.err, HasSubstr("16-bit elements are read as float32, exactly: 0.weight"));
}

TEST_F(ModelFilesTest, TheFolderOfARunIsItsBestModelOrItsLast) {
  const std::string run = file("run");
  const auto train = [&](const std::vector<std::string>& more) {
    std::vector<std::string> flags = {"--epochs", "1", "--init", "he", "--out", run};
    flags.insert(flags.end(), more.begin(), more.end());
    ASSERT_EQ(run_bntrain(small_run(flags)).exit_code, 0);
  };
  train({});
  const ProgramResult last = eval(run);
  EXPECT_EQ(results(last), results(eval(run + "/last.safetensors")));
  EXPECT_THAT(last.err, HasSubstr(run + "/last.safetensors is taken"));
  std::filesystem::remove_all(run);
  train({"--valid", "0.2"});
  const ProgramResult best = eval(run);
  EXPECT_EQ(results(best), results(eval(run + "/best.safetensors")));
  EXPECT_THAT(best.err, HasSubstr(run + "/best.safetensors is taken"));
  EXPECT_EQ(run_bntrain({"predict", run, "--data", kSmallData, "--range", "0"}).exit_code, 0);
  EXPECT_EQ(run_bntrain({"export", run, "-o", file("run.safetensors")}).exit_code, 0);
  EXPECT_EQ(run_bntrain(small_run({"--epochs", "0", "--init-from", run})).exit_code, 0);
  std::filesystem::create_directory(file("none"));
  expect_refused(eval(file("none")), 3, {file("none"), "holds no run", "best.safetensors"});
}

TEST_F(ModelFilesTest, AFileOfAnotherFormatIsNamed) {
  write_text(file("m.gguf"), "GGUF" + std::string(60, '\3'));
  expect_refused(eval(file("m.gguf")), 3, {file("m.gguf"), "GGUF"});
  expect_refused(run_bntrain(small_run({"--init-from", file("m.gguf")})), 3, {"GGUF"});
}

}  // namespace
}  // namespace bntrain::test
