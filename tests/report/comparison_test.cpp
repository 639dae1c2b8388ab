// Which runs an argument names, what has become of them, and several over each other.
#include "report/comparison.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <optional>

#include "core/folder_lock.hpp"
#include "report/run_charts.hpp"
#include "report/run_page.hpp"
#include "report/run_words.hpp"
#include "report/sample_run.hpp"
#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain::report::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class FindRuns : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(folder.file(name)).parent_path());
    std::ofstream(folder.file(name)) << text;
  }
  RunState state(const std::vector<Json>& records) {
    write("run/metrics.jsonl", lines_of(records));
    return find_runs(folder.file("run"), problems).at(0).state;
  }

  TemporaryFolder folder;
  std::vector<std::string> problems;
};

TEST_F(FindRuns, KnowTheirStateByLastRecordAndLock) {
  std::vector<Json> records = sample_records({});
  EXPECT_EQ(state(records), RunState::ended);
  for (const auto& [status, expected] :
       {std::pair("interrupted", RunState::interrupted), {"diverged", RunState::diverged}}) {
    records.back()["status"] = status;
    EXPECT_EQ(state(records), expected);
  }
  records.pop_back();
  EXPECT_EQ(state(records), RunState::killed);
  std::optional<FolderLock> training(std::in_place, folder.file("run"));
  EXPECT_EQ(state(records), RunState::going_on);
  EXPECT_EQ(state(sample_records({})), RunState::ended) << "its process writes its last files";
  training.reset();
  EXPECT_EQ(state(records), RunState::killed);
  write("alone.jsonl", lines_of(records));
  EXPECT_EQ(find_runs(folder.file("alone.jsonl"), problems).at(0).state, RunState::unfinished);
}

TEST_F(FindRuns, AreNamedByFolderOrFile) {
  write("run/metrics.jsonl", lines_of(sample_records({})));
  for (const char* name : {"run", "run/", "run/metrics.jsonl", "run/../run/."}) {
    const std::vector<RecordedRun> runs = find_runs(folder.file(name), problems);
    ASSERT_EQ(runs.size(), 1U) << name;
    EXPECT_EQ(runs[0].history.name, "run");
    EXPECT_FALSE(runs[0].folder.empty());
  }
  write("bench/runs/b.jsonl", lines_of(sample_records({})));
  write("bench/runs/a.jsonl", lines_of(sample_records({})));
  write("bench/runs/c.jsonl", "damaged\n");
  write("bench/runs/notes.txt", "");
  const std::vector<RecordedRun> runs = find_runs(folder.file("bench"), problems);
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].history.name, "a");
  EXPECT_THAT(problems, ElementsAre(HasSubstr("c.jsonl: none of its lines is a record")));
}

TEST_F(FindRuns, OfTheSameNameAreNamedByTheEndsOfTheirPaths) {
  for (const char* name : {"x/a/run/metrics.jsonl", "y/a/run/metrics.jsonl", "z/run.jsonl", "other.jsonl"})
    write(name, lines_of(sample_records({})));
  std::vector<RecordedRun> runs;
  for (const char* name : {"x/a/run/", "y/a/run", "z/run.jsonl", "other.jsonl", "x/a/run"})
    runs.push_back(find_runs(folder.file(name), problems).at(0));
  name_apart(runs);
  std::vector<std::string> names;
  for (const RecordedRun& run : runs) names.push_back(run.history.name);
  EXPECT_THAT(names, ElementsAre("x/a/run", "y/a/run", EndsWith("z/run"), "other", "x/a/run"));
}

TEST_F(FindRuns, WithoutReadableRecordsHaveTheirEvaluation) {
  write("run/metrics.jsonl", std::string(100, '\0'));
  EXPECT_THAT(error_message(ErrorKind::data, [&] { find_runs(folder.file("run"), problems); }),
              HasSubstr("none of its lines is a record"));
  write(
      "run/evaluation.json",
      R"({"epoch":1,"step":4,"images":"test","count":5,"classes":["a","b"],"confusion":[[1,2],[0,2]],"mistakes":[]})");
  const RecordedRun run = find_runs(folder.file("run"), problems).at(0);
  EXPECT_EQ(run.state, RunState::unfinished);
  EXPECT_THAT(run_page(run, Json::object()),
              AllOf(HasSubstr("none of its lines is a record"), HasSubstr("5 test images after epoch 1")));
}

TEST_F(FindRuns, OfReproduceLieInItsFolder) {
  write("reproduced/tutorial-bn-seed-0.jsonl", lines_of(sample_records({})));
  EXPECT_TRUE(holds_many(folder.file("reproduced")));
  EXPECT_EQ(find_runs(folder.file("reproduced"), problems).at(0).history.name, "tutorial-bn-seed-0");
  write("run/metrics.jsonl", lines_of(sample_records({})));
  write("run/other.jsonl", lines_of(sample_records({})));
  EXPECT_FALSE(holds_many(folder.file("run")));
}

