// bntrain report, and the page that training keeps: after a run that ended, diverged, was interrupted, was
// killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "cli/run_program.hpp"

namespace bntrain::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string between(const std::string& text, const std::string& before, const std::string& after) {
  const std::size_t begin = text.find(before);
  if (begin == std::string::npos) return "";
  const std::size_t at = begin + before.size();
  return text.substr(at, text.find(after, at) - at);
}

/// The values that a page draws of that chart: series by series.
nlohmann::json series_of(const std::string& page, const std::string& id) {
  for (const nlohmann::json& chart : nlohmann::json::parse(between(page, "id=\"charts\">", "</script>")))
    if (chart.at("id") == id) return chart.at("series");
  return {};
}

class ReportTest : public ::testing::Test {
 protected:
  std::string run(const std::string& name = "run") const { return folder.file(name); }
  std::string page(const std::string& name = "run") const { return read_text(run(name) + "/report.html"); }
  /// What the page says has become of the run.
  std::string lead(const std::string& name = "run") const {
    return between(page(name), "<p class=\"lead\">", "</p>");
  }
  ProgramResult train(const std::vector<std::string>& more, const ProgramSetup& setup = {},
                      const std::string& name = "run") const {
    std::vector<std::string> arguments = small_run({"--out", run(name)});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_bntrain(arguments, setup);
  }

  TemporaryFolder folder;
};

TEST_F(ReportTest, TrainingKeepsThePageAndNamesTheCommandThatOpensIt) {
  const ProgramResult result = train({"--epochs", "2"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("xdg-open " + run() + "/report.html"));
  EXPECT_EQ(lead(), "Training ended after 14 steps.");
  const nlohmann::json records = json_lines(read_text(run() + "/metrics.jsonl"));
  const nlohmann::json loss = series_of(page(), "loss-by-epoch");
  ASSERT_EQ(loss.at(0).at("y").size(), 2U);
  EXPECT_NEAR(loss.at(0).at("y").at(1), records.at(2).at("train_loss").get<double>(), 1e-4);
  EXPECT_THAT(page(),
              AllOf(HasSubstr("<pre>bntrain train --data synthetic:shape=1x8x8,train=200,test=70 --network "
                              "conv4x3,bn,relu,maxpool2,fc10 --epochs 2 --batch-size 32 --device cpu --out " +
                              run() + "</pre>"),
                    HasSubstr("<pre>bntrain --resume " + run() + " --epochs N</pre>"),
                    HasSubstr("<pre>bntrain --config " + run() + "/config.toml --out ANOTHER</pre>")));
}

TEST_F(ReportTest, TheCommandMakesTheSamePage) {
  ASSERT_EQ(train({"--epochs", "3", "--record", "bn,activations", "--log-every", "2", "--eval-every", "3"})
                .exit_code,
            0);
  const std::string trained = page();
  std::filesystem::remove(run() + "/report.html");
  const ProgramResult result = run_bntrain({"report", run()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, run() + "/report.html\n");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(page(), trained);
  EXPECT_THAT(trained, AllOf(HasSubstr("Layer 1 bn"), HasSubstr("70 test images after epoch 2 (21 steps)"),
                             HasSubstr("data:image/png;base64,"), Not(HasSubstr("What is missing"))));
  EXPECT_FALSE(series_of(trained, "loss-by-step").is_null());
}

TEST_F(ReportTest, AResumedRunGoesOnInItsCurves) {
  ASSERT_EQ(train({"--epochs", "2", "--log-every", "1"}).exit_code, 0);
  ASSERT_EQ(run_bntrain({"--resume", run(), "--epochs", "4", "--lr", "0.1"}).exit_code, 0);
  const nlohmann::json loss = series_of(page(), "loss-by-epoch");
  EXPECT_EQ(loss.at(0).at("x"), nlohmann::json({0, 1, 2, 3}));
  EXPECT_EQ(series_of(page(), "loss-by-step").at(0).at("x").size(), 28U);
  EXPECT_EQ(series_of(page(), "learning-rate").at(0).at("y").at(14), 0.1);
  EXPECT_THAT(page(),
              AllOf(HasSubstr("lr changed"), HasSubstr("<th scope=\"row\">14<td>lr<td>0.2<td>0.1"),
                    HasSubstr("Repeat the run in another folder, with its last settings throughout")));
}

TEST_F(ReportTest, ThereIsNoneWithNoReport) {
  const ProgramResult result = train({"--epochs", "1", "--no-report"});
  ASSERT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, Not(HasSubstr("report")));
  EXPECT_FALSE(std::filesystem::exists(run() + "/report.html"));
  EXPECT_EQ(run_bntrain({"report", run()}).exit_code, 0) << "later it can be made";
  ASSERT_EQ(run_bntrain({"--resume", run(), "--epochs", "2", "--no-report"}).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(run() + "/report.html")) << "of half the run";
}

TEST_F(ReportTest, SaysWhereARunDiverged) {
  const ProgramResult result = train({"--lr", "1e30", "--init", "he"});
  ASSERT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("xdg-open"));
  EXPECT_EQ(lead(), "Training diverged: the loss was not finite after 1 of 35 steps.");
  EXPECT_THAT(page(), AllOf(HasSubstr("at step 1 with a learning rate of 1e+30"),
                            HasSubstr("First non-finite layer: "), HasSubstr("<th scope=\"row\">1<td>–<td>"),
                            HasSubstr("--resume " + run() + " --lr X")));
}

