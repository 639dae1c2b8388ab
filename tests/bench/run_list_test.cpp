#include "bench/run_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "bench/small_bench.hpp"
#include "bntrain/error.hpp"
#include "support/error_message.hpp"

namespace bntrain::bench {
namespace {

using ::testing::HasSubstr;

struct Recorder : RunListObserver {
  void on_progress(std::size_t index, std::int64_t steps, std::int64_t total_steps) override {
    EXPECT_LE(steps, total_steps);
    steps_of[index] = steps;
    if (during_progress) during_progress();
  }
  void on_run(const EndedRun& run) override { records[run.index] = run.records; }

  std::map<std::size_t, std::int64_t> steps_of;
  std::map<std::size_t, std::string> records;
  std::function<void()> during_progress;
};

class RunListTest : public ::testing::Test {
 protected:
  Backends backends(int jobs, int threads) const {
    std::string note;
    return make_backends({.device = Device::cpu, .threads = threads}, jobs, runs.size(), note);
  }
  /// The records of all runs without what says how they were run.
  std::vector<Json> records(int jobs, int threads) {
    Recorder recorder;
    run_list(runs, config.settings, dataset, backends(jobs, threads), recorder, stop);
    std::vector<Json> lines;
    for (const auto& [index, text] : recorder.records) {
      std::istringstream stream(text);
      for (std::string line; std::getline(stream, line);) {
        Json record = without_seconds(Json::parse(line));
        for (const char* name : {"backend", "jobs", "memory_bytes"})
          record.erase(name);  // buffers of threads
        lines.push_back(record);
      }
    }
    return lines;
  }

  BenchConfig config = small_config();
  Dataset dataset = small_dataset();
  std::vector<TrainConfig> runs = runs_of(config);
  std::atomic<bool> stop{false};
};

TEST_F(RunListTest, WhatARunComputesDependsOnNeitherJobsNorThreads) {
  const std::vector<Json> alone = records(1, 1);
  EXPECT_GT(alone.size(), runs.size() * 3);
  EXPECT_EQ(records(1, 2), alone);
  EXPECT_EQ(records(2, 2), alone);
  EXPECT_EQ(records(3, 2), alone);
  EXPECT_EQ(records(8, 16), alone);
}

TEST_F(RunListTest, TellsTheStepsOfEveryRun) {
  Recorder recorder;
  run_list(runs, config.settings, dataset, backends(2, 2), recorder, stop);
  EXPECT_EQ(recorder.records.size(), runs.size());
  EXPECT_EQ(recorder.steps_of.at(0), 12);  // 2 epochs of 6 steps
}

TEST_F(RunListTest, JobsShareTheThreads) {
  EXPECT_EQ(backends(0, 3).size(), 3U);
  EXPECT_THAT(backends(0, 3)[0]->description(), HasSubstr("1 thread,"));
  EXPECT_EQ(backends(1, 3).size(), 1U);
  EXPECT_THAT(backends(1, 3)[0]->description(), HasSubstr("3 threads,"));
  EXPECT_THAT(backends(2, 3)[0]->description(), HasSubstr("2 threads,"));
  EXPECT_THAT(backends(2, 3)[1]->description(), HasSubstr("1 thread,"));
  EXPECT_EQ(backends(0, 100).size(), runs.size());  // more would have nothing to do
}

TEST_F(RunListTest, StopEndsWithoutReportingWhatWasCutShort) {
  for (const int jobs : {1, 2}) {
    stop = false;
    Recorder recorder;
    recorder.during_progress = [&] { stop = true; };
    run_list(runs, config.settings, dataset, backends(jobs, jobs), recorder, stop);
    EXPECT_TRUE(recorder.records.empty());
    EXPECT_LE(recorder.steps_of.size(), static_cast<std::size_t>(jobs));
  }
}

TEST_F(RunListTest, AnErrorOfOneRunEndsAllAndIsThrown) {
  for (const int jobs : {1, 3}) {
    runs = runs_of(config);
    runs[1].network = "fc3";  // the data has 4 classes
    Recorder recorder;
    EXPECT_THAT(error_message(
                    ErrorKind::usage,
                    [&] { run_list(runs, config.settings, dataset, backends(jobs, jobs), recorder, stop); }),
                HasSubstr("fc3"));
  }
}

TEST_F(RunListTest, AnErrorOfTheObserverIsThrown) {
  for (const int jobs : {1, 2}) {
    Recorder recorder;
    recorder.during_progress = [] { throw Error(ErrorKind::data, "the disk is full"); };
    EXPECT_THAT(error_message(
                    ErrorKind::data,
                    [&] { run_list(runs, config.settings, dataset, backends(jobs, jobs), recorder, stop); }),
                HasSubstr("the disk is full"));
  }
}

TEST_F(RunListTest, AnEmptyListHasNothingToDo) {
  Recorder recorder;
  run_list({}, config.settings, dataset, backends(2, 2), recorder, stop);
  EXPECT_TRUE(recorder.records.empty());
}

}  // namespace
}  // namespace bntrain::bench
