// bntrain eval on models that bntrain train saved: the numbers are those that training printed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/edit_model.hpp"
#include "cli/run_program.hpp"
#include "formats/safetensors.hpp"

namespace bntrain::test {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class EvalTest : public ::testing::Test {
 protected:
  /// Trains, saves; returns the record of the last epoch.
  json train(const std::vector<std::string>& arguments) const {
    std::vector<std::string> all = arguments;
    all.insert(all.end(), {"--json", "--save", model()});
    const ProgramResult result = run_bntrain(all);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const auto records = json_lines(result.out);
    return records.at(records.size() - 2);
  }
  json train_small() const { return train(small_run({"--epochs", "2", "--lr", "0.1", "--init", "he"})); }

  ProgramResult eval(const std::vector<std::string>& more, const std::string& data = kSmallData) const {
    std::vector<std::string> arguments = {"eval", model(), "--quiet", "--batch-size", "32"};
    if (!data.empty()) arguments.insert(arguments.end(), {"--data", data});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_bntrain(arguments);
  }
  json eval_json(std::vector<std::string> more = {}) const {
    more.emplace_back("--json");
    const ProgramResult result = eval(more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    return json::parse(result.out);
  }
  void expect_refusal(const ProgramResult& result, int exit_code,
                      const std::vector<std::string>& words) const {
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("error: "));
    EXPECT_EQ(lines(result.err).size(), 1U) << result.err;
    for (const std::string& word : words) EXPECT_THAT(result.err, HasSubstr(word));
  }
  void strip_metadata() const { write_safetensors(model(), {read_safetensors(model()).state, {}}); }

  std::string model() const { return folder_.file("m.safetensors"); }
  std::string csv() const { return folder_.file("e.csv"); }

  TemporaryFolder folder_;
};

TEST_F(EvalTest, TheNumbersAreThoseThatTrainingPrinted) {
  const json epoch = train_small();
  const json record = eval_json();
  EXPECT_EQ(record.at("network"), "conv4x3,bn,relu,maxpool2,fc10");
  EXPECT_EQ(record.at("split"), "test");
  ASSERT_EQ(record.at("results").size(), 1U);
  const json& result = record.at("results").at(0);
  EXPECT_EQ(result.at("bn_statistics"), "running");
  EXPECT_EQ(result.at("loss"), epoch.at("test_loss"));
  EXPECT_EQ(result.at("accuracy"), epoch.at("test_accuracy"));
  EXPECT_EQ(result.at("loss_batch_mean"), epoch.at("test_loss_batch_mean"));
  EXPECT_EQ(result.at("accuracy_batch_mean"), epoch.at("test_accuracy_batch_mean"));
  EXPECT_EQ(result.at("images"), 70);
}

TEST_F(EvalTest, TheConfusionMatrixAddsUpToTheScores) {
  train_small();
  const json result = eval_json().at("results").at(0);
  int images = 0, right = 0;
  for (std::size_t c = 0; c < 10; ++c) {
    const json& row = result.at("confusion").at(c);
    const json& score = result.at("classes").at(c);
    int support = 0, predicted = 0;
    for (std::size_t other = 0; other < 10; ++other) {
      support += row.at(other).get<int>();
      predicted += result.at("confusion").at(other).at(c).get<int>();
    }
    EXPECT_EQ(score.at("support"), support);
    EXPECT_EQ(score.at("predicted"), predicted);
    EXPECT_EQ(score.at("right"), row.at(c));
    if (predicted > 0) {
      EXPECT_DOUBLE_EQ(score.at("precision"), row.at(c).get<double>() / predicted);
    }
    EXPECT_DOUBLE_EQ(score.at("recall"), row.at(c).get<double>() / support);
    images += support;
    right += row.at(c).get<int>();
  }
  EXPECT_EQ(images, 70);
  EXPECT_EQ(result.at("right"), right);
  EXPECT_DOUBLE_EQ(result.at("accuracy"), right / 70.0);
  EXPECT_EQ(result.at("undecided"), 0);
}

TEST_F(EvalTest, TheTablesAreForPeople) {
  const json epoch = train_small();
  const ProgramResult result = eval({});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  const std::vector<std::string> printed = lines(result.out);
  ASSERT_EQ(printed.size(), 4U + 1 + 12 + 1 + 11);
  EXPECT_EQ(printed[0], "test set of synthetic: 70 images");
  EXPECT_THAT(printed[3], MatchesRegex("running +[0-9]\\.[0-9]{6} +[01]\\.[0-9]{6} +[0-9]+"));
  EXPECT_THAT(printed[3], HasSubstr(epoch.at("test_accuracy").dump().substr(0, 5)));
  EXPECT_THAT(printed[5], MatchesRegex("class +images +predicted +correct +precision +recall +F1"));
  EXPECT_THAT(printed[16], StartsWith("macro average "));
  EXPECT_THAT(printed[18], MatchesRegex("true .* predicted( +[0-9])+"));
  EXPECT_THAT(printed[28], MatchesRegex("9( +[0-9]+){10}"));
}

TEST_F(EvalTest, TheTrainingSetCanBeEvaluatedToo) {
  train_small();
  const json record = eval_json({"--split", "train", "--bn-stats", "all"});
  EXPECT_EQ(record.at("split"), "train");
  for (const json& result : record.at("results")) EXPECT_EQ(result.at("images"), 200);
}

TEST_F(EvalTest, StatisticsStandSideBySide) {
  train(small_run({"--epochs", "1", "--lr", "0.1", "--init", "he", "--bn-momentum", "0.99"}));
  const json results = eval_json({"--bn-stats", "all"}).at("results");
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[0].at("bn_statistics"), "running");
  EXPECT_EQ(results[1].at("bn_statistics"), "batch");
  EXPECT_EQ(results[2].at("bn_statistics"), "recomputed");
  // After 7 steps at 0.99 the running statistics are still those of the beginning.
  EXPECT_GT(results[0].at("loss").get<double>(), results[2].at("loss").get<double>() + 0.05);
  EXPECT_NEAR(results[1].at("loss").get<double>(), results[2].at("loss").get<double>(), 0.2);
  EXPECT_EQ(eval_json({"--bn-stats", "batch"}).at("results"), json::array({results[1]}));
  EXPECT_EQ(eval_json({"--bn-stats", "recomputed,running"}).at("results"),
            json::array({results[2], results[0]}));
  const ProgramResult printed = eval({"--bn-stats", "batch,running"});
  EXPECT_THAT(printed.out,
              AllOf(HasSubstr("\nbatch "), HasSubstr("\nrunning "), HasSubstr("with batch statistics")));
}

