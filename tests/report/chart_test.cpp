// Charts: what is left of long series, and what a script and a reader without one are told.
#include "report/chart.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "train/records.hpp"

namespace bntrain::report {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) ++found;
  return found;
}

TEST(Thinned, KeepsEveryValueThatFits) {
  EXPECT_THAT(thinned({3, 1, 2}, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(evenly(3, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(evenly(101, 5), ElementsAre(0, 25, 50, 75, 100));
  EXPECT_THAT(evenly(0, 5), ElementsAre());
}

TEST(Thinned, LosesNoSpike) {
  std::vector<double> values(100'000, 1.0);
  values[31'415] = 50;
  values[77'777] = -50;
  values[500] = nan;
  const std::vector<std::size_t> kept = thinned(values, 200);
  EXPECT_LE(kept.size(), 200U);
  EXPECT_TRUE(std::ranges::is_sorted(kept));
  EXPECT_EQ(std::ranges::adjacent_find(kept), kept.end()) << "none is kept twice";
  EXPECT_EQ(kept.front(), 0U);
  EXPECT_EQ(kept.back(), 99'999U);
  EXPECT_TRUE(std::ranges::binary_search(kept, 31'415U));
  EXPECT_TRUE(std::ranges::binary_search(kept, 77'777U));
}

TEST(Thinned, TakesSeriesWithoutAnyFiniteValue) {
  EXPECT_LE(thinned(std::vector<double>(1000, nan), 100).size(), 100U);
}

Chart sample_chart() {
  return {.id = "loss",
          .title = "Loss <b>",
          .x_label = "step",
          .y_label = "loss",
          .series = {{.name = "</script><script>alert(1)", .x = {0, 1, 2}, .y = {2, nan, 0.123456789}},
                     {.name = "band",
                      .x = {0, 1, 2},
                      .y = {3, 3, 3},
                      .low = {1, 1, 1},
                      .color = 1,
                      .look = Look::band}},
          .marks = {{1, "diverged"}}};
}

TEST(ChartJson, IsWhatTheScriptReads) {
  const Json chart = Json::parse(chart_json(sample_chart(), {}));
  EXPECT_EQ(chart["id"], "loss");
  EXPECT_EQ(chart["log"], false);
  ASSERT_EQ(chart["series"].size(), 2U);
  EXPECT_EQ(chart["series"][0]["name"], "</script><script>alert(1)");
  EXPECT_EQ(chart["series"][0]["look"], "line");
  EXPECT_EQ(chart["series"][0]["x"], Json({0, 1, 2}));
  EXPECT_EQ(chart["series"][0]["y"], Json({2, nullptr, 0.12346}));
  EXPECT_TRUE(chart["series"][1]["x"].is_null()) << "that of the series before";
  EXPECT_EQ(chart["series"][1]["low"], Json({1, 1, 1}));
  EXPECT_EQ(chart["marks"][0]["text"], "diverged");
}

TEST(ChartJson, IsShortHoweverLongTheSeriesAre) {
  Chart chart = sample_chart();
  for (Series& series : chart.series) {
    series.x.clear();
    series.y.assign(1'000'000, 0.123456);
    for (std::size_t i = 0; i < series.y.size(); ++i) series.x.push_back(1e11 + static_cast<double>(i));
    if (!series.low.empty()) series.low = series.y;
  }
  const std::string json = chart_json(chart, {.points = 100, .rows = 10});
  EXPECT_LT(json.size(), 10'000U);
  EXPECT_EQ(Json::parse(json)["series"][0]["x"].back(), 100'000'999'999) << "steps are not rounded";
  const std::string html = chart_html(chart, {.points = 100, .rows = 10});
  EXPECT_THAT(html, HasSubstr("thinned to 100 points"));
  EXPECT_THAT(html, HasSubstr("10 of 1,000,000 rows"));
  EXPECT_EQ(count(html, "<tr>"), 11U) << "with the heading";
}

TEST(ChartHtml, HasATextAlternativeAndATableOfEveryValue) {
  const std::string html = chart_html(sample_chart(), {});
  EXPECT_THAT(html, HasSubstr("<canvas id=\"loss\" role=\"img\" aria-label=\"Loss &lt;b&gt;: loss by step"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">1<td>–<td>1 to\n3"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">2<td>0.123457<td>1 to\n3"));
  EXPECT_THAT(html, HasSubstr("&lt;/script&gt;"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("thinned")));
}

TEST(ChartHtml, SeriesOfOtherPlacesShareATable) {
  const Chart chart{
      .id = "a",
      .title = "a",
      .x_label = "step",
      .y_label = "y",
      .series = {{.name = "every", .x = {0, 1, 2}, .y = {5, 6, 7}}, {.name = "some", .x = {1}, .y = {9}}}};
  const std::string html = chart_html(chart, {});
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">0<td>5<td>\n"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">1<td>6<td>9\n"));
}

TEST(ScaleBySpan, LeavesOutZerosWhichAreGapsOfALogarithmicAxis) {
  Chart chart = sample_chart();
  chart.series[0].y = {0, 0.01, nan};
  chart.from_zero = true;
  scale_by_span(chart, 1000);
  EXPECT_FALSE(chart.logarithmic);
  EXPECT_TRUE(chart.from_zero);
  scale_by_span(chart, 100);
  EXPECT_TRUE(chart.logarithmic);
  EXPECT_FALSE(chart.from_zero);
  EXPECT_EQ(Json::parse(chart_json(chart, {}))["series"][0]["y"], Json({nullptr, 0.01, nullptr}));
  EXPECT_THAT(chart_html(chart, {}), HasSubstr("<th scope=\"row\">0<td>0<td>1 to\n3"))
      << "the table has them";
  chart.series[1].low[2] = -1;
  chart.logarithmic = false;
  scale_by_span(chart, 100);
  EXPECT_FALSE(chart.logarithmic);
  Chart zeros = sample_chart();
  zeros.series = {{.name = "zeros", .x = {0}, .y = {0}}};
  scale_by_span(zeros, 100);
  EXPECT_FALSE(zeros.logarithmic);
}

TEST(HasValues, IsFalseWhereNothingCanBeDrawn) {
  EXPECT_FALSE(has_values({.id = "a",
                           .title = "",
                           .x_label = "",
                           .y_label = "",
                           .series = {{.name = "", .x = {1}, .y = {nan}}}}));
  EXPECT_TRUE(has_values(sample_chart()));
}

}  // namespace
}  // namespace bntrain::report
