// The page of a run: what is on it, that data stay data, and that it stays small.
#include "report/run_page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>

#include "formats/safetensors.hpp"
#include "report/comparison.hpp"
#include "report/page_files.hpp"
#include "report/sample_run.hpp"
#include "report/text_curves.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain::report::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::size_t most_bytes = 2'000'000;

EvaluationDetails sample_evaluation(std::size_t classes = 3) {
  EvaluationDetails details{.epoch = 2, .step = 60, .images = "test", .count = 100};
  for (std::size_t i = 0; i < classes; ++i) {
    details.classes.push_back("class " + std::to_string(i));
    details.confusion.emplace_back(classes, 1).at(i) = 30;
  }
  details.mistakes.push_back({.index = 77,
                              .label = 0,
                              .predicted = 2,
                              .probability = 0.875,
                              .label_probability = 0.0625,
                              .png = "iVBORw0K"});
  return details;
}

std::string page_of(const RecordedRun& run, const std::optional<EvaluationDetails>& evaluation = {},
                    const Json& defaults = Json::object()) {
  return run_page(run, evaluation, {}, defaults, "2026-01-02 03:04:05 UTC");
}

/// The JSON that the script reads.
Json charts_of(const std::string& page) {
  const std::string begin = "id=\"charts\">";
  const std::size_t at = page.find(begin) + begin.size();
  return Json::parse(page.substr(at, page.find("</script>", at) - at));
}

TEST(RunPage, SaysEverythingOfTheRun) {
  const std::string page = page_of(sample_run({.steps = true, .norms = 1}), sample_evaluation(),
                                   {{"epochs", 5},
                                    {"lr", 0.2},
                                    {"network", "lenet-bn"},
                                    {"data", ""},
                                    {"batch-size", 256},
                                    {"schedule", "constant"},
                                    {"schedule-steps", 0},
                                    {"warmup", 0},
                                    {"seed", 0},
                                    {"steps", 0},
                                    {"out", ""}});
  EXPECT_THAT(page, StartsWith("<!DOCTYPE html>"));
  for (const char* words :
       {"Training ended after 60 steps.", "<pre>bntrain train --epochs 3 --out run</pre>", "CPU, 2 threads",
        "Invented Processor", "Fashion-MNIST from /data", "60,000 to train, 10,000 to test",
        "best test accuracy<dd>0.7333", "7.5 s", "30,000", "epochs<dd>3 <small>of 3",
        // network
        "conv20x5<td>(20, 24, 24)<td>520", "29,370",
        // evaluation
        "<td class=\"right deep\" style=\"--p:0.94\" title=\"class 0 as class 0\">30", "0.9375", "image 77",
        "src=\"data:image/png;base64,iVBORw0K\""})
    EXPECT_THAT(page, HasSubstr(words));
  std::vector<std::string> ids;
  for (const Json& chart : charts_of(page)) ids.push_back(chart["id"]);
  EXPECT_THAT(ids, ::testing::ElementsAre("loss-by-epoch", "accuracy-by-epoch", "loss-by-step",
                                          "accuracy-by-step", "learning-rate", "speed", "norm-0-input",
                                          "norm-0-mean", "norm-0-var", "norm-0-affine", "norm-0-gradients"));
}

