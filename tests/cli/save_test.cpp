// What a command writes at its end: refused before the work where it cannot be, and never lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "cli/run_program.hpp"
#include "formats/safetensors.hpp"

namespace bntrain::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class SaveTest : public ::testing::Test {
 protected:
  std::string file(const std::string& name) const { return folder.file(name); }
  ProgramResult train(const std::vector<std::string>& more, const ProgramSetup& setup = {}) const {
    std::vector<std::string> arguments = small_run({"--quiet"});
    if (std::ranges::find(more, "--epochs") == more.end())
      arguments.insert(arguments.end(), {"--epochs", "1"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_bntrain(arguments, setup);
  }
  bool is_model(const std::string& path) const {
    return read_safetensors(path).state.find("0.weight") != nullptr;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::recursive_directory_iterator(folder.path()), {}));
  }
  void expect_refused(const std::vector<std::string>& flags, int exit_code, const std::string& words) const {
    const std::size_t before = files();
    const ProgramResult result = train(flags);
    EXPECT_EQ(result.exit_code, exit_code) << ::testing::PrintToString(flags);
    EXPECT_EQ(result.out, "") << "nothing was trained";
    EXPECT_THAT(result.err, AllOf(HasSubstr(flags[0]), HasSubstr(words)));
    EXPECT_EQ(files(), before) << ::testing::PrintToString(flags);
  }

  TemporaryFolder folder;
};

TEST_F(SaveTest, ALinkStaysAndItsTargetGetsTheModel) {
  write_text(file("real"), "old");
  fs::create_symlink("real", file("link"));
  fs::create_symlink("new", file("dangling"));
  ASSERT_EQ(train({"--save", file("link"), "--save-gradients", file("dangling")}).exit_code, 0);
  EXPECT_TRUE(fs::is_symlink(file("link")) && fs::is_symlink(file("dangling")));
  EXPECT_TRUE(is_model(file("real")) && is_model(file("new")));
}