TEST_F(ReportTest, SaysThatARunWasInterrupted) {
  const ProgramResult result = train({"--epochs", "1000000"}, {.signal = SIGINT});
  ASSERT_EQ(result.exit_code, 128 + SIGINT);
  EXPECT_THAT(lead(),
              AllOf(StartsWith("Training was interrupted after "), HasSubstr(" of 7,000,000 steps.")));
  EXPECT_THAT(page(), HasSubstr("<pre>bntrain --resume " + run() + "</pre>"));
}

TEST_F(ReportTest, SaysThatARunGoesOnAndThatItWasKilled) {
  std::string while_training;
  const auto look = [&] {
    ASSERT_EQ(run_bntrain({"report", run(), "--output", folder.file("now.html")}).exit_code, 0);
    while_training = read_text(folder.file("now.html"));
  };
  const ProgramResult result = train({"--epochs", "1000000"}, {.signal = SIGKILL, .before_signal = look});
  ASSERT_EQ(result.exit_code, 128 + SIGKILL);
  EXPECT_THAT(while_training, AllOf(HasSubstr("Training goes on: "),
                                    HasSubstr(" were recorded when this page was written.")));
  EXPECT_THAT(page(), AllOf(HasSubstr("Training goes on: "), HasSubstr("</html>\n")))
      << "the last page before it is whole";
  ASSERT_EQ(run_bntrain({"report", run()}).exit_code, 0);
  EXPECT_THAT(lead(), StartsWith("Training was killed: its records end after "));
  EXPECT_THAT(page(), HasSubstr("<pre>bntrain --resume " + run() + "</pre>"));
}

TEST_F(ReportTest, APageThatCannotBeWrittenIsOneWarning) {
  ASSERT_EQ(train({"--epochs", "1"}).exit_code, 0);
  std::filesystem::remove(run() + "/report.html");
  std::filesystem::create_directories(run() + "/report.html/in-the-way");
  const ProgramResult result = run_bntrain({"--resume", run(), "--epochs", "20"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(lines(result.out).size(), 19U);
  const std::size_t first = result.err.find("the report cannot be written: ");
  EXPECT_NE(first, std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("cannot be written", first + 30), std::string::npos) << result.err;
  const ProgramResult command = run_bntrain({"report", run()});
  EXPECT_NE(command.exit_code, 0);
  EXPECT_THAT(command.err, HasSubstr("report.html"));
}

TEST_F(ReportTest, APageThatIsOutOfDateIsTakenAway) {
  ASSERT_EQ(train({"--epochs", "1"}).exit_code, 0);
  // The page has a chart library in it; the other files of so small a run are smaller than the limit.
  const ProgramResult result = run_in_shell("ulimit -f 150 && \"$0\" --resume '" + run() + "' --epochs 3");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("the report cannot be written"), Not(HasSubstr("xdg-open")),
                                HasSubstr("the run is kept in")));
  EXPECT_FALSE(std::filesystem::exists(run() + "/report.html"));
}

