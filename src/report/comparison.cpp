#include "report/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "report/html.hpp"
#include "report/page.hpp"
#include "report/run_charts.hpp"
#include "report/run_groups.hpp"
#include "report/run_words.hpp"

namespace bntrain::report {
namespace {

constexpr int most_shown = hues;  // curves at first, each with a hue of its own
constexpr double three_decades = 1000;

/// NaN where there is none.
struct Summary {
  double mean = nan, low = nan, high = nan;
};

Summary summary_of(const std::vector<double>& values) {
  double sum = 0, low = std::numeric_limits<double>::infinity(), high = -low;
  std::size_t count = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    sum += value;
    low = std::min(low, value);
    high = std::max(high, value);
    ++count;
  }
  return count == 0 ? Summary{} : Summary{sum / static_cast<double>(count), low, high};
}

std::string text_of(const Summary& summary) {
  if (!std::isfinite(summary.mean)) return "–";
  // The loss of a run that diverges may have thirty digits.
  const auto number = [](double value) {
    return std::abs(value) < 1e4 ? fmt::format("{:.4f}", value) : fmt::format("{:.3g}", value);
  };
  if (!(summary.high > summary.low)) return number(summary.mean);
  return fmt::format("{} ({} to {})", number(summary.mean), number(summary.low), number(summary.high));
}

template <class Get>
Summary over_runs(const RunGroup& group, const Get& get) {
  std::vector<double> values;
  for (const RecordedRun* run : group.runs) values.push_back(get(run->history));
  return summary_of(values);
}

double best_accuracy(const RunHistory& run) {
  const EpochPoint* best = best_epoch(run);
  return best == nullptr ? nan : best->accuracy;
}

double last_value(const RunHistory& run, double EpochPoint::*member) {
  return run.epochs.empty() ? nan : run.epochs.back().*member;
}

/// "3 ended, 2 diverged"; of one run its state alone.
std::string states_of(const RunGroup& group) {
  std::map<RunState, int> counts;
  for (const RecordedRun* run : group.runs) ++counts[run->state];
  std::string text;
  for (const auto& [state, count] : counts)
    text += (text.empty() ? "" : ", ") + (group.runs.size() > 1 ? std::to_string(count) + " " : "") +
            to_string(state);
  return text;
}

/// Best accuracy first, so that the best have the first colors.
void rank(std::vector<RunGroup>& groups) {
  std::ranges::stable_sort(groups, std::greater<>(), [](const RunGroup& group) {
    const double best = over_runs(group, best_accuracy).mean;
    return std::isfinite(best) ? best : -1.0;
  });
}

/// Without values. The table of runs is the legend.
Series series_of(const RunGroup& group, int number) {
  return {
      .name = group.name, .x = {}, .y = {}, .color = number, .hidden = number >= most_shown, .group = number};
}

/// By epoch: a line a group, with a band where it has several runs.
Chart epoch_chart(const std::vector<RunGroup>& groups, const std::string& id, const std::string& title,
                  const std::string& y_label, double EpochPoint::*member) {
  Chart chart{.id = id, .title = title, .x_label = "epoch", .y_label = y_label};
  int number = 0;
  for (const RunGroup& group : groups) {
    std::map<double, std::vector<double>> by_epoch;
    for (const RecordedRun* run : group.runs)
      for (const EpochPoint& epoch : run->history.epochs)
        by_epoch[static_cast<double>(epoch.epoch)].push_back(epoch.*member);
    Series mean = series_of(group, number++);
    Series band = mean;
    band.name += ", smallest to largest";
    band.look = Look::band;
    for (const auto& [epoch, values] : by_epoch) {
      const Summary summary = summary_of(values);
      mean.x.push_back(epoch);
      mean.y.push_back(summary.mean);
      band.y.push_back(summary.high);
      band.low.push_back(summary.low);
    }
    band.x = mean.x;
    if (group.runs.size() > 1) chart.series.push_back(std::move(band));
    chart.series.push_back(std::move(mean));
  }
  return chart;
}

std::vector<Chart> charts_of(const std::vector<RunGroup>& groups) {
  std::vector<Chart> charts = {
      epoch_chart(groups, "evaluated-accuracy", "Accuracy of the evaluated images", "accuracy",
                  &EpochPoint::accuracy),
      epoch_chart(groups, "evaluated-loss", "Loss of the evaluated images", "loss", &EpochPoint::loss),
      epoch_chart(groups, "train-loss", "Train loss", "loss", &EpochPoint::train_loss),
      epoch_chart(groups, "train-accuracy", "Train accuracy", "accuracy", &EpochPoint::train_accuracy)};
  Chart rates{.id = "learning-rate",
              .title = "Learning rate",
              .x_label = "step",
              .y_label = "learning rate",
              .from_zero = true};
  int number = 0;
  for (const RunGroup& group : groups) {
    std::vector<std::string> ignored;
    const Series found = learning_rates(group.runs.front()->history, ignored);
    Series series = series_of(group, number++);
    series.x = found.x;
    series.y = found.y;
    rates.series.push_back(std::move(series));
  }
  charts.push_back(std::move(rates));
  // A run that explodes would flatten all others.
  for (Chart& chart : charts)
    if (chart.y_label == "loss" || chart.id == "learning-rate") scale_by_span(chart, three_decades);
  charts.push_back(
      epoch_chart(groups, "speed", "Training speed", "images a second", &EpochPoint::images_per_second));
  charts.back().from_zero = true;
  return charts;
}

/// A switch for the curves of the group, how they are drawn, and whether any of its runs diverged.
std::string legend_mark(const RunGroup& group, int number) {
  const bool diverged = std::ranges::any_of(
      group.runs, [](const RecordedRun* run) { return run->state == RunState::diverged; });
  return fmt::format(
      "<input type=\"checkbox\" data-group=\"{0}\" aria-label=\"draw\"{1}> <svg class=\"swatch\" viewBox=\"0 "
      "0 28 8\" "
      "aria-hidden=\"true\"><line x1=\"0\" y1=\"4\" x2=\"28\" y2=\"4\" stroke=\"var(--c{2})\" "
      "stroke-dasharray=\"{3}\"/></svg>{4}",
      number, number < most_shown ? " checked" : "", number % hues, dashes_of(number),
      diverged ? "<span class=\"badge bad\">diverged</span> " : "");
}

/// "test", "validation", "test, validation": what the accuracies of the group are of; "–" where it has none.
std::string evaluated_by(const RunGroup& group) {
  std::set<std::string> sets;
  for (const RecordedRun* run : group.runs)
    if (best_epoch(run->history) != nullptr)
      sets.insert(run->history.evaluated == "valid" ? "validation" : "test");
  return sets.empty() ? "–" : fmt::format("{}", fmt::join(sets, ", "));
}

/// The values that the runs of the group have, each once: "1, 2".
std::string values_of(const RunGroup& group, const std::string& setting) {
  std::vector<std::string> values;
  for (const RecordedRun* run : group.runs) {
    std::string value = run->history.setting(setting);
    if (value.empty()) value = "–";
    if (std::ranges::find(values, value) == values.end()) values.push_back(std::move(value));
  }
  return fmt::format("{}", fmt::join(values, ", "));
}

/// Results first: settings may be as long as a network.
HtmlTable run_table(const std::vector<RunGroup>& groups, const std::vector<std::string>& differing) {
  HtmlTable table{.heading = {"run", "state", "runs"}};
  std::set<std::string> sets;
  for (const RunGroup& group : groups)
    if (const std::string set = evaluated_by(group); set != "–") sets.insert(set);
  if (sets.size() > 1) table.heading.emplace_back("evaluated on");
  table.heading.insert(table.heading.end(), {"best accuracy", "last accuracy", "last train loss",
                                             "epochs done", "images a second"});
  table.heading.insert(table.heading.end(), differing.begin(), differing.end());
  for (const RunGroup& group : groups) {
    std::vector<std::string> row{group.name, states_of(group), std::to_string(group.runs.size())};
    if (sets.size() > 1) row.push_back(evaluated_by(group));
    row.push_back(text_of(over_runs(group, best_accuracy)));
    row.push_back(text_of(
        over_runs(group, [](const RunHistory& run) { return last_value(run, &EpochPoint::accuracy); })));
    row.push_back(text_of(
        over_runs(group, [](const RunHistory& run) { return last_value(run, &EpochPoint::train_loss); })));
    const Summary epochs =
        over_runs(group, [](const RunHistory& run) { return static_cast<double>(run.epochs.size()); });
    row.push_back(epochs.low < epochs.high ? fmt::format("{:.0f} to {:.0f}", epochs.low, epochs.high)
                                           : fmt::format("{:.0f}", epochs.low));
    row.push_back(rounded_text(over_runs(group, median_speed).mean));
    for (const std::string& setting : differing) row.push_back(values_of(group, setting));
    table.rows.push_back(std::move(row));
    table.marks.push_back(legend_mark(group, static_cast<int>(table.marks.size())));
  }
  return table;
}

std::string missing_note(const std::vector<RecordedRun>& runs, const std::vector<std::string>& problems) {
  std::string text;
  for (const std::string& problem : problems) text += "<li>" + escaped(problem) + ".";
  for (const RecordedRun& run : runs)
    for (const std::string& sentence : run.history.missing)
      text += "<li>" + escaped(run.history.name + ": " + sentence);
  return text.empty() ? "" : "<aside><b>What is missing</b><ul>" + text + "</ul></aside>\n";
}

}  // namespace