TEST_F(SaveTest, AFileInTheFolderOfTheRunNeedsNoFolderBefore) {
  const std::string run = file("deep/run");
  const ProgramResult result =
      train({"--out", run, "--save", run + "/m.safetensors", "--metrics", run + "/./more.jsonl"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(is_model(run + "/m.safetensors") && fs::exists(run + "/more.jsonl"));
}

TEST_F(SaveTest, ARefusedRunLeavesNoFolder) {
  const std::string run = file("deep/run");
  expect_refused({"--save", run + "/sub/m", "--out", run}, 3, "does not exist; create it first");
  expect_refused({"--save", run + "/last.safetensors", "--out", run}, 2, "what --out writes");
  expect_refused({"--save", run + "/step-00000007.safetensors", "--out", run}, 2, "a checkpoint of --out");
}

TEST_F(SaveTest, TwoNamesOfOneFileAreRefused) {
  write_text(file("m"), "old");
  fs::create_symlink("m", file("link"));
  fs::create_hard_link(file("m"), file("hard"));
  for (const std::string name : {"./m", "link", "hard"}) {
    expect_refused({"--save-gradients", file(name), "--save", file("m")}, 2, "what --save writes");
    expect_refused({"--metrics", file(name), "--save", file("m")}, 2, "what --save writes");
  }
  EXPECT_EQ(read_text(file("m")), "old");
}

TEST_F(SaveTest, OnlySaveMayReplaceTheInitialValues) {
  ASSERT_EQ(train({"--save", file("m")}).exit_code, 0);
  const std::string before = read_text(file("m"));
  expect_refused({"--metrics", file("m"), "--init-from", file("m")}, 2, "what --init-from reads");
  expect_refused({"--save-gradients", file("m"), "--init-from", file("m")}, 2, "what --init-from reads");
  EXPECT_EQ(read_text(file("m")), before);
  EXPECT_EQ(train({"--init-from", file("m"), "--save", file("m")}).exit_code, 0);
  EXPECT_NE(read_text(file("m")), before);
}

TEST_F(SaveTest, WhereStdoutGoesNoFileIsWritten) {
  const auto into_file = [&] {
    [[maybe_unused]] const auto* opened = std::freopen(file("log").c_str(), "w", stdout);
  };
  for (const std::string& name : {file("log"), std::string("/dev/stdout")}) {
    const ProgramResult result = train({"--metrics", name}, {.prepare = into_file});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr("where stdout goes"));
  }
}

TEST_F(SaveTest, NamesOfOtherFormatsAreRefused) {
  for (const char* name : {"m.onnx", "m.pt", "m.PTH", "m.bin"}) {
    expect_refused({"--save", file(name)}, 2, "safetensors is written; name it " + file("m.safetensors"));
    expect_refused({"--save-gradients", file(name)}, 2, "safetensors is written");
  }
  expect_refused({"--save", file("m.onnx")}, 2,
                 "bntrain export " + file("m.safetensors") + " -o " + file("m.onnx"));
}

TEST_F(SaveTest, WhatTakesNoFileIsRefused) {
  fs::create_directory(file("folder"));
  ASSERT_EQ(::mkfifo(file("fifo").c_str(), 0600), 0);
  expect_refused({"--save", file("folder")}, 3, "it is a folder");
  expect_refused({"--save", file("fifo")}, 3, "it is a device");
  expect_refused({"--save", "/dev/null"}, 3, "it is a device");
  expect_refused({"--save", "/dev/stdout"}, 3, "it is a device");
  expect_refused({"--save", file(std::string(256, 'n'))}, 3, "File name too long");
  expect_refused({"--save", "/proc/m"}, 3, "cannot be written");
  expect_refused({"--metrics", "/proc/m"}, 3, "cannot be written");
}

TEST_F(SaveTest, TheLongestNameIsTaken) {
  const std::string longest = file(std::string(255, 'n'));
  const ProgramResult result = train({"--save", longest});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(is_model(longest));
}

TEST_F(SaveTest, NamesThatAreNotUtf8LoseNoModel) {
  ASSERT_EQ(train({"--save", file("\xe9")}).exit_code, 0);
  const ProgramResult result =
      train({"--init-from", file("\xe9"), "--save", file("m\xff"), "--out", file("r\xe9")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(read_safetensors(file("m\xff")).metadata.at("init"), "\xef\xbf\xbd");
  const ProgramResult resumed =
      run_bntrain({"--resume", file("r\xe9"), "--epochs", "2", "--save", file("n")});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
}

TEST_F(SaveTest, ADivergedRunReplacesNoGoodModel) {
  ASSERT_EQ(train({"--save", file("m.safetensors")}).exit_code, 0);
  const std::string before = read_text(file("m.safetensors"));
  const ProgramResult result = train({"--lr", "1e30", "--init", "he", "--save", file("m.safetensors")});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr(file("m.diverged.safetensors")));
  EXPECT_EQ(read_text(file("m.safetensors")), before);
  EXPECT_TRUE(is_model(file("m.diverged.safetensors")));
}

TEST_F(SaveTest, AModelWhoseFolderIsGoneIsRescued) {
  fs::create_directory(file("tmp"));
  fs::create_directory(file("gone"));
  const ProgramResult result =
      train({"--epochs", "1000000", "--save", file("gone/m.safetensors"), "--out", file("gone/run")},
            {.environment = {{"TMPDIR", file("tmp")}}, .signal = SIGTERM, .before_signal = [&] {
               fs::remove_all(file("gone"));
             }});
  EXPECT_EQ(result.exit_code, 1);
  std::string model, run;
  for (const auto& entry : fs::directory_iterator(file("tmp"))) {
    EXPECT_THAT(result.err, HasSubstr(entry.path().string()));
    (fs::exists(entry.path() / "m.safetensors") ? model : run) = entry.path().string();
  }
  const std::string steps = read_safetensors(model + "/m.safetensors").metadata.at("steps");
  EXPECT_EQ(read_safetensors(run + "/last.safetensors").metadata.at("steps"), steps);
  const ProgramResult resumed = run_bntrain({"--resume", run, "--steps", steps, "--save", file("again")});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_TRUE(is_model(file("again")));
}

TEST_F(SaveTest, RecordsThatCannotBeWrittenAreAWarning) {
  const auto limit = [] {
    const struct rlimit small { 3000, 3000 };
    setrlimit(RLIMIT_FSIZE, &small);
  };
  const ProgramResult result = train({"--epochs", "40", "--metrics", file("m.jsonl")}, {.prepare = limit});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(lines(result.out).size(), 40U);
  EXPECT_THAT(lines(result.err),
              ::testing::ElementsAre(AllOf(HasSubstr("--metrics"), HasSubstr("too large"))));
  EXPECT_GT(json_lines(read_text(file("m.jsonl"))).size(), 2U) << "every line is whole";
}

TEST_F(SaveTest, EvalAndExportAskForTheirFilesToo) {
  ASSERT_EQ(train({"--save", file("m")}).exit_code, 0);
  const std::string before = read_text(file("m"));
  const auto refused = [&](std::vector<std::string> flags, const std::string& words) {
    flags.insert(flags.begin(), {"eval", file("m"), "--data", "synthetic:shape=1x8x8,train=200,test=70"});
    const ProgramResult result = run_bntrain(flags);
    EXPECT_EQ(result.exit_code, 2) << words;
    EXPECT_THAT(result.err, HasSubstr(words));
  };
  refused({"--csv", file("./m")}, "the model that is evaluated");
  refused({"--csv", file("x"), "--logits", file("./x")}, "what --csv writes");
  refused({"--logits", file("x.pt")}, "safetensors is written");
  fs::create_symlink("m2.safetensors", file("link.safetensors"));
  EXPECT_EQ(run_bntrain({"export", file("m"), "-o", file("link.safetensors")}).exit_code, 0);
  EXPECT_TRUE(fs::is_symlink(file("link.safetensors")) && is_model(file("m2.safetensors")));
  EXPECT_EQ(read_text(file("m")), before);
}

}  // namespace
}  // namespace bntrain::test
