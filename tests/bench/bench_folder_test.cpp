#include "bench/bench_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "bench/small_bench.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class BenchFolderTest : public ::testing::Test {
 protected:
  BenchFolder open(const std::string& variant = "v") const {
    return BenchFolder(path(), bench_record(config, dataset, variant));
  }
  std::string path() const { return folder.file("out"); }
  /// What a command with another configuration is refused with.
  std::string refusal(const std::function<void(BenchConfig&)>& change) {
    const BenchConfig before = config;
    change(config);
    const std::string message = error_message(ErrorKind::usage, [&] { open(); });
    config = before;
    return message;
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(std::filesystem::path(path()) / name) << text;
  }

  BenchConfig config = small_config();
  Dataset dataset = small_dataset();
  TemporaryFolder folder;
};

TEST_F(BenchFolderTest, ASettingThatChangesResultsIsNamed) {
  open();
  EXPECT_THAT(refusal([](BenchConfig& c) { c.train.epochs = 7; }),
              AllOf(HasSubstr("epochs: "), HasSubstr("have 2"), HasSubstr("asks for 7")));
  EXPECT_THAT(refusal([](BenchConfig& c) { c.train.optimizer.momentum = 0.9; }), HasSubstr("momentum: "));
  EXPECT_THAT(refusal([](BenchConfig& c) { c.train.eval_every = 3; }), HasSubstr("eval-every: "));
  EXPECT_THAT(refusal([](BenchConfig& c) { c.train.batch_norm.unbiased = true; }),
              HasSubstr("bn-variance: "));
}

TEST_F(BenchFolderTest, SettingsThatChangeNoResultMayDiffer) {
  open();
  config.settings = [before = config.settings](const TrainConfig& run) {
    Json settings = before(run);
    settings["threads"] = 2;
    return settings;
  };
  config.target = 0.9;
  EXPECT_NO_THROW(open());
}

TEST_F(BenchFolderTest, TheGridMayGrowButNotShrink) {
  open();
  config.learning_rates = {0.1, 0.2, 1e30};
  config.seeds = 5;
  open();
  EXPECT_THAT(refusal([](BenchConfig& c) {
                c.learning_rates = {0.2, 1e30};
              }),
              AllOf(HasSubstr("lr: "), HasSubstr("0.1"), HasSubstr("not shrink")));
  EXPECT_THAT(refusal([](BenchConfig& c) { c.norms = {Norm::batch}; }), HasSubstr("norm: "));
  EXPECT_THAT(refusal([](BenchConfig& c) { c.seeds = 4; }), HasSubstr("seeds: "));
  EXPECT_THAT(refusal([](BenchConfig& c) { c.train.seed = 1; }), HasSubstr("seeds: "));
}

TEST_F(BenchFolderTest, OtherDataAndAnotherDeviceAreRefused) {
  open();
  dataset = load_dataset("synthetic:shape=1x8x8,classes=4,train=96,test=40,noise=0.3", {});
  EXPECT_THAT(error_message(ErrorKind::usage, [&] { open(); }), HasSubstr("data: "));
  dataset = small_dataset();
  EXPECT_THAT(error_message(ErrorKind::usage, [&] { open("w"); }),
              AllOf(HasSubstr("\"v\""), HasSubstr("\"w\""), HasSubstr("device")));
}

TEST_F(BenchFolderTest, PublishedDataMayLieElsewhere) {
  dataset.known_digests = true;
  dataset.source = "/one";
  open();
  dataset.source = "/two";
  EXPECT_NO_THROW(open());
  dataset.known_digests = false;
  EXPECT_THAT(error_message(ErrorKind::usage, [&] { open(); }), HasSubstr("data: "));
}

TEST_F(BenchFolderTest, OnlyOneProcessWorksInAFolder) {
  const BenchFolder first = open();
  EXPECT_THAT(error_message(ErrorKind::runtime, [&] { open(); }),
              AllOf(HasSubstr(path()), HasSubstr("another bntrain")));
}

TEST_F(BenchFolderTest, TheLockGoesWithItsOwner) {
  open();
  EXPECT_NO_THROW(open());
}

TEST_F(BenchFolderTest, FilesOfSomethingElseAreLeftAlone) {
  std::filesystem::create_directories(path());
  write("thesis.tex", "x");
  EXPECT_THAT(error_message(ErrorKind::usage, [&] { open(); }), HasSubstr("holds files but no bench"));
}

TEST_F(BenchFolderTest, WhatAKilledProcessLeftIsCleanedUp) {
  std::filesystem::create_directories(path());
  write(".config.json.1.0.tmp", "half");
  open();
  write("runs/.batch.jsonl.1.0.tmp", "half");
  open();
  EXPECT_FALSE(std::filesystem::exists(path() + "/.config.json.1.0.tmp"));
  EXPECT_FALSE(std::filesystem::exists(path() + "/runs/.batch.jsonl.1.0.tmp"));
}

TEST_F(BenchFolderTest, ADamagedConfigurationIsRefused) {
  open();
  const std::string deep = R"({"schema":)" + std::string(300'000, '[') + std::string(300'000, ']') + "}";
  for (const std::string& text : {std::string("{"), std::string("[]"), std::string("{}"), deep,
                                  std::string(R"({"schema":"bntrain-bench-config"})")}) {
    write("config.json", text);
    EXPECT_THAT(error_message(ErrorKind::data, [&] { open(); }), HasSubstr("config.json")) << text;
  }
}

TEST_F(BenchFolderTest, ARunOfAnotherConfigurationIsRefused) {
  BenchFolder bench = open();
  const std::vector<TrainConfig> runs = runs_of(config);
  std::string note;
  const auto backend = make_backend({.device = Device::cpu}, note);
  const Trainer trainer(runs[0], dataset, *backend);
  EXPECT_FALSE(bench.find(run_name(runs[0]), run_settings(config, runs[0])).has_value());
  const std::string start = one_line(start_record(config.settings(runs[0]), dataset, trainer, "b")) + "\n";
  const std::string end =
      R"({"event":"end","status":"diverged","steps":0,"divergence":{"epoch":0,"step":0,"layer":""}})";
  bench.keep(run_name(runs[1]), start + end + "\n");
  EXPECT_THAT(
      error_message(ErrorKind::data, [&] { bench.find(run_name(runs[1]), run_settings(config, runs[1])); }),
      AllOf(HasSubstr(run_name(runs[1])), HasSubstr("line 1"), HasSubstr("norm \"batch\"")));
}

}  // namespace
}  // namespace bntrain::bench