std::string comparison_page(const std::string& title, const std::vector<RecordedRun>& runs,
                            const std::vector<std::string>& problems) {
  const std::vector<std::string> differing = differing_settings(runs);
  std::vector<RunGroup> groups = groups_of(runs, differing);
  rank(groups);
  PageCharts charts;
  // 2 MB hold so many points of six charts.
  const ChartLimits limits{.points = std::clamp<std::size_t>(12'000 / groups.size(), 30, 1500),
                           .rows = std::clamp<std::size_t>(1'500 / groups.size(), 10, 100)};
  std::string lead = counted(static_cast<std::int64_t>(runs.size()), "run");
  if (groups.size() < runs.size())
    lead += fmt::format(
        ", those that differ in nothing but their seed, or in what does not change the training, as one "
        "curve: their mean, with a band from the smallest to the largest");
  if (groups.size() > std::size_t{most_shown})
    lead += fmt::format("; of {} curves the {} best are drawn, and the switches in the table draw the others",
                        groups.size(), most_shown);
  const std::string body =
      "<header><h1>" + escaped(title) + "</h1>\n<p class=\"lead\">" + escaped(lead) + ".</p>\n" +
      missing_note(runs, problems) +
      "</header>\n<main>\n<section><h2 id=\"runs\">Runs and where they differ</h2>\n" +
      html(run_table(groups, differing)) + "</section>\n<section><h2 id=\"curves\">Curves</h2>\n" +
      charts.add(charts_of(groups), limits) +
      "</section>\n</main>\n<footer class=\"note\">Made by bntrain " BNTRAIN_VERSION
      ". Epochs and steps are numbered from 0. <code>bntrain report RUN</code> makes the page of one "
      "run.</footer>\n";
  return page(title + " · bntrain", body, charts);
}

}  // namespace bntrain::report
