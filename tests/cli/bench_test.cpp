// bntrain bench as a user runs it, on generated images.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <fcntl.h>
#include <csignal>

#include "cli/run_program.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

/// Without what a clock has a part in.
nlohmann::json without_seconds(nlohmann::json json) {
  if (json.is_object()) {
    std::vector<std::string> timed;
    for (const auto& [name, value] : json.items()) {
      if (name.find("seconds") != std::string::npos) timed.push_back(name);
    }
    for (const std::string& name : timed) json.erase(name);
  }
  if (json.is_structured()) {
    for (nlohmann::json& value : json) value = without_seconds(value);
  }
  return json;
}

class BenchTest : public ::testing::Test {
 protected:
  /// One init, rates that train and diverge, two seeds: 8 runs of milliseconds, into folder `name`.
  std::vector<std::string> arguments(const std::string& name,
                                     const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"bench", "--out", folder.file(name)};
    for (const std::string& word : small_run({"--init", "he", "--lr", "0.2,1e30", "--seeds", "2", "--epochs",
                                              "2", "--eval-every", "3", "--target", "0.5", "--jobs", "1"})) {
      all.push_back(word);
    }
    for (std::size_t i = 0; i < more.size(); ++i) {
      // A flag given again replaces its value.
      const auto place = std::find(all.begin(), all.end(), more[i]);
      if (place != all.end() && i + 1 < more.size()) {
        *(place + 1) = more[++i];
      } else {
        all.push_back(more[i]);
      }
    }
    return all;
  }
  ProgramResult bench(const std::string& name, const std::vector<std::string>& more = {},
                      const ProgramSetup& setup = {}) const {
    return run_bntrain(arguments(name, more), setup);
  }
  nlohmann::json results(const std::string& name) const {
    return nlohmann::json::parse(read_text(folder.file(name + "/results.json")));
  }
  std::size_t finished_runs(const std::string& name) const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.file(name + "/runs"))) {
      count +=
          entry.path().extension() == ".jsonl" && !entry.path().filename().string().starts_with('.') ? 1 : 0;
    }
    return count;
  }

  TemporaryFolder folder;
};

TEST_F(BenchTest, PrintsATableAndWritesResults) {
  const ProgramResult result = bench("out");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(
      result.out,
      AllOf(HasSubstr("init he: test accuracy, mean ± standard deviation over 2 seeds; steps to 0.5"),
            HasSubstr("batch: epoch 0"), HasSubstr("none: epoch 1"), HasSubstr("2 diverged"),
            HasSubstr("largest lr at which all seeds train: norm batch: "), HasSubstr("batch minus none"),
            ContainsRegex(
                "best setting: norm (batch|none), init he, lr 0.2: best test accuracy 0\\.[0-9]+ ± ")));
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("[8/8]"), HasSubstr("lr 1e+30 seed 1: diverged in epoch 0 at step 1"),
                    Not(HasSubstr("\x1b")), Not(HasSubstr("\r"))));
  for (const char* name : {"config.json", "results.json", "results.csv", "runs/batch-he-lr0.2-seed1.jsonl"}) {
    EXPECT_TRUE(std::filesystem::exists(folder.file("out") + "/" + name)) << name;
  }
  EXPECT_EQ(finished_runs("out"), 8U);
  const nlohmann::json json = results("out");
  EXPECT_EQ(json.at("schema"), "bntrain-bench");
  EXPECT_EQ(json.at("runs_finished"), 8);
  EXPECT_EQ(json.at("arms").size(), 4U);
}

TEST_F(BenchTest, ARunsFileIsWhatTrainWritesAsMetrics) {
  ASSERT_EQ(bench("out").exit_code, 0);
  const std::string metrics = folder.file("metrics.jsonl");
  ASSERT_EQ(run_bntrain(small_run({"--init", "he", "--lr", "0.2", "--seed", "1", "--epochs", "2",
                                   "--eval-every", "3", "--norm", "none", "--metrics", metrics}))
                .exit_code,
            0);
  const auto expected = json_lines(read_text(metrics));
  const auto found = json_lines(read_text(folder.file("out/runs/none-he-lr0.2-seed1.jsonl")));
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    nlohmann::json a = without_seconds(expected[i]), b = without_seconds(found[i]);
    for (const char* name : {"images_per_second", "eval_images_per_second"}) {
      a.erase(name);
      b.erase(name);
    }
    if (i == 0) a.at("config").erase("metrics"), b.at("config").erase("metrics");
    EXPECT_EQ(a, b);
  }
}

