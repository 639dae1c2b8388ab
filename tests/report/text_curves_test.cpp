// Runs in a terminal and as CSV.
#include "report/text_curves.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>

#include "report/panels.hpp"
#include "report/sample_run.hpp"

namespace bntrain::report::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char letter) { return (letter & 0xC0) != 0x80; }));
}

TEST(DrawPanels, DrawsOnOneScaleBesideEachOther) {
  EXPECT_EQ(
      draw_panels({{"down", {0, 1, 2}, {4, 2, 0}, "best 0"}, {"flat", {0, 1, 2}, {1, nan, 1}, "best 1"}}, 62),
      R"(down                            flat
4 ┤⠉⠒⠢⠤⣀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀  4 ┤⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀
  │⠀⠀⠀⠀⠀⠉⠑⠒⠤⢄⣀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀    │⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀
  │⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠉⠑⠢⢄⣀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀    │⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀
  │⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠉⠑⠒⠤⢄⣀⠀⠀⠀⠀⠀    │⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤
0 ┤⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠉⠒⠢⠤⣀  0 ┤⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀
   epoch 0                   2     epoch 0                   2
best 0                          best 1
)");
}

TEST(DrawPanels, FitsIntoTheWidth) {
  std::vector<Panel> panels;
  for (int i = 0; i < 7; ++i)
    panels.push_back({"a panel with a very long name, with an ü in it", {0, 1}, {0.123, 1e-7}, "note"});
  for (const std::size_t width : {16U, 20U, 40U, 61U, 62U, 80U, 137U, 400U}) {
    const std::string text = draw_panels(panels, width);
    std::size_t widest = 0;
    for (const std::string& line : split(text)) widest = std::max(widest, columns(line));
    EXPECT_LE(widest, width) << width;
    EXPECT_GT(widest, width / 2) << width;
  }
}