TEST_F(FindRuns, OfNothingIsAnErrorThatSaysWhatIsAllowed) {
  for (const char* name : {"", "none"})
    EXPECT_THAT(error_message(ErrorKind::data, [&] { find_runs(folder.file(name), problems); }),
                HasSubstr("name a folder of train, bench or reproduce --out, or a file of --metrics"));
  write("bench/runs/c.jsonl", "damaged\n");
  EXPECT_THAT(error_message(ErrorKind::data, [&] { find_runs(folder.file("bench"), problems); }),
              HasSubstr("no finished run"));
}

RecordedRun with(const Json& settings, const std::string& name) {
  return sample_run({.settings = settings}, name);
}

TEST(Comparison, NamesTheSettingsThatDiffer) {
  EXPECT_THAT(differing_settings({with({{"lr", 0.1}, {"out", "a"}}, "a"),
                                  with({{"lr", 0.2}, {"out", "b"}, {"momentum", 0.9}}, "b")}),
              ElementsAre("lr", "momentum"));
  EXPECT_THAT(differing_settings({with({}, "a"), with({}, "b")}), ElementsAre());
}

std::vector<RecordedRun> bench_runs() {
  std::vector<RecordedRun> runs;
  for (const double lr : {0.1, 0.2, 0.5})
    for (int seed = 0; seed < 4; ++seed) runs.push_back(with({{"lr", lr}, {"seed", seed}}, "same-name"));
  return runs;
}

TEST(Comparison, DrawsManySeedsAsOneCurve) {
  std::vector<RecordedRun> runs = bench_runs();
  runs[0].history.epochs[2].accuracy = 0.95;
  const std::vector<RunGroup> groups = groups_of(runs, differing_settings(runs));
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[0].name, "lr 0.1");
  EXPECT_EQ(groups[0].runs.size(), 4U);
  const std::string page = comparison_page("a <bench>", runs);
  EXPECT_THAT(page, AllOf(HasSubstr("<h1>a &lt;bench&gt;</h1>"),
                          HasSubstr("12 runs, those that differ in nothing but their seed"),
                          HasSubstr("0.7875 (0.7333 to 0.9500)"), HasSubstr("lr 0.1, smallest to largest"),
                          HasSubstr("4 ended")));
  runs.resize(3);
  EXPECT_EQ(groups_of(runs, {"lr", "seed"}).size(), 3U) << "a few runs are a curve each, also of one name";
  EXPECT_THAT(comparison_page("few", runs), Not(HasSubstr("smallest to largest")));
}

TEST(Comparison, ShowsTheBestOfManyCurvesFirst) {
  std::vector<RecordedRun> runs;
  for (int i = 0; i < 40; ++i) {
    runs.push_back(with({{"lr", i + 1}}, "run"));
    for (EpochPoint& epoch : runs.back().history.epochs) epoch.accuracy = 0.01 * i;
  }
  const std::string page = comparison_page("many", runs);
  EXPECT_THAT(page, HasSubstr("of 40 curves the 8 best are drawn"));
  const std::string begin = "id=\"charts\">";
  const std::size_t at = page.find(begin) + begin.size();
  const Json charts = Json::parse(page.substr(at, page.find("</script>", at) - at));
  for (const Json& chart : charts) {
    for (std::size_t i = 0; i < 40; ++i)
      EXPECT_EQ(chart["series"][i].contains("hidden"), i >= 8) << chart["id"] << i;
  }
  EXPECT_EQ(charts[0]["series"][0]["y"].back(), 0.39) << "the best";
  EXPECT_THAT(
      page,
      HasSubstr("<th scope=\"row\"><input type=\"checkbox\" data-group=\"0\" aria-label=\"draw\" checked>"));
  {}
}

TEST(Comparison, ARunThatExplodesDoesNotFlattenTheOthers) {
  std::vector<RecordedRun> runs{with({}, "good"), with({{"lr", 1}}, "bad")};
  const auto is_logarithmic = [&](std::size_t number) {
    const std::string page = comparison_page("two", runs), begin = "id=\"charts\">";
    const std::size_t at = page.find(begin) + begin.size();
    return Json::parse(page.substr(at, page.find("</script>", at) - at)).at(number).at("log");
  };
  EXPECT_EQ(is_logarithmic(2), false);
  EXPECT_THAT(comparison_page("two", runs), Not(HasSubstr("badge bad")));
  runs[1].history.epochs[0].train_loss = 1e30;
  runs[1].state = RunState::diverged;
  EXPECT_EQ(is_logarithmic(2), true) << "train loss";
  EXPECT_EQ(is_logarithmic(1), false) << "evaluated loss";
  EXPECT_EQ(is_logarithmic(3), false) << "accuracy";
  EXPECT_EQ(is_logarithmic(4), false) << "learning rates";
  EXPECT_THAT(comparison_page("two", runs), HasSubstr("<span class=\"badge bad\">diverged</span> bad"));
}