TEST_F(EvalTest, RecomputedStatisticsCanBeKept) {
  train_small();
  const std::string kept = folder_.file("r.safetensors");
  const json results = eval_json({"--bn-stats", "recomputed", "--save-recomputed", kept}).at("results");
  const ProgramResult again =
      run_bntrain({"eval", kept, "--data", kSmallData, "--batch-size", "32", "--quiet", "--json"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(json::parse(again.out).at("results").at(0).at("loss"), results.at(0).at("loss"));
  auto expected = read_safetensors(model()).metadata;
  EXPECT_EQ(expected.at("bn-values"), "1152") << "32 images of 6 x 6";
  expected["bn-values"] = "7200";  // all 200 training images
  EXPECT_EQ(read_safetensors(kept).metadata, expected);
}

TEST_F(EvalTest, TheCsvHasARowAClass) {
  train_small();
  const json result = eval_json({"--csv", csv()}).at("results").at(0);
  const std::vector<std::string> rows = lines(read_text(csv()));
  ASSERT_EQ(rows.size(), 11U);
  EXPECT_THAT(rows[0], StartsWith("class,name,support,predicted,right,precision,recall,f1,as_0,as_1,"));
  std::string cells;
  for (const json& count : result.at("confusion").at(3)) cells += "," + count.dump();
  const json& score = result.at("classes").at(3);
  EXPECT_THAT(rows[4],
              AllOf(StartsWith("3,3," + score.at("support").dump() + "," + score.at("predicted").dump()),
                    ::testing::EndsWith(cells + ",0")));
}

TEST_F(EvalTest, LogitsThatAreNoNumbersAreReported) {
  train_small();
  overflow_logits(model());
  const ProgramResult result = eval({});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, AllOf(StartsWith("warning: "), HasSubstr("70 of 70 images"),
                                HasSubstr("counted as incorrect"), HasSubstr("error: " + model()),
                                HasSubstr("with running statistics the loss is not finite")));
  EXPECT_THAT(result.out, AllOf(HasSubstr("undecided"), HasSubstr("0.000000")));
  const json record = json::parse(eval({"--json"}).out).at("results").at(0);
  EXPECT_EQ(record.at("undecided"), 70);
  EXPECT_TRUE(record.at("loss").is_null());
}

TEST_F(EvalTest, AFileWithoutMetadataNeedsTheNetworkAndEps) {
  const json epoch = train_small();
  strip_metadata();
  expect_refusal(eval({}), 2, {model(), "--network"});
  const std::string network = "conv4x3,bn,relu,maxpool2,fc10";
  expect_refusal(eval({"--network", network}), 2, {model(), "--bn-eps"});
  const json record = eval_json({"--network", network, "--bn-eps", "1e-5"});
  EXPECT_EQ(record.at("results").at(0).at("loss"), epoch.at("test_loss"));
}

TEST_F(EvalTest, OtherDataAreRefused) {
  train_small();
  expect_refusal(eval({}, "synthetic:shape=1x9x8"), 3, {model(), "(1, 8, 8)", "(1, 9, 8)"});
  expect_refusal(eval({}, "synthetic:shape=1x8x8,classes=12"), 3,
                 {"the labels go up to 11", "for 10 classes"});
  EXPECT_EQ(eval({}, "synthetic:shape=1x8x8,classes=7").exit_code, 0);  // not all of its classes have images
}

TEST_F(EvalTest, FilesThatAreNoModelsAreRefused) {
  expect_refusal(eval({}), 3, {model(), "No such file"});
  train_small();
  const std::string bytes = read_text(model());
  write_text(model(), bytes.substr(0, bytes.size() / 2));
  expect_refusal(eval({}), 3, {model()});
  write_text(model(), "<html>not found</html>");
  expect_refusal(eval({}), 3, {model()});
  expect_refusal(run_bntrain({"eval", "/usr", "--quiet", "--data", kSmallData}), 3, {"/usr", "folder"});
}

TEST_F(EvalTest, RequestsThatMakeNoSenseAreRefused) {
  train(small_run({"--epochs", "1", "--norm", "none"}));
  expect_refusal(eval({"--bn-stats", "all"}), 2, {"--bn-stats", "no batch norm"});
  expect_refusal(eval({"--bn-stats", "mean"}), 2, {"--bn-stats", "'mean'", "recomputed"});
  expect_refusal(eval({"--bn-stats", "batch,batch"}), 2, {"--bn-stats", "once"});
  expect_refusal(eval({"--bn-stats", "batch,"}), 2, {"--bn-stats", "'batch,'"});
  expect_refusal(eval({"--split", "valid"}), 2, {"--split", "test or train"});
  expect_refusal(eval({"--save-recomputed", folder_.file("r")}), 2,
                 {"--save-recomputed", "--bn-stats recomputed"});
  expect_refusal(eval({"--csv", "/nonexistent/e.csv"}), 3, {"--csv", "/nonexistent"});
  expect_refusal(eval({"--epochs", "3"}), 2, {"unknown flag --epochs", "bntrain eval --help"});
  expect_refusal(eval({"another"}), 2, {"unexpected argument 'another'", "MODEL and flags"});
  expect_refusal(run_bntrain({"eval"}), 2, {"eval needs MODEL", "bntrain eval --help"});
  expect_refusal(run_bntrain({"eval", "--quiet"}), 2, {"eval needs MODEL"});
}

TEST_F(EvalTest, SettingsComeFromTheFileAndTheEnvironmentToo) {
  train_small();
  write_text(folder_.file("c.toml"), "[eval]\nbn-stats = \"batch,running\"\nbatch-size = 70\n");
  const ProgramResult result = run_bntrain(
      {"eval", model(), "--data", kSmallData, "--quiet", "--json", "--config", folder_.file("c.toml")},
      {.environment = {{"BNTRAIN_SPLIT", "train"}}, .signal = 0});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json record = json::parse(result.out);
  EXPECT_EQ(record.at("results").size(), 2U);
  EXPECT_EQ(record.at("batch_size"), 70);
  EXPECT_EQ(record.at("split"), "train");
}

TEST_F(EvalTest, OnTheRealFashionMnist) {
  const json epoch = train({"--steps", "30", "--init", "torch"});
  const ProgramResult printed = run_bntrain({"eval", model(), "--csv", csv()});
  ASSERT_EQ(printed.exit_code, 0) << printed.err;
  EXPECT_THAT(printed.out, AllOf(HasSubstr("test set of fashion-mnist: 10000 images"),
                                 HasSubstr("\nAnkle boot "), HasSubstr("\n0 T-shirt/top ")));
  EXPECT_THAT(read_text(csv()), HasSubstr("\n9,Ankle boot,1000,"));
  const json record =
      json::parse(run_bntrain({"eval", model(), "--quiet", "--json", "--bn-stats", "all"}).out);
  EXPECT_EQ(record.at("results").at(0).at("accuracy"), epoch.at("test_accuracy"));
  EXPECT_EQ(record.at("results").at(0).at("loss"), epoch.at("test_loss"));
  for (const json& result : record.at("results")) EXPECT_GT(result.at("accuracy").get<double>(), 0.35);
}

}  // namespace
}  // namespace bntrain::test
