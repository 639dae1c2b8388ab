#include "report/text_curves.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/number_text.hpp"
#include "report/panels.hpp"
#include "report/run_words.hpp"
#include "report/terminal_text.hpp"

namespace bntrain::report {
namespace {

using Value = double EpochPoint::*;

/// Why the run has none; "" where it has.
std::string no_curves(const RunHistory& run) {
  if (run.epochs.empty()) return " No epoch has ended, so there are no curves of it.";
  const bool any = std::ranges::any_of(run.epochs, [](const EpochPoint& epoch) {
    return std::ranges::any_of(std::array{epoch.train_loss, epoch.train_accuracy, epoch.loss, epoch.accuracy},
                               [](double value) { return std::isfinite(value); });
  });
  return any ? "" : " None of its losses and accuracies is finite, so there are no curves of it.";
}

Panel panel_of(const RunHistory& run, const std::string& title, Value member, bool smallest_is_best) {
  const bool recorded = title.starts_with("train") || std::ranges::any_of(run.epochs, was_evaluated);
  Panel panel{.title = title,
              .x = {},
              .y = {},
              .note = recorded ? "not finite" : "nothing recorded",
              .name = plain(run.name)};
  const EpochPoint* best = nullptr;
  for (const EpochPoint& epoch : run.epochs) {
    const double value = epoch.*member;
    panel.x.push_back(static_cast<double>(epoch.epoch));
    panel.y.push_back(value);
    if (std::isfinite(value) &&
        (best == nullptr || (smallest_is_best ? value < best->*member : value > best->*member)))
      best = &epoch;
  }
  if (best != nullptr)
    panel.note = fmt::format("best {} (epoch {}), last {}", short_text(best->*member), best->epoch,
                             short_text(run.epochs.back().*member));
  return panel;
}

std::string cell(double value) {
  return std::isfinite(value) ? fmt::format("{:.6g}", value) : "-";
}

std::string csv_text(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char letter : text) quoted += letter == '"' ? std::string("\"\"") : std::string(1, letter);
  return quoted + "\"";
}

std::string csv_number(double value) {
  return std::isfinite(value) ? shortest_text(value) : "";
}

}  // namespace

std::string text_report(const std::vector<RecordedRun>& runs, std::size_t width) {
  std::string text;
  for (const RecordedRun& run : runs) {
    text +=
        wrapped_text(plain(run.history.name) + ": " + state_sentence(run) + no_curves(run.history), width);
    for (const SettingChange& change : changes_of(run.history))
      text += wrapped_text(fmt::format("  changed at step {}: {} from {} to {}", change.step, change.setting,
                                       change.from, change.to),
                           width);
  }
  for (const auto& [what, train, evaluated] :
       {std::tuple<std::string, Value, Value>{"loss", &EpochPoint::train_loss, &EpochPoint::loss},
        {"accuracy", &EpochPoint::train_accuracy, &EpochPoint::accuracy}}) {
    std::vector<Panel> train_panels, evaluated_panels;
    for (const RecordedRun& run : runs) {
      if (!no_curves(run.history).empty()) continue;
      train_panels.push_back(panel_of(run.history, "train " + what, train, what == "loss"));
      evaluated_panels.push_back(
          panel_of(run.history, run.history.evaluated + " " + what, evaluated, what == "loss"));
    }
    if (runs.size() == 1 && !train_panels.empty()) {
      train_panels.front().name.clear();
      evaluated_panels.front().name.clear();
      train_panels.push_back(evaluated_panels.front());
      evaluated_panels.clear();
    }
    for (const auto& panels : {train_panels, evaluated_panels}) {
      const std::string drawn = draw_panels(panels, width, what == "loss");
      if (!drawn.empty()) text += "\n" + drawn;
    }
  }
  return text;
}

std::string epoch_table(const std::vector<RecordedRun>& runs) {
  std::vector<std::vector<std::string>> rows{
      {"run", "epoch", "steps", "train_loss", "train_acc", "eval_loss", "eval_acc", "images/s"}};
  const bool one_set = std::ranges::all_of(
      runs, [&](const RecordedRun& run) { return run.history.evaluated == runs.front().history.evaluated; });
  if (one_set) {
    rows[0][5] = runs.front().history.evaluated + "_loss";
    rows[0][6] = runs.front().history.evaluated + "_acc";
  } else {
    rows[0].emplace_back("eval_set");
  }
  for (const RecordedRun& run : runs) {
    for (const EpochPoint& epoch : run.history.epochs) {
      rows.push_back(
          {plain(run.history.name), std::to_string(epoch.epoch), std::to_string(epoch.step),
           cell(epoch.train_loss), cell(epoch.train_accuracy), cell(epoch.loss), cell(epoch.accuracy),
           std::isfinite(epoch.images_per_second) ? fmt::format("{:.0f}", epoch.images_per_second) : "-"});
      if (!one_set) rows.back().push_back(run.history.evaluated);
    }
  }
  std::vector<std::size_t> widths(rows[0].size(), 0);
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      text += i == 0 ? fmt::format("{:<{}}", row[i], widths[i]) : fmt::format("  {:>{}}", row[i], widths[i]);
    text += "\n";
  }
  return text;
}

std::string csv(const std::vector<RecordedRun>& runs) {
  std::string text =
      "run,event,epoch,step,lr,train_loss,train_accuracy,test_loss,test_accuracy,valid_loss,valid_accuracy,"
      "seconds,"
      "images_per_second\n";
  for (const RecordedRun& run : runs) {
    const RunHistory& history = run.history;
    const std::string name = csv_text(history.name);
    const auto evaluated = [&](double loss, double accuracy) {
      const std::string both = csv_number(loss) + "," + csv_number(accuracy);
      return history.evaluated == "valid" ? ",," + both : both + ",,";
    };
    for (const StepPoint& step : history.steps)
      text += fmt::format("{},step,,{},{},{},{},,,,,,\n", name, step.step, csv_number(step.lr),
                          csv_number(step.loss), csv_number(step.accuracy));
    for (const EvaluationPoint& point : history.evaluations)
      text +=
          fmt::format("{},evaluation,,{},,,,{},,\n", name, point.step, evaluated(point.loss, point.accuracy));
    for (const EpochPoint& epoch : history.epochs)
      text += fmt::format("{},epoch,{},{},,{},{},{},{},{}\n", name, epoch.epoch, epoch.step,
                          csv_number(epoch.train_loss), csv_number(epoch.train_accuracy),
                          evaluated(epoch.loss, epoch.accuracy), csv_number(epoch.seconds),
                          csv_number(epoch.images_per_second));
    // With validation, the test set once at the end.
    if (const double accuracy = number_in(history.end, "test_accuracy"); std::isfinite(accuracy))
      text += fmt::format("{},end,,{},,,,{},{},,,,\n", name, history.last_step(),
                          csv_number(number_in(history.end, "test_loss")), csv_number(accuracy));
  }
  return text;
}

}  // namespace bntrain::report