TEST_F(BenchTest, JsonReplacesTheTable) {
  const ProgramResult result = bench("out", {"--json", "--quiet"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(nlohmann::json::parse(result.out), results("out"));
}

TEST_F(BenchTest, AFinishedBenchTrainsNothingAndPrintsTheSame) {
  const ProgramResult first = bench("out");
  const ProgramResult again = bench("out");
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_EQ(again.out, first.out);
  EXPECT_THAT(again.err, AllOf(HasSubstr("all 8 runs are finished"), Not(HasSubstr("[8/8]"))));
}

TEST_F(BenchTest, AKilledBenchGoesOnToTheSameResults) {
  ASSERT_EQ(bench("whole").exit_code, 0);
  for (const char* moment : {"8 runs, to", "[1/8]", "[2/8]", "[5/8]", "[8/8]"}) {
    const ProgramResult killed =
        bench("out", {}, {.environment = {}, .signal = SIGKILL, .signal_after = moment});
    EXPECT_THAT(killed.exit_code, ::testing::AnyOf(128 + SIGKILL, 0)) << killed.err;
    const std::size_t finished = finished_runs("out");
    const ProgramResult rest = bench("out");
    EXPECT_EQ(rest.exit_code, 0) << rest.err;
    EXPECT_THAT(rest.err, finished == 8 ? HasSubstr("all 8 runs are finished")
                                        : HasSubstr("[" + std::to_string(finished + 1) + "/8]"));
    EXPECT_EQ(without_seconds(results("out")), without_seconds(results("whole"))) << moment;
    std::filesystem::remove_all(folder.file("out"));
  }
}

TEST_F(BenchTest, CtrlCEndsWithWhatIsFinishedAndSaysHowToGoOn) {
  const ProgramResult result =
      bench("out", {"--epochs", "200"}, {.environment = {}, .signal = SIGINT, .signal_after = "[1/8]"});
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_THAT(result.err, AllOf(HasSubstr("interrupted: "), HasSubstr(" of 8 runs are finished"),
                                HasSubstr("the same command runs the rest")));
  EXPECT_THAT(result.out, HasSubstr(" of 8 runs are finished"));
  EXPECT_EQ(results("out").at("runs_planned"), 8);
  EXPECT_LT(results("out").at("runs_finished"), 8);
}

TEST_F(BenchTest, JobsDoNotChangeResults) {
  ASSERT_EQ(bench("one").exit_code, 0);
  const ProgramResult together = bench("two", {"--jobs", "auto", "--threads", "3"});
  EXPECT_THAT(together.err, HasSubstr("3 runs at the same time"));
  EXPECT_EQ(without_seconds(results("two")).at("arms"), without_seconds(results("one")).at("arms"));
}

TEST_F(BenchTest, AnotherConfigurationIsAUsageErrorThatNamesTheFlag) {
  ASSERT_EQ(bench("out").exit_code, 0);
  const ProgramResult other = bench("out", {"--momentum", "0.9"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, AllOf(HasSubstr("--momentum"), HasSubstr("--out")));
  EXPECT_EQ(bench("out", {"--cpu-isa", "v2"}).exit_code, 2);
  const ProgramResult smaller = bench("out", {"--lr", "0.2"});
  EXPECT_EQ(smaller.exit_code, 2);
  EXPECT_THAT(smaller.err, HasSubstr("may grow but not shrink"));
  EXPECT_THAT(bench("out", {"--lr", "0.2,0.1,1e30"}).err, HasSubstr("4 runs are left of 12"));
}

TEST_F(BenchTest, ADamagedRecordIsAnErrorThatNamesFileAndLine) {
  ASSERT_EQ(bench("out").exit_code, 0);
  const std::string file = folder.file("out/runs/none-he-lr0.2-seed0.jsonl");
  const std::string text = read_text(file);
  write_text(file, text.substr(0, text.size() / 2));
  const ProgramResult result = bench("out");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, AllOf(HasSubstr(file), ContainsRegex("line [0-9]+")));
}

TEST_F(BenchTest, TwoProcessesDoNotShareAFolder) {
  ASSERT_EQ(bench("out").exit_code, 0);
  const int lock = open(folder.file("out").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  const ProgramResult result = bench("out");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("another bntrain is working in this folder"));
  close(lock);
  EXPECT_EQ(bench("out").exit_code, 0);
}

TEST_F(BenchTest, RefusesBadListsAndNamesWhatIsAllowed) {
  const auto refusal = [&](const std::vector<std::string>& more) {
    const ProgramResult result = bench("out", more);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_FALSE(std::filesystem::exists(folder.file("out")));
    return result.err;
  };
  EXPECT_THAT(refusal({"--norm", "batch,layer"}),
              AllOf(HasSubstr("--norm"), HasSubstr("'layer'"), HasSubstr("batch or none")));
  EXPECT_THAT(refusal({"--lr", "0.1,,0.2"}), HasSubstr("single commas"));
  EXPECT_THAT(refusal({"--lr", "0.1,0.10"}), HasSubstr("given twice"));
  EXPECT_THAT(refusal({"--init", "he,he"}), HasSubstr("given twice"));
  EXPECT_THAT(refusal({"--seeds", "0"}), HasSubstr("from 1 to"));
  EXPECT_THAT(refusal({"--jobs", "many"}), AllOf(HasSubstr("--jobs"), HasSubstr("auto or a whole number")));
  EXPECT_THAT(refusal({"--epochs", "0"}), HasSubstr("--epochs is 0"));
  EXPECT_THAT(refusal({"--network", "conv4x3,bn,fc9"}), HasSubstr("fc9"));
  EXPECT_THAT(refusal({"--save", "x"}), HasSubstr("unknown flag --save"));
}

TEST_F(BenchTest, ListsComeFromTheEnvironmentAndTheFileToo) {
  write_text(folder.file("c.toml"), "[bench]\nnorm = \"none\"\nlr = 0.2\n");
  const ProgramResult result =
      run_bntrain({"bench", "--config", folder.file("c.toml"), "--out", folder.file("out"), "--data",
                   "synthetic:shape=1x8x8,train=200,test=70", "--network", "fc10", "--batch-size", "32",
                   "--epochs", "1", "--seeds", "1", "--json"},
                  {.environment = {{"BNTRAIN_INIT", "he,gluon"}}, .signal = 0});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json config = nlohmann::json::parse(result.out).at("config");
  EXPECT_EQ(config.at("norm"), nlohmann::json({"none"}));
  EXPECT_EQ(config.at("lr"), nlohmann::json({0.2}));
  EXPECT_EQ(config.at("init"), nlohmann::json({"he", "gluon"}));
}

TEST_F(BenchTest, TheReportIsMadeFromTheResultsAndItsFailureIsAWarning) {
  ASSERT_EQ(bench("out").exit_code, 0);
  const ProgramResult made = bench("out", {"--report", "--json"});
  EXPECT_EQ(made.exit_code, 0);
  EXPECT_EQ(nlohmann::json::parse(made.out), results("out"));  // nothing of the script's on stdout
  EXPECT_THAT(made.err, Not(HasSubstr("warning")));
  EXPECT_THAT(read_text(folder.file("out/report.html")), HasSubstr("<html"));

  // A folder in the report's place.
  std::filesystem::remove(folder.file("out/report.html"));
  std::filesystem::create_directory(folder.file("out/report.html"));
  const ProgramResult failed = bench("out", {"--report"});
  EXPECT_EQ(failed.exit_code, 0);
  EXPECT_THAT(failed.err,
              AllOf(HasSubstr("warning: --report: "), HasSubstr("plot_report.py ended with exit code 1"),
                    HasSubstr("The results are complete")));
}

}  // namespace
}  // namespace bntrain::test
