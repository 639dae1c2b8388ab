// Machines, shells and terminals that are not as usual.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

#include "cli/run_program.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// A folder that nobody may look into, root included: its path never ends.
std::string unreadable_folder(const TemporaryFolder& folder) {
  const auto loop = folder.path() / "loop";
  std::filesystem::create_symlink(loop, loop);
  return loop;
}

TEST(SurroundingsTest, AFolderOfTheDefaultSearchThatCannotBeReadIsPassedOver) {
  const TemporaryFolder folder;
  for (const char* variable : {"HOME", "XDG_CACHE_HOME"}) {
    ProgramSetup setup{.environment = {{"XDG_CACHE_HOME", ""}}};
    setup.environment[variable] = unreadable_folder(folder);
    const ProgramResult trained = run_bntrain({"--network", "fc10", "--epochs", "0"}, setup);
    EXPECT_EQ(trained.exit_code, 0) << trained.err;
    EXPECT_THAT(trained.err, HasSubstr("/usr/share/datasets/fashion-mnist"));
    const ProgramResult info = run_bntrain({"info"}, setup);
    EXPECT_EQ(info.exit_code, 0) << info.err;
    EXPECT_THAT(info.out, HasSubstr("loop/"));
    EXPECT_THAT(info.out, HasSubstr("cannot be looked at: "));
    std::filesystem::remove(folder.path() / "loop");
  }
}

TEST(SurroundingsTest, AnEmptyEnvironmentIsEnough) {
  const ProgramResult result = run_in_shell("exec env -i \"$0\" --network fc10 --epochs 0 --device cpu");
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST(SurroundingsTest, APlanThatNeedsMoreMemoryThanThereIsIsRefusedWithBothFigures) {
  const ProgramResult result = run_in_shell(
      "ulimit -v 600000; exec \"$0\" --data synthetic:shape=3x64x64,classes=4,train=4096,test=100 "
      "--network conv64x3,bn,relu,fc4 --threads 1 --batch-size 4096");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("--batch-size: not enough memory: "), HasSubstr("4096 images needs 1"),
                    HasSubstr(" GB, and ulimit -v has "), HasSubstr(" MB left; ")));
  EXPECT_EQ(result.out, "");
}

TEST(SurroundingsTest, ADataSetThatNeedsMoreMemoryThanThereIsIsRefused) {
  const ProgramResult result = run_in_shell(
      "ulimit -v 600000; exec \"$0\" --data synthetic:shape=3x64x64,train=300000 --threads 1 --epochs 0");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("--data: not enough memory: "), HasSubstr("needs 3.7 GB")));
}

TEST(SurroundingsTest, WhatTheStartOfTheProgramCannotHaveIsNoInternalError) {
  for (const int kilobytes : {40'000, 60'000, 80'000, 100'000, 120'000}) {
    const ProgramResult result = run_in_shell("ulimit -v " + std::to_string(kilobytes) +
                                              "; exec \"$0\" --threads 2 --epochs 0 --network fc10");
    EXPECT_THAT(result.err, Not(HasSubstr("internal error"))) << kilobytes;
    EXPECT_THAT(result.exit_code, testing::AnyOf(0, 1, 127)) << kilobytes << result.err;
  }
}

TEST(SurroundingsTest, TooFewThreadsNameTheFlag) {
  // Stacks as large as the address space: no other thread starts.
  const ProgramResult result = run_in_shell(
      "ulimit -s 1000000; ulimit -v 800000; exec \"$0\" --data synthetic --network fc10 --epochs 0 --threads "
      "8");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("--threads: only 1 of 8 threads can be started"));
  const ProgramResult one = run_in_shell(
      "ulimit -s 1000000; ulimit -v 800000; exec \"$0\" --data synthetic --network fc10 --epochs 0 --threads "
      "1");
  EXPECT_EQ(one.exit_code, 0) << one.err;
}

TEST(SurroundingsTest, TheSummaryAndTheRecordsTellTheMemoryOfATrainingStep) {
  const TemporaryFolder folder;
  const std::string metrics = folder.path() / "m.jsonl";
  EXPECT_THAT(run_bntrain(small_run({"--summary", "--threads", "1"})).out,
              HasSubstr("memory of a training step: "));
  ASSERT_EQ(run_bntrain(small_run({"--epochs", "0", "--metrics", metrics})).exit_code, 0);
  EXPECT_GT(json_lines(read_text(metrics)).at(0).at("memory_bytes"), 32 * 64 * 4);
}

/// What bntrain writes to a terminal of that many columns.
std::string on_terminal(int columns, const std::string& arguments, const std::string& term = "xterm") {
  const ProgramResult result =
      run_in_shell("script -qec \"stty cols " + std::to_string(columns) + " rows 20; TERM=" + term +
                   " '$0' " + arguments + "\" /dev/null </dev/null");
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  return result.out;
}

/// Columns of the longest line, whether a return or an end of line begins it anew; control sequences take
/// none.
std::size_t longest_line(const std::string& text) {
  static const std::regex sequences("\x1b\\[[0-9;]*[A-Za-z]");
  std::size_t longest = 0, columns = 0;
  for (const char letter : std::regex_replace(text, sequences, "")) {
    if (letter == '\n' || letter == '\r') columns = 0;
    if (letter >= ' ' || letter < 0) columns += (letter & 0xC0) != 0x80 ? 1 : 0;
    longest = std::max(longest, columns);
  }
  return longest;
}

const std::string kEpochs =
    "--data synthetic:shape=1x28x28,train=20000,test=100 --network conv8x5,bn,relu,fc10 "
    "--threads 1 --device cpu --epochs 1 ";

