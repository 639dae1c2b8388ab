// Whole runs of bntrain train.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>

#include "cli/run_program.hpp"
#include "formats/safetensors.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* epoch_pattern =
    R"(Epoch [0-9]+\. Loss: [0-9]+\.[0-9]{6}, Train acc [01]\.[0-9]{6}, Test acc [01]\.[0-9]{6} \([0-9]+\.[0-9]{2} s, [0-9]+ images/s\))";

class TrainTest : public ::testing::Test {
 protected:
  std::vector<nlohmann::json> metrics() const { return json_lines(read_text(folder.file("metrics.jsonl"))); }
  std::string metrics_file() const { return folder.file("metrics.jsonl"); }
  std::string model(const std::string& name) const { return folder.file(name + ".safetensors"); }

  TemporaryFolder folder;
};

TEST_F(TrainTest, PrintsOneLineAnEpoch) {
  const ProgramResult result = run_bntrain(small_run({"--epochs", "3"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto printed = lines(result.out);
  ASSERT_EQ(printed.size(), 3U);
  for (const std::string& line : printed) EXPECT_THAT(line, ::testing::MatchesRegex(epoch_pattern));
  EXPECT_THAT(printed[2], ::testing::StartsWith("Epoch 2. "));
}

TEST_F(TrainTest, TheCommandMayBeWrittenOrNot) {
  std::vector<std::string> named = small_run({"--epochs", "1", "--json"});
  const auto losses = [](const std::vector<std::string>& arguments) {
    return json_lines(run_bntrain(arguments).out).at(0).at("train_loss").get<double>();
  };
  const double unnamed_loss = losses(named);
  named.insert(named.begin(), "train");
  EXPECT_EQ(losses(named), unnamed_loss);
}

TEST_F(TrainTest, TellsOnStderrWhatItTrains) {
  const ProgramResult result = run_bntrain(small_run({"--epochs", "1"}));
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("200 training and 70 test images"), HasSubstr("CPU"), HasSubstr("conv4x3"),
                    HasSubstr("(32, 4, 6, 6)"), HasSubstr("trainable"), Not(HasSubstr("\x1b"))));
}

TEST_F(TrainTest, QuietSaysNothingOnStderr) {
  const ProgramResult result = run_bntrain(small_run({"--epochs", "1", "--quiet"}));
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(lines(result.out).size(), 1U);
}

TEST_F(TrainTest, SummaryShowsTheReferenceNetworkAndTrainsNothing) {
  const ProgramResult result = run_bntrain({"--summary"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("(256, 20, 12, 12)"), HasSubstr("(256, 1250)"), HasSubstr("(256, 128)"),
                    HasSubstr("(256, 10)"), HasSubstr("171,128"), Not(HasSubstr("Epoch"))));
}

TEST_F(TrainTest, SummaryMakesRoomForLongLayers) {
  const ProgramResult result = run_bntrain({"--summary", "--network", "conv128x3s2p1nobias,bn,fc10nobias"});
  const std::vector<std::string> table = lines(result.out);
  ASSERT_GE(table.size(), 4U);
  EXPECT_EQ(table[2].find("(256, 128, 14, 14)"), table[3].find("(256, 128, 14, 14)")) << result.out;
  EXPECT_EQ(table[2].size(), table[3].size()) << "numbers end below each other";
}

TEST_F(TrainTest, SummaryNamesTheBranchesOfResidualBlocks) {
  const ProgramResult result = run_bntrain(
      {"--summary", "--network", "conv8x3p1,res(conv8x3p1,bn,relu|conv8x1nobias,bn),relu,maxpool2,fc10"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* line : {R"(1\.body\.0 +conv8x3p1 +\(256, 8, 28, 28\) +584)",
                           R"(1\.shortcut\.0 +conv8x1nobias .* 64)", R"( 1 +add +\(256, 8, 28, 28\))"})
    EXPECT_THAT(result.out, ::testing::ContainsRegex(line));
}

TEST_F(TrainTest, AdamWHasTheDefaultsOfPyTorchAndFlagsTakePrecedence) {
  const auto config = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--metrics", metrics_file(), "--epochs", "1"});
    const ProgramResult result = run_bntrain(small_run(more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return metrics().front().at("config");
  };
  const nlohmann::json defaults = config({"--optimizer", "adamw"});
  EXPECT_EQ(defaults.at("lr"), 1e-3);
  EXPECT_EQ(defaults.at("weight-decay"), 0.01);
  EXPECT_EQ(defaults.at("betas"), "0.9,0.999");
  const nlohmann::json given =
      config({"--lr", "0.003", "--weight-decay", "0", "--betas", "0.8,0.99", "--optimizer", "adamw"});
  EXPECT_EQ(given.at("lr"), 0.003);
  EXPECT_EQ(given.at("weight-decay"), 0);
  EXPECT_EQ(given.at("betas"), "0.8,0.99");
  const nlohmann::json sgd = config({"--momentum", "0.9", "--nesterov", "--decay", "weights"});
  EXPECT_EQ(sgd.at("lr"), 0.2);
  EXPECT_EQ(sgd.at("nesterov"), true);
  EXPECT_EQ(sgd.at("decay"), "weights");
}

TEST_F(TrainTest, TheRateOfEveryStepIsRecorded) {
  const ProgramResult result =
      run_bntrain(small_run({"--epochs", "2", "--lr", "0.8", "--schedule", "step:1:0.5", "--warmup", "2",
                             "--log-every", "5", "--metrics", metrics_file()}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::vector<double> rates;
  for (const nlohmann::json& record : metrics())
    if (record.at("event") == "step") rates.push_back(record.at("lr"));
  ASSERT_EQ(rates.size(), 14U);
  EXPECT_THAT(std::vector<double>(rates.begin(), rates.begin() + 3), ::testing::ElementsAre(0.4, 0.8, 0.8));
  EXPECT_EQ(rates[8], 0.8);  // the schedule counts its epochs of 7 steps from the end of the warmup
  EXPECT_EQ(rates[9], 0.4);
}

TEST_F(TrainTest, FlagsOfAnotherOptimizerOrScheduleAreRefused) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> refused = {
      {{"--optimizer", "adam"}, "sgd or adamw"},
      {{"--optimizer", "adamw", "--momentum", "0.9"}, "--momentum"},
      {{"--optimizer", "adamw", "--nesterov"}, "--nesterov"},
      {{"--nesterov"}, "--momentum"},
      {{"--betas", "0.8,0.9"}, "--optimizer adamw"},
      {{"--adam-eps", "1e-6"}, "--optimizer adamw"},
      {{"--optimizer", "adamw", "--betas", "0.8"}, "two numbers"},
      {{"--optimizer", "adamw", "--betas", "0.8,1"}, "--betas"},
      {{"--decay", "biases"}, "all or weights"},
      {{"--schedule", "cosin"}, "cosine[:MIN]"},
      {{"--schedule", "step:0:0.1"}, "step:EPOCHS:GAMMA"},
      {{"--schedule", "linear:5=1,5=2"}, "rising"},
      {{"--warmup", "-1"}, "--warmup"}};
  for (const auto& [flags, words] : refused) {
    const ProgramResult result = run_bntrain(small_run(flags));
    EXPECT_EQ(result.exit_code, 2) << ::testing::PrintToString(flags);
    EXPECT_THAT(result.err, HasSubstr(words));
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(TrainTest, JsonHasOneObjectAnEpochAndAFinalOne) {
  const ProgramResult result = run_bntrain(small_run({"--epochs", "2", "--json"}));
  const auto records = json_lines(result.out);
  ASSERT_EQ(records.size(), 3U);
  for (const int epoch : {0, 1}) {
    const nlohmann::json& record = records[static_cast<std::size_t>(epoch)];
    EXPECT_EQ(record.at("event"), "epoch");
    EXPECT_EQ(record.at("epoch"), epoch);
    EXPECT_EQ(record.at("steps"), 7 * (epoch + 1));
    for (const char* name :
         {"train_loss", "train_accuracy", "test_loss", "test_accuracy", "train_loss_batch_mean",
          "train_accuracy_batch_mean", "test_loss_batch_mean", "test_accuracy_batch_mean", "seconds",
          "images_per_second", "eval_seconds", "eval_images_per_second"}) {
      EXPECT_TRUE(record.at(name).is_number()) << name;
    }
    EXPECT_NEAR(record.at("images_per_second").get<double>() * record.at("seconds").get<double>(), 200, 1e-6);
    EXPECT_NEAR(record.at("eval_images_per_second").get<double>() * record.at("eval_seconds").get<double>(),
                70, 1e-6);
  }
  const nlohmann::json& end = records[2];
  EXPECT_EQ(end.at("event"), "end");
  EXPECT_EQ(end.at("status"), "finished");
  EXPECT_EQ(end.at("steps"), 14);
  EXPECT_EQ(end.at("last_test_accuracy"), records[1].at("test_accuracy"));
  EXPECT_EQ(end.at("best_test_accuracy"), std::max(records[0].at("test_accuracy").get<double>(),
                                                   records[1].at("test_accuracy").get<double>()));
  EXPECT_TRUE(end.at("divergence").is_null());
}

TEST_F(TrainTest, MetricsRecordConfigurationStepsAndEpochs) {
  const ProgramResult result = run_bntrain(
      small_run({"--epochs", "2", "--seed", "9", "--log-every", "3", "--metrics", metrics_file()}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto records = metrics();
  ASSERT_EQ(records.size(), 1U + 14U + 2U + 1U);
  const nlohmann::json& start = records.front();
  EXPECT_EQ(start.at("event"), "start");
  EXPECT_EQ(start.at("seed"), 9);
  EXPECT_EQ(start.at("config").at("batch-size"), 32);
  EXPECT_EQ(start.at("network"), "conv4x3,bn,relu,maxpool2,fc10");
  EXPECT_EQ(start.at("dataset").at("train"), 200);
  EXPECT_EQ(start.at("dataset").at("name"), "synthetic");
  EXPECT_THAT(start.at("variant").get<std::string>(), HasSubstr("cpu"));
  EXPECT_TRUE(start.at("versions").contains("bntrain"));
  int steps = 0;
  for (const nlohmann::json& record : records) {
    if (record.at("event") != "step") continue;
    EXPECT_EQ(record.at("step"), steps);
    EXPECT_EQ(record.at("epoch"), steps / 7);
    EXPECT_LE(record.at("loss").dump().size(), 11U);  // 9 digits, a point, perhaps a 0 in front
    ++steps;
  }
  EXPECT_EQ(steps, 14);
  EXPECT_EQ(records.back().at("event"), "end");
}

TEST_F(TrainTest, EvaluationsBetweenEpochsAreRecordedAndChangeNothing) {
  const auto run = [&](const std::string& every) {
    const ProgramResult result = run_bntrain(small_run(
        {"--epochs", "2", "--eval-every", every, "--metrics", metrics_file(), "--save", model("m")}));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return read_text(model("m"));
  };
  const std::string without = run("0");
  const auto plain = metrics();
  EXPECT_EQ(run("3"), without);
  std::vector<int> steps;
  std::vector<nlohmann::json> epochs;
  for (const nlohmann::json& record : metrics()) {
    if (record.at("event") == "epoch") epochs.push_back(record);
    if (record.at("event") != "evaluation") continue;
    steps.push_back(record.at("step"));
    EXPECT_EQ(record.at("epoch"), steps.back() / 7);
    EXPECT_GE(record.at("test_accuracy"), 0);
    EXPECT_TRUE(record.at("test_loss").is_number());
    EXPECT_TRUE(record.at("train_seconds").is_number());
  }
  EXPECT_THAT(steps, ::testing::ElementsAre(3, 6, 9, 12));  // of 14, with the epochs' ends at 7 and 14
  ASSERT_EQ(epochs.size(), 2U);
  EXPECT_EQ(epochs[1].at("train_loss"), plain.at(2).at("train_loss"));
  EXPECT_EQ(epochs[1].at("test_loss"), plain.at(2).at("test_loss"));
}

TEST_F(TrainTest, StepsEndTheRunAndEvaluate) {
  const auto records = json_lines(run_bntrain(small_run({"--steps", "3", "--json"})).out);
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].at("steps"), 3);
  EXPECT_TRUE(records[0].at("test_accuracy").is_number());
  EXPECT_EQ(records[1].at("steps"), 3);
}

TEST_F(TrainTest, APresetWithGlorotsInitialValuesAndWithoutItsNorm) {
  for (const char* norm : {"batch", "none"}) {
    const ProgramResult result = run_bntrain(
        {"--data", "synthetic:shape=1x16x16,train=64,test=16", "--network", "d2l-lenet", "--init", "xavier",
         "--norm", norm, "--epochs", "1", "--batch-size", "32", "--metrics", metrics_file()});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const nlohmann::json start = metrics().front();
    EXPECT_EQ(start.at("config").at("init"), "xavier");
    EXPECT_THAT(start.at("network").get<std::string>(),
                norm == std::string("none") ? HasSubstr("conv6x5,sigmoid,avgpool2,conv16x5")
                                            : HasSubstr("conv6x5,bn,sigmoid,avgpool2,conv16x5"));
  }
}

TEST_F(TrainTest, NormNoneTakesTheBatchNormOut) {
  const ProgramResult result =
      run_bntrain(small_run({"--norm", "none", "--epochs", "1", "--metrics", metrics_file()}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(metrics().at(0).at("network"), "conv4x3,relu,maxpool2,fc10");
}

TEST_F(TrainTest, NormNoneKeepsTheInitialWeights) {
  run_bntrain(small_run({"--epochs", "0", "--init", "he", "--save", model("bn")}));
  run_bntrain(small_run({"--epochs", "0", "--init", "he", "--norm", "none", "--save", model("none")}));
  const TensorFile with = read_safetensors(model("bn"));
  const TensorFile without = read_safetensors(model("none"));
  EXPECT_EQ(with.state.find("0.weight")->floats(), without.state.find("0.weight")->floats());
  EXPECT_EQ(with.state.find("5.weight")->floats(), without.state.find("4.weight")->floats());
  EXPECT_EQ(without.state.find("1.running_mean"), nullptr);
}

TEST_F(TrainTest, SaveThenInitFromContinuesWithTheSameModel) {
  const auto saved = json_lines(
      run_bntrain(small_run({"--epochs", "2", "--lr", "0.1", "--init", "he", "--json", "--save", model("a")}))
          .out);
  // At lr 0 nothing but the running statistics moves, and --bn-momentum 1 holds those.
  const auto loaded = json_lines(run_bntrain(small_run({"--epochs", "1", "--lr", "0", "--bn-momentum", "1",
                                                        "--json", "--init-from", model("a")}))
                                     .out);
  EXPECT_EQ(loaded.at(0).at("test_loss"), saved.at(1).at("test_loss"));
  const TensorFile file = read_safetensors(model("a"));
  EXPECT_EQ(file.metadata.at("format"), "bntrain-model");
  EXPECT_EQ(file.metadata.at("network"), "conv4x3,bn,relu,maxpool2,fc10");
  EXPECT_EQ(file.metadata.at("steps"), "14");
  EXPECT_EQ(file.metadata.at("init"), "he");
}

TEST_F(TrainTest, SaveGradientsAreThoseOfTheLastStep) {
  const auto arguments = [&](const std::string& lr, const std::string& name) {
    return small_run({"--steps", "1", "--lr", lr, "--init", "he", "--save", model(name), "--save-gradients",
                      model(name + "-gradients")});
  };
  ASSERT_EQ(run_bntrain(arguments("0", "before")).exit_code, 0);
  ASSERT_EQ(run_bntrain(arguments("1", "after")).exit_code, 0);
  const auto weight = [&](const std::string& name) {
    return read_safetensors(model(name)).state.find("5.weight")->floats();
  };
  const auto before = weight("before");
  const auto after = weight("after");
  const auto gradient = weight("after-gradients");
  double moved = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_NEAR(before[i] - after[i], gradient[i], 1e-6);
    moved += std::abs(gradient[i]);
  }
  EXPECT_GT(moved, 0);
}

TEST_F(TrainTest, EqualSeedsGiveEqualBytesWhateverTheThreads) {
  const auto bytes = [&](const std::string& threads, const std::string& seed) {
    run_bntrain(small_run({"--epochs", "2", "--threads", threads, "--seed", seed, "--save", model("m")}));
    return read_text(model("m"));
  };
  const std::string first = bytes("1", "1");
  EXPECT_EQ(bytes("1", "1"), first);
  EXPECT_EQ(bytes("2", "1"), first);
  EXPECT_NE(bytes("1", "2"), first);
}

TEST_F(TrainTest, AMissedGateExitsWithFive) {
  const ProgramResult missed = run_bntrain(small_run({"--epochs", "1", "--lr", "0", "--assert-acc", "1"}));
  EXPECT_EQ(missed.exit_code, 5);
  EXPECT_THAT(missed.err,
              AllOf(HasSubstr("--assert-acc: the last test accuracy is 0."), HasSubstr("below 1")));
  EXPECT_EQ(lines(missed.out).size(), 1U);
  EXPECT_EQ(run_bntrain(small_run({"--epochs", "1", "--assert-acc", "0"})).exit_code, 0);
}

TEST_F(TrainTest, DivergenceNamesStepRateAndLayerAndSavesTheWeights) {
  const ProgramResult result =
      run_bntrain(small_run({"--lr", "1e30", "--init", "he", "--json", "--metrics", metrics_file(),
                             "--log-every", "1", "--save", model("m")}));
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("epoch 0"), HasSubstr("step 1"), HasSubstr("a learning rate of 1e+30"),
                    HasSubstr("first non-finite layer: "), HasSubstr("try a smaller --lr")));
  const nlohmann::json end = json_lines(result.out).back();
  EXPECT_EQ(end.at("status"), "diverged");
  EXPECT_EQ(end.at("divergence").at("step"), 1);
  EXPECT_EQ(end.at("divergence").at("lr"), 1e30);
  EXPECT_NE(end.at("divergence").at("layer"), "");
  const auto records = metrics();
  EXPECT_TRUE(records.at(2).at("loss").is_null());  // start, step 0, step 1
  nlohmann::json recorded = records.back();
  const nlohmann::json last_steps = recorded.at("divergence").at("last_steps");
  ASSERT_EQ(last_steps.size(), 2U) << "steps 0 and 1";
  EXPECT_EQ(last_steps.at(0).at("loss"), records.at(1).at("loss"));
  EXPECT_TRUE(last_steps.at(1).at("loss").is_null());
  recorded.at("divergence").erase("last_steps");
  EXPECT_EQ(recorded, end);
  EXPECT_FALSE(std::filesystem::exists(model("m")));
  EXPECT_NE(read_safetensors(model("m.diverged")).state.find("0.weight"), nullptr);
}

class InterruptTest : public TrainTest, public ::testing::WithParamInterface<int> {};

TEST_P(InterruptTest, EndsAfterTheStepWithTheSummarySoFar) {
  const ProgramResult result = run_bntrain(
      small_run({"--epochs", "1000000", "--json", "--metrics", metrics_file(), "--save", model("m")}),
      {.environment = {}, .signal = GetParam()});
  EXPECT_EQ(result.exit_code, 128 + GetParam());
  EXPECT_THAT(result.err, HasSubstr("interrupted"));
  const nlohmann::json end = json_lines(result.out).back();
  EXPECT_EQ(end.at("status"), "interrupted");
  EXPECT_GT(end.at("steps").get<int>(), 6);
  EXPECT_EQ(metrics().back(), end);
  EXPECT_EQ(read_safetensors(model("m")).metadata.at("steps"), std::to_string(end.at("steps").get<int>()));
}

INSTANTIATE_TEST_SUITE_P(Signals, InterruptTest, ::testing::Values(SIGINT, SIGTERM, SIGHUP),
                         [](const ::testing::TestParamInfo<int>& signal) {
                           return std::string("SIG") + sigabbrev_np(signal.param);
                         });

TEST_F(TrainTest, ResultsThatCannotBeWrittenAreAnError) {
  const ProgramResult result = run_bntrain(small_run({"--epochs", "1", "--quiet", "--metrics", "/dev/full"}));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("/dev/full"));
}

TEST_F(TrainTest, TrainsOnTheRealFashionMnist) {
  const ProgramResult result = run_bntrain({"--steps", "20", "--init", "torch", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json epoch = json_lines(result.out).at(0);
  EXPECT_EQ(epoch.at("steps"), 20);
  EXPECT_LT(epoch.at("train_loss").get<double>(), 1.9);  // chance is 2.303
  EXPECT_GT(epoch.at("train_accuracy").get<double>(), 0.35);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("fashion-mnist"), HasSubstr("60000 training and 10000 test images")));
}

}  // namespace
}  // namespace bntrain::test