TEST_F(ReportTest, LaysSeveralRunsOverEachOther) {
  ASSERT_EQ(train({"--epochs", "2"}, {}, "a").exit_code, 0);
  ASSERT_EQ(train({"--epochs", "2", "--lr", "0.05", "--norm", "none"}, {}, "b").exit_code, 0);
  const std::string file = folder.file("both.html");
  const ProgramResult result = run_bntrain({"report", run("a"), run("b"), "-o", file});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, file + "\n");
  const std::string text = read_text(file);
  EXPECT_THAT(
      text, HasSubstr("<th scope=\"col\">images a second<th scope=\"col\">norm<th scope=\"col\">lr</thead>"));
  EXPECT_THAT(text, AllOf(HasSubstr("</svg>b<td>ended<td>1<td>"), HasSubstr("<td>none<td>0.05\n")));
  EXPECT_EQ(series_of(text, "train-loss").size(), 2U);
}

TEST_F(ReportTest, WithoutOutputNoForeignFileIsReplaced) {
  ASSERT_EQ(train({"--epochs", "1"}, {}, "a").exit_code, 0);
  const std::string here = "cd " + folder.path().string() + " && \"$0\" report a a/metrics.jsonl";
  const ProgramResult first = run_in_shell(here);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(first.out, "report.html\n");
  EXPECT_EQ(run_in_shell(here).exit_code, 0) << "its own page is";
  write_text(folder.file("report.html"), "<!DOCTYPE html>mine");
  const ProgramResult refused = run_in_shell(here);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("name another file with --output"));
  EXPECT_EQ(read_text(folder.file("report.html")), "<!DOCTYPE html>mine");
}

TEST_F(ReportTest, AFileOfTheRunIsNoPlaceForThePage) {
  ASSERT_EQ(train({"--epochs", "1"}, {}, "a").exit_code, 0);
  for (const char* name : {"/metrics.jsonl", "/last.safetensors"}) {
    const std::string before = read_text(run("a") + name);
    const ProgramResult result = run_bntrain({"report", run("a"), "-o", run("a") + name});
    EXPECT_EQ(result.exit_code, 2) << result.out;
    EXPECT_THAT(result.err, AllOf(HasSubstr("--output"), HasSubstr("is none of this command's pages")));
    EXPECT_EQ(read_text(run("a") + name), before);
  }
  write_text(folder.file("empty"), "");
  EXPECT_EQ(run_bntrain({"report", run("a"), "-o", folder.file("empty")}).exit_code, 0) << "as of mktemp";
}

TEST_F(ReportTest, ARunThatIsNamedTwiceIsOneRun) {
  ASSERT_EQ(train({"--epochs", "1"}, {}, "a").exit_code, 0);
  ASSERT_EQ(train({"--epochs", "1", "--lr", "0.05"}, {}, "b").exit_code, 0);
  std::filesystem::create_directory_symlink(run("a"), folder.file("best"));
  const ProgramResult result = run_bntrain(
      {"report", run("a"), run("b"), folder.file("best"), run("b") + "/metrics.jsonl", "-o", "-"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("<h1>2 runs</h1>"), HasSubstr("<p class=\"lead\">2 runs.</p>")));
}

TEST_F(ReportTest, AnEvaluationWithoutRecordsIsShown) {
  ASSERT_EQ(train({"--epochs", "1"}).exit_code, 0);
  std::filesystem::remove(run() + "/metrics.jsonl");
  ASSERT_EQ(run_bntrain({"report", run()}).exit_code, 0);
  EXPECT_THAT(page(), AllOf(HasSubstr("data:image/png;base64,"), HasSubstr("metrics.jsonl"),
                            Not(HasSubstr("does not fit"))));
  std::filesystem::remove(run() + "/evaluation.json");
  const ProgramResult result = run_bntrain({"report", run()});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("there is a checkpoint here, but neither records"));
}

