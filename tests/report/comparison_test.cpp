// Several runs over each other, learning rates, commands.
#include "report/comparison.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/run_charts.hpp"
#include "report/run_groups.hpp"
#include "report/run_words.hpp"
#include "report/sample_run.hpp"

namespace bntrain::report::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

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

TEST(Comparison, GroupsByWhatChangesTheTraining) {
  std::vector<RecordedRun> runs = bench_runs();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    Json& config = runs[i].history.start["config"];
    config["threads"] = i % 3;
    config["device"] = i % 2 == 0 ? "cpu" : "cuda";
    for (const char* written : {"save-every", "log-every", "eval-every", "keep", "record"})
      config[written] = i;
    config["momentum"] = i < 8 ? Json("") : Json(0.9);
  }
  const std::vector<std::string> differing = differing_settings(runs);
  EXPECT_THAT(differing, ElementsAre("lr", "seed", "threads", "device", "momentum"));
  const std::vector<RunGroup> groups = groups_of(runs, differing);
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[0].name, "lr 0.1, momentum –");
  EXPECT_EQ(groups[2].name, "lr 0.5, momentum 0.9");
  EXPECT_THAT(comparison_page("bench", runs),
              HasSubstr("<td>0.1<td>0, 1, 2, 3<td>0, 1, 2<td>cpu, cuda<td>–"));
}

TEST(Comparison, ShowsResultsBeforeSettingsAndBreaksLongOnes) {
  std::string network = "conv20x5";
  for (int i = 0; i < 60; ++i) network += ",conv" + std::to_string(i) + "x3";
  const std::string page = comparison_page(
      "two", {with({}, "a"), with({{"network", network}, {"data", std::string(40, 'd')}}, "b")});
  EXPECT_THAT(page,
              HasSubstr("<th scope=\"col\">images a second<th scope=\"col\">data<th scope=\"col\">network"));
  EXPECT_THAT(page, HasSubstr("<td class=\"long\">" + std::string(40, 'd') + "<td class=\"long\" title=\"" +
                              network + "\">conv20x5,conv0x3,"));
  EXPECT_THAT(page, HasSubstr("<td>lenet-bn"));
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

TEST(Comparison, TheLossOfARunThatDivergedHasFewDigits) {
  std::vector<RecordedRun> runs = {with({{"lr", 1e30}}, "far"), with({{"lr", 0.1}}, "near")};
  runs[0].history.epochs.back().train_loss = 4.62987304783e29;
  runs[1].history.epochs.back().train_loss = 0.25;
  const std::string page = comparison_page("two", runs);
  EXPECT_THAT(page, AllOf(HasSubstr("<td>4.63e+29<td>"), HasSubstr("<td>0.2500<td>")));
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

TEST(LearningRates, BeforeOneWasChangedAreThoseOfTheOneBefore) {
  std::vector<Json> records = sample_records({.settings = {{"schedule", "linear:0=1,60=0"}}});
  records[0]["changes"] = Json::array({{{"step", 15}, {"setting", "lr"}, {"from", 0.6}, {"to", 1.2}},
                                       {{"step", 30}, {"setting", "momentum"}, {"from", 0.5}, {"to", 0.9}},
                                       {{"step", 45}, {"setting", "lr"}, {"from", 1.2}, {"to", 0.2}}});
  std::vector<std::string> missing;
  const Series series = learning_rates(history_of(lines_of(records)), missing);
  ASSERT_EQ(series.x.size(), 60U);
  EXPECT_DOUBLE_EQ(series.y[0], 0.6);
  EXPECT_DOUBLE_EQ(series.y[14], 0.6 * 46 / 60);
  EXPECT_DOUBLE_EQ(series.y[15], 1.2 * 45 / 60);
  EXPECT_DOUBLE_EQ(series.y[45], 0.2 * 15 / 60);
  EXPECT_THAT(missing, ElementsAre());
}

TEST(LearningRates, AreUnknownBeforeTheScheduleWasChanged) {
  std::vector<Json> records = sample_records({});
  records[0]["changes"] =
      Json::array({{{"step", 40}, {"setting", "schedule"}, {"from", "cosine"}, {"to", "constant"}}});
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