TEST(TerminalTest, TheProgressLineFitsIntoTheTerminal) {
  for (const int columns : {120, 80, 40, 20}) {
    const std::string text = on_terminal(columns, kEpochs + ">/dev/null");
    std::string drawn;  // the logs' lines are the terminal's to break
    for (std::size_t at = text.find('\r'); at != std::string::npos; at = text.find('\r', at + 1))
      if (text.compare(at + 1, 7, "Epoch 0") == 0)
        drawn += text.substr(at, text.find_first_of("\r\n", at + 1) - at);
    EXPECT_THAT(drawn, HasSubstr("Epoch 0")) << columns;
    EXPECT_LT(longest_line(drawn), columns);
    if (columns < 40) continue;  // no room for it
    EXPECT_THAT(drawn, HasSubstr("ETA")) << columns;
  }
}

TEST(TerminalTest, NothingIsRedrawnOrColouredWhereNobodyCanSeeIt) {
  EXPECT_THAT(run_in_shell("\"$0\" " + kEpochs).err, Not(HasSubstr("\x1b")));
  EXPECT_THAT(on_terminal(80, kEpochs, "dumb"), Not(HasSubstr("\x1b")));
  EXPECT_THAT(on_terminal(80, kEpochs + "--no-color --quiet"), Not(HasSubstr("\x1b")));
  EXPECT_THAT(on_terminal(80, kEpochs + "2>/dev/null"), Not(HasSubstr("\x1b")));
}

TEST(TerminalTest, HelpFitsIntoEightyColumnsAndIntoNarrowerTerminals) {
  for (const std::string command :
       {"", "train", "report", "bench", "eval", "predict", "reproduce", "time", "export", "info"}) {
    const std::string help = run_in_shell("\"$0\" " + command + " --help").out;
    EXPECT_LE(longest_line(help), 80U) << help;
    EXPECT_EQ(run_in_shell("\"$0\" help " + command).out, help);
    const std::string narrow = on_terminal(48, command + " --help");
    EXPECT_LE(longest_line(narrow), 48U) << narrow;
  }
}

TEST(TerminalTest, TablesFitIntoEightyColumnsAndIntoNarrowerTerminals) {
  const TemporaryFolder folder;
  const std::string bench =
      "bench --data synthetic:shape=1x8x8,train=200,test=70 --network fc8,bn,relu,fc10 "
      "--batch-size 32 --epochs 2 --lr 0.1,0.2 --seeds 2 --quiet --device cpu --out '" +
      folder.file("bench") + "'";
  const std::string table = run_in_shell("\"$0\" " + bench).out;
  EXPECT_LE(longest_line(table), 80U) << table;
  EXPECT_THAT(table, AllOf(HasSubstr("batch: epoch 1"), HasSubstr("none: epoch 1")));
  EXPECT_LE(longest_line(on_terminal(60, bench)), 60U);
  EXPECT_LE(longest_line(run_in_shell("\"$0\" reproduce --list").out), 80U);
  EXPECT_LE(longest_line(on_terminal(50, "reproduce --list")), 50U);
  EXPECT_LE(longest_line(on_terminal(40, kEpochs + "--summary")), 40U);
}

TEST(TerminalTest, UnknownCommandsHaveNoHelp) {
  const ProgramResult result = run_bntrain({"help", "trian"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("did you mean train?"));
}

TEST(FirstHourTest, TheEndSaysWhereTheModelIsOrThatItIsGone) {
  const TemporaryFolder folder;
  EXPECT_THAT(run_bntrain(small_run({"--epochs", "1"})).err,
              AllOf(HasSubstr("the model is not kept; --out RUN keeps"), HasSubstr("--save FILE")));
  EXPECT_THAT(run_bntrain(small_run({"--epochs", "1", "--out", folder.file("run")})).err,
              AllOf(HasSubstr("the run is kept in " + folder.file("run")), Not(HasSubstr("not kept"))));
  EXPECT_THAT(run_bntrain(small_run({"--epochs", "1", "--save", folder.file("m.safetensors")})).err,
              AllOf(HasSubstr("saved in " + folder.file("m.safetensors")), Not(HasSubstr("not kept"))));
}

TEST(FirstHourTest, AFolderThatHoldsARunIsRefusedBeforeAnythingIsRead) {
  const TemporaryFolder folder;
  write_text(folder.file("config.toml"), "[train]\n");
  const ProgramResult result = run_bntrain({"--data", folder.file("none"), "--out", folder.path()});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--out: the folder " + folder.path().string() +
                                    " already holds a run (config.toml); it has no checkpoint"));
  std::filesystem::remove(folder.file("config.toml"));
  write_text(folder.file("report.html"), "<!DOCTYPE html>mine");
  const ProgramResult foreign = run_bntrain({"--data", folder.file("none"), "--out", folder.path()});
  EXPECT_EQ(foreign.exit_code, 2);
  EXPECT_THAT(foreign.err, HasSubstr("holds a report.html that is no page of bntrain's"));
}

TEST(FirstHourTest, AReportAsksForItsToolsBeforeAnythingIsTrained) {
  const TemporaryFolder folder;
  const ProgramResult result =
      run_bntrain({"bench", "--data", "synthetic", "--report", "--out", folder.file("bench")},
                  {.environment = {{"PATH", folder.path()}, {"PYTHONHOME", folder.path()}}});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("--report: it needs Python with matplotlib"), HasSubstr("without --report")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("bench")));
}

}  // namespace
}  // namespace bntrain::test