TEST(Comparison, AThousandRunsFitInTwoMegabytes) {
  std::vector<RecordedRun> runs;
  for (int i = 0; i < 1000; ++i) runs.push_back(with({{"lr", 0.001 * i}}, "run"));
  EXPECT_LT(comparison_page("many", runs).size(), 2'000'000U);
}

TEST(Comparison, SaysOfWhichImagesAnAccuracyIs) {
  std::vector<RecordedRun> runs{sample_run({}, "a"), sample_run({}, "b")};
  EXPECT_THAT(comparison_page("same", runs), Not(HasSubstr("evaluated on")));
  runs[1].history.evaluated = "valid";
  EXPECT_THAT(
      comparison_page("two", runs),
      AllOf(HasSubstr("<th scope=\"col\">runs<th scope=\"col\">evaluated on<th scope=\"col\">best accuracy"),
            HasSubstr("a<td>ended<td>1<td>test<td>0.7333"),
            HasSubstr("b<td>ended<td>1<td>validation<td>0.7333")));
}

TEST(Comparison, NamesTheRunsThatAreLeftOut) {
  EXPECT_THAT(comparison_page("few", {sample_run()}, {"c<.jsonl: damaged"}),
              AllOf(HasSubstr("What is missing</b><ul><li>c&lt;.jsonl: damaged."), HasSubstr(">1 run.<")));
}

TEST(Comparison, TakesRunsThatSayNothing) {
  RecordedRun empty{.history = history_of("{\"event\":\"step\",\"step\":1}\n"), .folder = {}};
  EXPECT_THAT(comparison_page("odd", {empty, sample_run()}), HasSubstr("The first record"));
}

TEST(LearningRates, AreTheRecordedOnesElseTheSchedules) {
  std::vector<std::string> missing;
  const Series recorded = learning_rates(sample_run({.steps = true}).history, missing);
  EXPECT_EQ(recorded.y.size(), 60U);
  const Series computed = learning_rates(
      sample_run({.settings = {{"schedule", "linear:0=1,40=0"}, {"lr", 0.5}, {"warmup", 0}}}).history,
      missing);
  ASSERT_EQ(computed.y.size(), 60U);
  EXPECT_EQ(computed.y[0], 0.5);
  EXPECT_EQ(computed.y[20], 0.25);
  EXPECT_EQ(computed.y[50], 0);
  EXPECT_TRUE(missing.empty());
  EXPECT_TRUE(
      learning_rates(sample_run({.settings = {{"schedule", "sometimes"}}}).history, missing).y.empty());
  EXPECT_THAT(missing, ElementsAre(HasSubstr("were not recorded")));
}

TEST(LearningRates, AreUnknownBeforeASettingWasChanged) {
  std::vector<Json> records = sample_records({});
  records[0]["changes"] = Json::array({{{"step", 40}, {"setting", "lr"}, {"from", 0.1}, {"to", 0.2}}});
  std::vector<std::string> missing;
  const Series series = learning_rates(history_of(lines_of(records)), missing);
  ASSERT_EQ(series.x.size(), 20U);
  EXPECT_EQ(series.x.front(), 40);
  EXPECT_THAT(missing, ElementsAre(HasSubstr("before step 40")));
}

TEST(Smoothed, IsAMeanWithoutItsStartsBias) {
  EXPECT_THAT(smoothed({2, 2, 2}, 10), ::testing::Each(::testing::DoubleEq(2)));
  EXPECT_NEAR(smoothed({0, 1}, 2).at(1), 2.0 / 3, 1e-12);
  const auto gap = smoothed({NAN, 4, NAN}, 5);
  EXPECT_TRUE(std::isnan(gap[0]));
  EXPECT_DOUBLE_EQ(gap[2], 4);
}

TEST(ShellWord, IsTakenAsItIs) {
  EXPECT_EQ(shell_word("conv20x5,bn"), "conv20x5,bn");
  EXPECT_EQ(shell_word("a b$`"), "'a b$`'");
  EXPECT_EQ(shell_word("it's"), R"('it'\''s')");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(CommandOf, NamesWhatDiffersFromTheDefaults) {
  RunHistory history = sample_run({.settings = {{"network", "res(conv4x3),fc10"},
                                                {"nesterov", true},
                                                {"record", ""},
                                                {"valid", 0.1},
                                                {"momentum", 0}}})
                           .history;
  EXPECT_EQ(command_of(history, {{"epochs", 3},
                                 {"nesterov", false},
                                 {"data", ""},
                                 {"steps", 0},
                                 {"batch-size", 256},
                                 {"lr", 0.2},
                                 {"seed", 0},
                                 {"schedule", "constant"},
                                 {"schedule-steps", 0},
                                 {"warmup", 0},
                                 {"momentum", 0}}),
            "bntrain train --network 'res(conv4x3),fc10' --out run --nesterov --valid 0.1");
  history.start = Json::object();
  EXPECT_EQ(command_of(history, {}), "");
}

}  // namespace
}  // namespace bntrain::report::test