TEST(RunPage, NothingCanBeFetchedAndNoForeignScriptRuns) {
  const std::string page = page_of(sample_run());
  EXPECT_THAT(page,
              HasSubstr("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-"));
  EXPECT_THAT(page, Not(HasSubstr("script-src 'unsafe")));
  const std::regex address(R"re((src|href|action|data|url)\s*[=(]\s*["']?(?!data:|#)(https?:)?//)re");
  const std::string own = page.substr(0, page.find("<!--\n"));
  EXPECT_FALSE(std::regex_search(own, address));
  if (!chart_library.empty()) {
    EXPECT_THAT(page, HasSubstr("Permission is hereby granted"));
  }
}

TEST(RunPage, DataAreText) {
  const std::string nasty = "</script><script>alert('1')</script><!-- & \"";
  std::vector<Json> records = sample_records({.norms = 1, .settings = {{"data", nasty}, {nasty, nasty}}});
  for (const char* name : {"backend", "variant", "processor", "network"}) records[0][name] = nasty;
  records[0]["dataset"]["name"] = records[0]["dataset"]["source"] = nasty;
  records[0]["versions"] = {{"bntrain", nasty}, {"compiler", nasty}};
  records[0]["changes"] = Json::array({{{"step", 3}, {"setting", nasty}}});
  records[1]["layer"] = nasty;
  records.back() = {{"event", "end"},
                    {"status", "diverged"},
                    {"steps", 9},
                    {"divergence", {{"step", 9}, {"epoch", 0}, {"lr", 1}, {"layer", nasty}}}};
  RecordedRun run{.history = history_of(lines_of(records), nasty), .folder = nasty};
  run.state = RunState::diverged;
  EvaluationDetails evaluation = sample_evaluation();
  evaluation.classes[1] = nasty;
  const std::string page = page_of(run, evaluation);
  const auto count = [&](const std::string& word) {
    std::size_t found = 0;
    for (std::size_t at = 0; (at = page.find(word, at)) != std::string::npos; ++at) ++found;
    return found;
  };
  EXPECT_EQ(count("<script"), chart_library.empty() ? 0U : 3U);
  EXPECT_EQ(count("</script"), chart_library.empty() ? 0U : 3U);
  EXPECT_EQ(count("<!--"), chart_library.empty() ? 1U : 2U) << "the mark and the licence";
  EXPECT_EQ(count("alert('1')"), chart_library.empty() ? 0U : 1U) << "in the JSON alone";
  EXPECT_GT(count("&lt;/script&gt;&lt;script&gt;alert(&#39;1&#39;)"), 10U);
}

TEST(RunPage, AHundredEpochsFitInTwoMegabytes) {
  const std::string page =
      page_of(sample_run({.epochs = 100, .steps_per_epoch = 235, .steps = true, .norms = 2, .channels = 2}),
              sample_evaluation(100));
  EXPECT_LT(page.size(), most_bytes);
  EXPECT_THAT(page, HasSubstr("thinned"));
  EXPECT_THAT(page, HasSubstr("Confusion matrix of 100 classes"));
}

TEST(RunPage, CellsOfALargeMatrixSayWhatTheyAre) {
  EvaluationDetails evaluation = sample_evaluation(26);
  evaluation.classes[1] = "<b>";
  evaluation.confusion[3][1] = 7;
  evaluation.confusion[2][1] = 0;
  EXPECT_THAT(page_of(sample_run(), evaluation),
              AllOf(HasSubstr("<path d=\"M1 3h1v1h-1z\"><title>class 3 → &lt;b&gt;: 7</title></path>"),
                    Not(HasSubstr("M1 2h1")), HasSubstr(">predicted</text>"), HasSubstr(">label</text>")));
  EXPECT_LT(page_of(sample_run(), sample_evaluation(200)).size(), most_bytes) << "too many cells for titles";
}

TEST(RunPage, LongNamesOfClassesAreBrokenAndCut) {
  EvaluationDetails evaluation = sample_evaluation();
  const std::string name = std::string(75, 'x') + std::string(75, 'y');
  evaluation.classes[1] = name;
  const std::string page = page_of(sample_run(), evaluation);
  const auto cut = [](std::size_t left, std::size_t right) {
    return std::string(left, 'x') + "…" + std::string(right, 'y');
  };
  EXPECT_THAT(page, HasSubstr("<th scope=\"col\" title=\"" + name + "\"><span>" + cut(7, 7) + "</span>"));
  EXPECT_THAT(page,
              HasSubstr("<th scope=\"row\" class=\"long\" title=\"" + name + "\">" + cut(24, 23) + "<td"));
  EXPECT_THAT(page, HasSubstr("<th scope=\"row\" class=\"long\">" + name + "<td>")) << "of the scores";
}

TEST(RunPage, TablesOfManyClassesAreFolded) {
  const std::string few = page_of(sample_run(), sample_evaluation(25)),
                    many = page_of(sample_run(), sample_evaluation(26));
  for (const char* summary :
       {"<summary>The commonest mistakes</summary><div", "<summary>All 26 classes</summary><div"}) {
    EXPECT_THAT(few, Not(HasSubstr(summary)));
    EXPECT_THAT(many, HasSubstr(summary));
  }
}

TEST(RunPage, IsUtf8WhateverNamesAre) {
  const std::string odd = "\xff\xc3 ü";
  std::vector<Json> records = sample_records({.norms = 1});
  RecordedRun run{.history = history_of(lines_of(records), odd), .folder = odd};
  run.history.start["config"]["data"] = odd;
  run.history.norms[0].layer = odd;
  EvaluationDetails evaluation = sample_evaluation();
  evaluation.classes[1] = odd;
  for (const std::string& page : {page_of(run, evaluation), comparison_page(odd, {run, run}, {odd})}) {
    EXPECT_EQ(valid_utf8(page), page);
    EXPECT_THAT(page, HasSubstr("\xEF\xBF\xBD\xEF\xBF\xBD ü"));
  }
}

TEST(RunPage, SoDoManyLayers) {
  const std::string page = page_of(
      sample_run({.epochs = 20, .steps_per_epoch = 235, .norms = 30, .channels = 1, .activations = true}));
  EXPECT_LT(page.size(), most_bytes);
  EXPECT_THAT(page, HasSubstr("Of 30 layers 24 are shown"));
  EXPECT_THAT(page, AllOf(HasSubstr("Layer 0 bn"), HasSubstr("Layer 29 bn")));
}

TEST(RunPage, ShowsWhereItDiverged) {
  RecordedRun run = sample_run({.epochs = 1, .steps = true, .norms = 1, .ended = false});
  run.history.add(
      {{"event", "end"},
       {"status", "diverged"},
       {"steps", 15},
       {"divergence", {{"epoch", 0}, {"step", 15}, {"lr", 0.2}, {"layer", "3 conv50x3 (output)"}}}});
  run.state = RunState::diverged;
  EXPECT_THAT(page_of(run),
              AllOf(HasSubstr("In epoch 0, at step 15 with a learning rate of 0.2, the loss was not finite. "
                              "First non-finite layer: 3 conv50x3 (output)."),
                    HasSubstr("<th scope=\"row\">5<td>2.28366<td>0.5<td>0.2"),
                    HasSubstr("<th scope=\"row\">0 bn<td>10<td>"),
                    Not(HasSubstr("<th scope=\"row\">16<td>1.04234<td>0.5<td>0.2\n</table></div>\n<div"))));
  run.history.end["divergence"]["last_steps"] =
      Json::array({{{"step", 14}, {"loss", 77}, {"accuracy", 0}, {"lr", 0.5}}});
  EXPECT_THAT(page_of(run), HasSubstr("<th scope=\"row\">14<td>77<td>0<td>0.5"));
}

TEST(RunPage, OnlyARunThatGoesOnHasATime) {
  RecordedRun run = sample_run({.ended = false});
  run.state = RunState::going_on;
  EXPECT_THAT(page_of(run), HasSubstr("Training goes on: 60 steps were recorded when this page was written. "
                                      "Reload it for the present state. Written 2026-01-02 03:04:05 UTC."));
  run.state = RunState::killed;
  EXPECT_THAT(page_of(run), AllOf(HasSubstr("killed"), Not(HasSubstr("2026-01-02"))));
}

TEST(RunPage, SpeaksOfOneInTheSingular) {
  RecordedRun run = sample_run({.epochs = 1, .steps_per_epoch = 1});
  EvaluationDetails evaluation = sample_evaluation();
  evaluation.step = 1;
  EXPECT_THAT(page_of(run, evaluation),
              AllOf(HasSubstr("Training ended after 1 step."), HasSubstr("(1 step)"),
                    HasSubstr("The 1 wrongly classified image to which")));
  run.state = RunState::going_on;
  EXPECT_THAT(page_of(run), HasSubstr("1 step was recorded"));
}

TEST(RunPage, ProbabilitiesOfMistakesAreOneOnlyWhereTheyAre) {
  EvaluationDetails evaluation = sample_evaluation();
  const auto text = [&](double probability) {
    evaluation.mistakes[0].probability = probability;
    return page_of(sample_run(), evaluation);
  };
  EXPECT_THAT(text(0.99884), HasSubstr("taken for <b>class 2</b> 0.9988<br>"));
  EXPECT_THAT(text(0.999999), HasSubstr("taken for <b>class 2</b> &gt; 0.9999<br>"));
  EXPECT_THAT(text(1), HasSubstr("taken for <b>class 2</b> 1<br>"));
}

TEST(RunPage, ListsWhatWasChangedWhileItRan) {
  std::vector<Json> records = sample_records({});
  records[0]["changes"] =
      Json::array({{{"step", 40}, {"setting", "lr"}, {"from", 0.2}, {"to", 0.05}}, {{"step", "damaged"}}, 7});
  RecordedRun run{.history = history_of(lines_of(records)), .folder = {}};
  EXPECT_THAT(page_of(run), AllOf(HasSubstr("Changed while it ran"),
                                  HasSubstr("<th scope=\"row\">40<td>lr<td>0.2<td>0.05\n"),
                                  HasSubstr("<h3>Command, with the last settings</h3>")));
  EXPECT_THAT(page_of(sample_run()), AllOf(Not(HasSubstr("Changed while")), HasSubstr("<h3>Command</h3>")));
  EXPECT_THAT(text_report({run}, 80), HasSubstr("\n  changed at step 40: lr from 0.2 to 0.05\n"));
}

TEST(RunPage, OfARunWithoutAnyEpochIsThere) {
  for (const std::string& lines : {std::string(), one_line(sample_start({})) + "\n", std::string("{}\n")}) {
    RecordedRun run{.history = history_of(lines), .folder = {}};
    run.state = RunState::killed;
    EXPECT_THAT(page_of(run), AllOf(HasSubstr("killed"), HasSubstr("</html>")));
  }
}

class EvaluationFile : public ::testing::Test {
 protected:
  std::optional<EvaluationDetails> read(const Json& record) { return read_text(one_line(record)); }
  std::optional<EvaluationDetails> read_text(const std::string& text) {
    missing.clear();
    std::ofstream(folder.file("evaluation.json")) << text;
    return read_evaluation(folder.file("evaluation.json"), missing);
  }

  TemporaryFolder folder;
  std::vector<std::string> missing;
  Json good = {{"epoch", 1},
               {"step", 40},
               {"images", "valid"},
               {"count", 5},
               {"classes", {"a", "b"}},
               {"confusion", {{1, 2}, {0, 2}}},
               {"mistakes",
                {{{"index", 3},
                  {"label", 0},
                  {"predicted", 1},
                  {"probability", 0.75},
                  {"label_probability", 0.125},
                  {"png", "AA+/="}}}}};
};

TEST_F(EvaluationFile, IsReadBack) {
  const auto details = read(good);
  ASSERT_TRUE(details);
  EXPECT_EQ(details->images, "valid");
  EXPECT_EQ(details->support(0), 3);
  EXPECT_EQ(details->predicted(1), 4);
  EXPECT_EQ(details->right(1), 2);
  ASSERT_EQ(details->mistakes.size(), 1U);
  EXPECT_EQ(details->mistakes[0].png, "AA+/=");
  EXPECT_EQ(details->mistakes[0].label_probability, 0.125);
  EXPECT_TRUE(missing.empty());
}

TEST_F(EvaluationFile, ThatIsDamagedIsASentence) {
  const auto expect_damaged = [&](const std::optional<EvaluationDetails>& details, const std::string& what) {
    EXPECT_FALSE(details) << what;
    ASSERT_EQ(missing.size(), 1U) << what;
    EXPECT_THAT(missing[0], HasSubstr("evaluation.json is damaged"));
  };
  const std::string text = one_line(good);
  expect_damaged(read_text(text.substr(0, text.size() / 2)), "cut off");
  expect_damaged(read_text(""), "empty");
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, Json>>{{"classes", 3},
                                                 {"classes", Json::array()},
                                                 {"classes", {"a", "b", "c"}},
                                                 {"confusion", {{1, 2}}},
                                                 {"confusion", {{1, 2}, {0}}},
                                                 {"confusion", {{1, -2}, {0, 2}}},
                                                 {"confusion", {{1, 1e300}, {0, 2}}},
                                                 {"count", -5},
                                                 {"epoch", -1},
                                                 {"mistakes", 7},
                                                 {"mistakes", {7}},
                                                 {"mistakes", {{{"label", 2}, {"predicted", 0}}}}}) {
    Json bad = good;
    bad[name] = value;
    expect_damaged(read(bad), name + one_line(value));
  }
  EXPECT_FALSE(read_evaluation(folder.file("none.json"), missing));
  EXPECT_THAT(missing.back(), HasSubstr("the run has no evaluation.json"));
}