TEST_F(ReportTest, TakesTheFolderOfABench) {
  ASSERT_EQ(run_bntrain({"bench", "--data", "synthetic:shape=1x8x8,train=200,test=70", "--network",
                         "conv4x3,bn,relu,fc10", "--batch-size", "32", "--epochs", "1", "--seeds", "2",
                         "--lr", "0.1,0.2,0.5", "--jobs", "1", "--init", "he", "--out", folder.file("bench")})
                .exit_code,
            0);
  const std::string left = read_text(folder.file("bench") + "/runs.html");
  const ProgramResult result = run_bntrain({"report", folder.file("bench")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, folder.file("bench") + "/runs.html\n");
  const std::string text = read_text(folder.file("bench") + "/runs.html");
  EXPECT_EQ(text, left) << "the bench made it";
  EXPECT_THAT(text, AllOf(HasSubstr("12 runs, those that differ in nothing but their seed, or in what"),
                          HasSubstr("</svg>norm batch, lr 0.1<td>")));
}

TEST_F(ReportTest, PrintsNumbersWhereThereIsNoTerminal) {
  ASSERT_EQ(train({"--epochs", "2", "--valid", "0.2"}).exit_code, 0);
  const ProgramResult text = run_bntrain({"report", run(), "--text"}, {.environment = {{"TERM", "xterm"}}});
  ASSERT_EQ(text.exit_code, 0) << text.err;
  ASSERT_EQ(lines(text.out).size(), 3U);
  EXPECT_THAT(
      lines(text.out).at(0),
      ::testing::MatchesRegex("run +epoch +steps +train_loss +train_acc +valid_loss +valid_acc +images/s"));
  EXPECT_THAT(lines(text.out).at(2),
              ::testing::MatchesRegex("run +1 +10 +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9]+"));
  const ProgramResult csv = run_bntrain({"report", run(), "--csv"});
  ASSERT_EQ(lines(csv.out).size(), 4U);
  EXPECT_THAT(lines(csv.out).at(2), StartsWith("run,epoch,1,10,,"));
  EXPECT_THAT(lines(csv.out).at(3), StartsWith("run,end,,10,,,,"));
}

TEST_F(ReportTest, DrawsCurvesInATerminalWithinItsWidth) {
  ASSERT_EQ(train({"--epochs", "3"}).exit_code, 0);
  const ProgramResult result =
      run_in_shell("script -qec \"stty cols 70; '$0' report " + run() + " --text\" /dev/null",
                   {.environment = {{"TERM", "xterm"}}});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("run: Training ended after 21 steps."), HasSubstr("train loss"),
                                HasSubstr("test accuracy"), HasSubstr("┤"), HasSubstr("best ")));
  for (const std::string& line : lines(result.out)) {
    const auto columns =
        std::ranges::count_if(line, [](char letter) { return (letter & 0xC0) != 0x80 && letter != '\r'; });
    EXPECT_LE(columns, 70) << line;
  }
}