TEST(DrawPanels, HaveOneScaleOfEpochs) {
  const std::vector<std::string> lines =
      split(draw_panels({{"long", {0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, ""}, {"short", {0, 1}, {4, 0}, ""}}, 62));
  EXPECT_EQ(lines.at(6), "   epoch 0                   4     epoch 0                   4");
  EXPECT_THAT(lines.at(1), ::testing::EndsWith("⠀⠀⠀⠀⠀")) << "the short curve ends in the middle";
  EXPECT_THAT(lines.at(5), ::testing::EndsWith("⠀⠀⠀⠀⠀"));
}

TEST(DrawPanels, AreLogarithmicWhereAskedForBeyondThreeDecades) {
  const std::vector<double> x{0, 1, 2};
  const auto draw = [&](const std::vector<double>& y, bool may_be) {
    return draw_panels({{"loss", x, y, ""}}, 40, may_be);
  };
  const std::string wide = draw({1e4, 1, 1e-4}, true);
  EXPECT_THAT(wide, ::testing::StartsWith("loss (log)\n 1e+04 ┤⠉"));
  EXPECT_THAT(split(wide).at(3), HasSubstr("⠤")) << "1 is in the middle";
  EXPECT_THAT(draw({1e4, 0, 1}, true), ::testing::StartsWith("loss (log)\n1e+04 ┤"));
  for (const std::string& linear :
       {draw({1e4, 1, 1e-4}, false), draw({10, 1, 0.02}, true), draw({1e4, 1, -1}, true)})
    EXPECT_THAT(linear, ::testing::StartsWith("loss\n"));
}

TEST(DrawPanels, WithoutValuesAreALine) {
  EXPECT_EQ(draw_panels({{"loss", {0}, {nan}, "not finite", "a"}, {"loss", {}, {}, "", "b"}}, 40),
            "loss: a: not finite\n");
}

TEST(DrawPanels, TakesOneValueAndNone) {
  EXPECT_EQ(draw_panels({{"none", {0}, {nan}, ""}}, 40), "");
  EXPECT_EQ(draw_panels({}, 40), "");
  EXPECT_THAT(draw_panels({{"far apart", {0, 1}, {-1.5e308, 1.5e308}, ""}}, 40), HasSubstr("1.5e+308 ┤"));
  EXPECT_THAT(draw_panels({{"one", {0}, {0.5}, "note"}}, 40), HasSubstr("0.5 ┤"));
}

TEST(TextReport, WrapsWhatIsTooLongForNarrowTerminals) {
  for (const std::size_t width : {20U, 24U, 40U}) {
    std::string words;
    for (const std::string& line : split(text_report(
             {sample_run({}, "a-name-that-has-no-place-to-break"), sample_run({.ended = false})}, width))) {
      EXPECT_LE(columns(line), width) << line;
      words += line.substr(std::min(line.find_first_not_of(' '), line.size())) + " ";
    }
    EXPECT_THAT(words, HasSubstr("best 0.6667 (epoch 2), last 0.6667")) << width;
    EXPECT_THAT(words, HasSubstr("without a word of an end.")) << width;
  }
}

TEST(TextReport, ARunWithoutCurvesIsALine) {
  const RecordedRun other = sample_run({}, "other"), empty = sample_run({.epochs = 0}, "empty");
  const std::string text = text_report({other, empty}, 200);
  EXPECT_EQ(std::ranges::count(
                split(text),
                "empty: Training ended after 0 steps. No epoch has ended, so there are no curves of it."),
            1);
  EXPECT_THAT(text, ::testing::Not(HasSubstr(": empty")));
}

TEST(TextReport, SaysNotFiniteOfLossesThatAre) {
  RecordedRun run = sample_run();
  for (EpochPoint& epoch : run.history.epochs) epoch.train_loss = epoch.accuracy = epoch.eval_seconds = nan;
  EXPECT_THAT(text_report({run}, 80), AllOf(HasSubstr("\ntrain loss: not finite\n"),
                                            HasSubstr("\ntest accuracy: nothing recorded\n")));
}

TEST(TextReport, NamesStateBestAndLastOfEveryRun) {
  const std::string one = text_report({sample_run()}, 80);
  EXPECT_THAT(one, HasSubstr("sample: Training ended after 60 steps.\n"));
  EXPECT_THAT(one, HasSubstr("train loss"));
  EXPECT_THAT(one, HasSubstr("test accuracy"));
  EXPECT_THAT(one, HasSubstr("best 0.6667 (epoch 2), last 0.6667"));
  EXPECT_THAT(one, HasSubstr("best 0.7333 (epoch 2), last 0.7333"));
  const std::string two =
      text_report({sample_run({}, "a"), sample_run({.epochs = 1, .ended = false}, "b")}, 80);
  EXPECT_THAT(two, HasSubstr("b: Training was killed"));
  EXPECT_THAT(two, HasSubstr("train loss: a"));
  EXPECT_THAT(two, HasSubstr("test accuracy: b"));
}

TEST(TextReport, KeepsTheQuantityAndBothEndsOfALongName) {
  const std::string text = text_report(
      {sample_run({}, "resnet-lr0.1-batch256-he-seed0"), sample_run({}, "resnet-lr0.1-batch256-he-seed1")},
      62);
  EXPECT_THAT(text, HasSubstr("\ntrain loss: resnet-lr…he-seed0  train loss: resnet-lr…he-seed1\n"));
  EXPECT_THAT(text, HasSubstr("\ntest accuracy: resnet-…e-seed0  test accuracy: resnet-…e-seed1\n"));
}

TEST(TextReport, SaysWhyARunHasNoCurves) {
  EXPECT_THAT(text_report({sample_run({.epochs = 0})}, 200), HasSubstr("No epoch has ended"));
  RecordedRun run = sample_run({.epochs = 1});
  EpochPoint& epoch = run.history.epochs[0];
  epoch.train_loss = epoch.train_accuracy = epoch.loss = epoch.accuracy = nan;
  EXPECT_THAT(text_report({run}, 200), HasSubstr("None of its losses and accuracies is finite"));
}

TEST(TextReport, NamesChangeNothingInATerminal) {
  const RecordedRun odd = sample_run({.epochs = 1}, "a\n\x1b[31m\xc2\x9b\x7f");
  for (const std::string& text : {text_report({odd, odd}, 80), epoch_table({odd})}) {
    EXPECT_THAT(text, HasSubstr(R"(a\x0a\x1b[31m\x9b\x7f)"));
    EXPECT_EQ(text.find_first_of("\x1b\x7f\xc2"), std::string::npos);
  }
}

TEST(DrawPanels, CountTheColumnsOfWideLetters) {
  const std::string name = "运行运行运行运行运行运行运行运行运行";
  const std::vector<std::string> lines = split(draw_panels({{"loss", {0, 1}, {0, 1}, "", name}}, 30));
  EXPECT_EQ(lines.at(0), "loss: 运行运行运行…行运行运行");
}

TEST(DrawPanels, NameAConstantOnce) {
  const std::vector<std::string> lines = split(draw_panels({{"flat", {0, 1}, {0.5, 0.5}, "note"}}, 40));
  EXPECT_EQ(std::ranges::count_if(lines, [](const auto& line) { return line.starts_with("0.5 ┤"); }), 1);
  EXPECT_THAT(lines.at(3), HasSubstr("0.5 ┤⠤"));
}

TEST(EpochTable, HasARowForEveryEpoch) {
  EXPECT_EQ(epoch_table({sample_run({.epochs = 2}, "a"), sample_run({.epochs = 1}, "longer")}),
            "run     epoch  steps  train_loss  train_acc  test_loss  test_acc  images/s\n"
            "a           0     20           2        0.5        2.1       0.4     30000\n"
            "a           1     40           1       0.75        1.1      0.65     30000\n"
            "longer      0     20           2        0.5        2.1       0.4     30000\n");
}

TEST(EpochTable, SaysOfWhichImagesAnEpochsValuesAre) {
  std::vector<RecordedRun> runs{sample_run({.epochs = 1}, "a"), sample_run({.epochs = 1}, "b")};
  runs[1].history.evaluated = "valid";
  EXPECT_EQ(epoch_table(runs),
            "run  epoch  steps  train_loss  train_acc  eval_loss  eval_acc  images/s  eval_set\n"
            "a        0     20           2        0.5        2.1       0.4     30000      test\n"
            "b        0     20           2        0.5        2.1       0.4     30000     valid\n");
}

TEST(Csv, HasEveryRecordWithAsManyFields) {
  RecordedRun run = sample_run({.epochs = 1, .steps_per_epoch = 2, .steps = true}, "a, \"b\"");
  run.history.add({{"event", "evaluation"}, {"step", 1}, {"test_loss", nullptr}, {"test_accuracy", 0.25}});
  run.history.add({{"event", "end"}, {"steps", 2}, {"test_loss", 0.5}, {"test_accuracy", 0.75}});
  const std::vector<std::string> lines = split(csv({run}));
  EXPECT_THAT(
      lines, ::testing::ElementsAre(
                 "run,event,epoch,step,lr,train_loss,train_accuracy,test_loss,test_accuracy,valid_loss,"
                 "valid_accuracy,seconds,images_per_second",
                 R"("a, ""b""",step,,0,0.2,3,0.5,,,,,,)", HasSubstr(",step,,1,0.2,2.54"),
                 R"("a, ""b""",evaluation,,1,,,,,0.25,,,,)",
                 R"("a, ""b""",epoch,0,2,,2,0.5,2.1,0.4,,,2,30000)", R"("a, ""b""",end,,2,,,,0.5,0.75,,,,)"));
  for (const std::string& line : lines)
    EXPECT_EQ(std::ranges::count(line, ','), &line == &lines[0] ? 12 : 13);
}

}  // namespace
}  // namespace bntrain::report::test