TEST_F(EvaluationFile, ThatIsAFolderIsASentence) {
  std::filesystem::create_directories(folder.file("evaluation.json"));
  EXPECT_FALSE(read_evaluation(folder.file("evaluation.json"), missing));
  EXPECT_THAT(missing, ::testing::ElementsAre(HasSubstr("evaluation.json is a folder")));
}

TEST_F(EvaluationFile, ThatDoesNotFitTheRecordsIsNamed) {
  RecordedRun run = sample_run();
  run.folder = folder.path();
  for (const auto& [step, fits] : {std::pair(60, true), {61, false}}) {
    good["step"] = step;
    read(good);
    const bool says =
        run_page(run, Json::object()).find("evaluation.json does not fit the records") != std::string::npos;
    EXPECT_EQ(says, !fits) << step;
  }
}

TEST_F(EvaluationFile, ThatHoldsNoPictureAddsNone) {
  Json record = good;
  record["mistakes"][0]["png"] = "\"><script>";
  EXPECT_EQ(read(record)->mistakes.at(0).png, "");
  record["mistakes"][0]["png"] = std::string(700'000, 'A');
  EXPECT_EQ(read(record)->mistakes.at(0).png, "") << "the page stays small";
}

}  // namespace
}  // namespace bntrain::report::test