TEST_F(ReportTest, DamagedRecordsAreNamedOnThePage) {
  ASSERT_EQ(train({"--epochs", "2"}).exit_code, 0);
  const std::string records = read_text(run() + "/metrics.jsonl");
  write_text(run() + "/metrics.jsonl",
             records.substr(0, records.find('\n') + 1) + "?\n" + records.substr(records.find('\n') + 1, 300));
  const ProgramResult result = run_bntrain({"report", run()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(page(), AllOf(HasSubstr("Line 2 of the records cannot be read"),
                            HasSubstr("The last line of the records is cut off")));
}

TEST_F(ReportTest, ARunWhoseRecordsEndedOnAFullDiskWasNotKilled) {
  ASSERT_EQ(train({"--epochs", "2"}).exit_code, 0);
  const std::vector<std::string> records = lines(read_text(run() + "/metrics.jsonl"));
  write_text(run() + "/metrics.jsonl", records.at(0) + "\n" + records.at(1) + "\n");
  ASSERT_EQ(run_bntrain({"report", run()}).exit_code, 0);
  EXPECT_THAT(lead(), StartsWith("The records end after 7 of 14 steps, and the checkpoint is of step 14: "));
  EXPECT_THAT(page(), HasSubstr("end unknown</span>"));
}

TEST_F(ReportTest, ThePageOfAResumedRunIsThatOfItsRecords) {
  ASSERT_EQ(train({"--epochs", "2", "--record", "bn,activations", "--log-every", "1"}).exit_code, 0);
  ASSERT_EQ(run_bntrain({"--resume", run(), "--epochs", "3", "--lr", "0.1"}).exit_code, 0);
  const std::string trained = page();
  ASSERT_EQ(run_bntrain({"report", run()}).exit_code, 0);
  EXPECT_EQ(page(), trained);
}

TEST_F(ReportTest, GoesToStdoutAndComesFromAPipe) {
  ASSERT_EQ(train({"--epochs", "1"}).exit_code, 0);
  const std::string here = "cd " + folder.path().string() + " && ";
  const ProgramResult shown = run_in_shell(here + "\"$0\" report run -o -");
  ASSERT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_FALSE(std::filesystem::exists(folder.file("-")));
  EXPECT_EQ(between(shown.out, "<h1>", " "), "run");
  EXPECT_THAT(shown.out, AllOf(StartsWith("<!DOCTYPE html>"), ::testing::EndsWith("</html>\n")));
  const ProgramResult piped = run_in_shell(here + "cat run/metrics.jsonl | \"$0\" report /dev/stdin --csv");
  ASSERT_EQ(piped.exit_code, 0) << piped.err;
  EXPECT_THAT(lines(piped.out).at(1), StartsWith("/dev/stdin,epoch,0,7,"));
}

TEST_F(ReportTest, OddNamesOfFoldersAreOneLineAndThePageIsUtf8) {
  const std::string odd = "a\nb\xff";
  ASSERT_EQ(train({"--epochs", "1"}, {}, odd).exit_code, 0);
  const ProgramResult result = run_bntrain({"report", run(odd)});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(lines(result.out).size(), 1U);
  EXPECT_THAT(result.out, HasSubstr("/a\\u000ab"));
  EXPECT_THAT(page(odd), HasSubstr("<h1>a\nb\xEF\xBF\xBD "));
  EXPECT_EQ(page(odd).find('\xff'), std::string::npos);
  EXPECT_THAT(page(odd),
              HasSubstr("bntrain --resume $&#39;" + folder.path().string() + "/a\\012b\\377&#39;"));
  const ProgramResult error = run_bntrain({"report", run("no\nfolder")});
  EXPECT_EQ(error.exit_code, 3);
  EXPECT_EQ(lines(error.err).size(), 1U) << error.err;
}

TEST_F(ReportTest, OneBrokenRunLeavesOutNoOther) {
  ASSERT_EQ(train({"--epochs", "1"}, {}, "a").exit_code, 0);
  ASSERT_EQ(train({"--epochs", "1"}, {}, "b").exit_code, 0);
  std::filesystem::create_directories(run("broken"));
  write_text(run("broken") + "/metrics.jsonl", "");
  const std::string file = folder.file("all.html"),
                    reason = "broken/metrics.jsonl: none of its lines is a record";
  const ProgramResult result =
      run_bntrain({"report", run("a"), run("broken"), run("b"), run("gone"), "-o", file});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr(reason), HasSubstr("gone: there is no such folder")));
  EXPECT_THAT(between(read_text(file), "What is missing", "</aside>"),
              AllOf(HasSubstr(reason), HasSubstr("gone: there is no such folder")));
  EXPECT_EQ(series_of(read_text(file), "train-loss").size(), 2U);
  const ProgramResult none =
      run_bntrain({"report", run("broken"), run("gone"), "-o", folder.file("no.html")});
  EXPECT_EQ(none.exit_code, 3);
  EXPECT_THAT(none.err, AllOf(HasSubstr(reason), HasSubstr("none of the runs can be shown")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("no.html")));
}

TEST_F(ReportTest, TheRecordsWithoutAPathAreThoseOfTheirFolder) {
  ASSERT_EQ(train({"--epochs", "1"}).exit_code, 0);
  ASSERT_EQ(run_bntrain({"report", run() + "/metrics.jsonl", "-o", folder.file("whole.html")}).exit_code, 0);
  ASSERT_EQ(run_in_shell("cd " + run() + " && \"$0\" report metrics.jsonl").exit_code, 0);
  EXPECT_EQ(lead(), "Training ended after 7 steps.");
  EXPECT_THAT(page(), AllOf(HasSubstr("data:image/png;base64,"), HasSubstr("<h1>run ")));
}

TEST_F(ReportTest, WhatCannotBeShownIsAnError) {
  EXPECT_EQ(run_bntrain({"report"}).exit_code, 2);
  const ProgramResult none = run_bntrain({"report", folder.file("none")});
  EXPECT_EQ(none.exit_code, 3);
  EXPECT_THAT(none.err,
              HasSubstr("there is no such folder; name a folder of train, bench or reproduce --out"));
  ASSERT_EQ(train({"--epochs", "1"}).exit_code, 0);
  const ProgramResult both = run_bntrain({"report", run(), "--text", "--csv"});
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_THAT(both.err, HasSubstr("exclude each other"));
}

}  // namespace
}  // namespace bntrain::test
