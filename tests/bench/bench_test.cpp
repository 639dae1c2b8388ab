// A whole bench at the library's level: resuming, interruption, arms that diverge.
#include "bench/bench.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "bench/small_bench.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Watcher : Bench::Observer {
  void on_run(std::size_t run, const RunResult& result, double) override {
    ended.push_back(run);
    outcomes.push_back(result.outcome);
    if (after_run) after_run();
  }
  std::vector<std::size_t> ended;
  std::vector<Outcome> outcomes;
  std::function<void()> after_run;
};

class BenchTest : public ::testing::Test {
 protected:
  /// Runs what is left in the folder of that name, `jobs` at a time.
  Results run(const std::string& name, int jobs = 1) {
    BenchFolder place(folder.file(name), bench_record(config, dataset, variant()));
    Bench bench(config, dataset, place);
    bench.run(backends(jobs), watcher, stop);
    return bench.results();
  }
  Backends backends(int jobs) const {
    std::string note;
    return make_backends({.device = Device::cpu, .threads = threads}, jobs, 100, note);
  }
  std::string variant() const { return Trainer(config.train, dataset, *backends(1).front()).variant(); }
  std::string run_file(const std::string& name, std::size_t run) const {
    return folder.file(name + "/runs/" + run_name(runs_of(config)[run]) + ".jsonl");
  }
  Json json(const Results& results) const {
    Json all = without_seconds(results_json(results, dataset));
    all.erase("environment");  // names the number of threads
    return all;
  }

  BenchConfig config = small_config();
  int threads = 1;
  Dataset dataset = small_dataset();
  Watcher watcher;
  std::atomic<bool> stop{false};
  TemporaryFolder folder;
};

TEST_F(BenchTest, TrainsSomeArmsAndReportsThoseThatDiverge) {
  const Results results = run("out");
  EXPECT_EQ(results.runs_finished, 8);
  ASSERT_EQ(results.arms.size(), 4U);
  EXPECT_EQ(results.arms[0].summary.trained, 2) << json(results).dump(1);
  const Arm& diverging = results.arms[3];  // no batch norm, lr 1e30
  ASSERT_EQ(diverging.summary.diverged, 2);
  EXPECT_EQ(diverging.runs[0].record.divergence.value().step, 1);
  EXPECT_TRUE(diverging.runs[0].record.epochs.empty());
  EXPECT_FALSE(results.largest_lr[1].lr == 1e30);
  EXPECT_EQ(results.largest_lr[0].lr, 0.2);
  // After steps 4 and 8, and at the ends of the epochs after 6 and 12.
  std::vector<std::int64_t> steps;
  for (const EvaluationRecord& evaluation : results.arms[0].runs[0].record.evaluations) {
    steps.push_back(evaluation.step);
  }
  EXPECT_THAT(steps, ::testing::ElementsAre(4, 6, 8, 12));
}

TEST_F(BenchTest, NothingIsLearntAtRateZero) {
  config.learning_rates = {0};
  config.train.epochs = 1;
  // Biases of 0 and tiny weights: every image gets about the same answer.
  config.inits = {Init::tutorial};
  dataset = load_dataset("synthetic:shape=1x8x8,classes=4,train=96,test=400,noise=1", {});
  for (const Arm& arm : run("out").arms) EXPECT_EQ(arm.summary.chance, 2);
}

TEST_F(BenchTest, JobsDoNotChangeResults) {
  const Json alone = json(run("one"));
  threads = 2;
  EXPECT_EQ(json(run("two", 2)), alone);
  EXPECT_EQ(json(run("three", 3)), alone);
}

TEST_F(BenchTest, SecondsAreKnownOnlyWhereARunWasAlone) {
  const Results alone = run("one");
  EXPECT_TRUE(results_json(alone, dataset)["arms"][0]["runs"][0]["train_seconds"].is_number());
  EXPECT_TRUE(alone.arms[0].summary.seconds_to_target.has_value());
  const Results together = run("two", 2);
  EXPECT_TRUE(results_json(together, dataset)["arms"][0]["runs"][0]["train_seconds"].is_null());
  EXPECT_FALSE(together.arms[0].summary.seconds_to_target.has_value());
}

TEST_F(BenchTest, AFinishedRunIsNeverRunAgain) {
  const Json first = json(run("out"));
  watcher.ended.clear();
  EXPECT_EQ(json(run("out")), first);
  EXPECT_TRUE(watcher.ended.empty());
}

TEST_F(BenchTest, AnInterruptedBenchGoesOnWhereItEnded) {
  const Json whole = json(run("whole"));
  watcher.ended.clear();
  watcher.after_run = [&] { stop = watcher.ended.size() == 3; };
  const Results part = run("out");
  EXPECT_EQ(part.runs_finished, 3);
  EXPECT_EQ(part.runs_planned, 8);
  stop = false;
  watcher.after_run = nullptr;
  EXPECT_EQ(json(run("out")), whole);
  EXPECT_THAT(watcher.ended, ::testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST_F(BenchTest, AGrownGridRunsOnlyWhatIsNew) {
  run("out");
  watcher.ended.clear();
  config.seeds = 3;
  config.learning_rates = {0.2, 0.1, 1e30};
  const Json grown = json(run("out"));
  EXPECT_EQ(watcher.ended.size(), 18U - 8U);
  EXPECT_EQ(grown, json(run("at once")));
}

TEST_F(BenchTest, AnotherTargetJudgesTheSameRunsAnew) {
  EXPECT_EQ(run("out").arms[0].summary.trained, 2);
  watcher.ended.clear();
  config.target = 1.0;
  EXPECT_EQ(run("out").config.target, 1.0);
  EXPECT_TRUE(watcher.ended.empty());
}

TEST_F(BenchTest, RunsWhoseFolderIsGoneAreKeptElsewhere) {
  namespace fs = std::filesystem;
  const char* before = std::getenv("TMPDIR");
  const std::string restored = before == nullptr ? "/tmp" : before;
  fs::create_directory(folder.file("tmp"));
  ::setenv("TMPDIR", folder.file("tmp").c_str(), 1);
  watcher.after_run = [&] { fs::remove_all(folder.file("out/runs")); };
  const std::string message = error_message(ErrorKind::runtime, [&] { run("out"); });
  ::setenv("TMPDIR", restored.c_str(), 1);
  EXPECT_EQ(watcher.ended.size(), 1u) << "the first one was kept, and lost with the folder";
  watcher = {};
  fs::create_directory(folder.file("out/runs"));
  std::size_t rescued = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder.file("tmp"))) {
    if (fs::is_directory(entry)) continue;
    EXPECT_THAT(message, HasSubstr(entry.path().string()));
    fs::rename(entry.path(), folder.path() / "out" / "runs" / entry.path().filename());
    ++rescued;
  }
  EXPECT_EQ(rescued, 7u);
  EXPECT_EQ(run("out").runs_finished, 8);
  EXPECT_EQ(watcher.ended.size(), 1u) << "those that were rescued count";
}

TEST_F(BenchTest, ADamagedRunIsNeitherCountedNorRunAgain) {
  run("out");
  std::ofstream(run_file("out", 2), std::ios::app) << "x\n";
  watcher.ended.clear();
  EXPECT_THAT(error_message(ErrorKind::data, [&] { run("out"); }),
              AllOf(HasSubstr(run_file("out", 2)), HasSubstr("line ")));
  EXPECT_TRUE(watcher.ended.empty());
  std::filesystem::remove(run_file("out", 2));
  run("out");
  EXPECT_THAT(watcher.ended, ::testing::ElementsAre(2));
}

}  // namespace
}  // namespace bntrain::bench
