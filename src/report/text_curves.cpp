#include "report/text_curves.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "core/number_text.hpp"
#include "report/run_words.hpp"
#include "report/terminal_text.hpp"

namespace bntrain::report {
namespace {

constexpr std::size_t height = 5;        // of a panel's curve
constexpr std::size_t least_width = 30;  // of a panel
constexpr std::size_t gap = 2;           // between panels

struct Scale {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();

  void take(const std::vector<double>& values) {
    for (const double value : values) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  bool empty() const { return low > high; }
  /// From 0 at the low end to 1 at the high one. Halves, because the whole may be no finite number.
  double part(double value) const {
    const double span = high / 2 - low / 2;
    return span > 0 ? std::clamp((value / 2 - low / 2) / span, 0.0, 1.0) : 0.5;
  }
};

/// Dots of 2 x 4 a character, U+2800 and the bits of its dots.
class Dots {
 public:
  explicit Dots(std::size_t columns) : columns_(columns), bits_(columns * height, 0) {}

  /// From 0 to 1, from the left and from below.
  void line(double x0, double y0, double x1, double y1) {
    const double wide = static_cast<double>(2 * columns_ - 1), high = static_cast<double>(4 * height - 1);
    const auto steps = static_cast<int>(std::max(std::abs(x1 - x0) * wide, std::abs(y1 - y0) * high)) + 1;
    for (int i = 0; i <= steps; ++i) {
      const double part = static_cast<double>(i) / steps;
      set(static_cast<std::size_t>(std::lround((x0 + (x1 - x0) * part) * wide)),
          static_cast<std::size_t>(std::lround((1 - y0 - (y1 - y0) * part) * high)));
    }
  }

  std::string row(std::size_t number) const {
    std::string text;
    for (std::size_t column = 0; column < columns_; ++column) {
      const unsigned code = 0x2800U + bits_[number * columns_ + column];
      text += {static_cast<char>(0xE0U | (code >> 12)), static_cast<char>(0x80U | ((code >> 6) & 0x3FU)),
               static_cast<char>(0x80U | (code & 0x3FU))};
    }
    return text;
  }

 private:
  void set(std::size_t x, std::size_t y) {
    constexpr std::array<std::array<unsigned, 2>, 4> dots = {
        {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}};
    bits_[y / 4 * columns_ + x / 2] |= dots[y % 4][x % 2];
  }

  std::size_t columns_;
  std::vector<unsigned> bits_;
};

Dots dots_of(const Panel& panel, std::size_t columns, const Scale& scale) {
  Dots dots(columns);
  Scale across;
  across.take(panel.x);
  std::pair<double, double> before{std::nan(""), 0};
  for (std::size_t i = 0; i < panel.y.size(); ++i) {
    if (!std::isfinite(panel.y[i])) continue;
    const std::pair<double, double> point{across.high > across.low ? across.part(panel.x[i]) : 0,
                                          scale.part(panel.y[i])};
    if (std::isnan(before.first)) before = point;
    dots.line(before.first, before.second, point.first, point.second);
    before = point;
  }
  return dots;
}

std::string short_text(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : "-";
}

/// The lines of a panel, all of that many columns.
std::vector<std::string> lines_of(const Panel& panel, std::size_t width, const Scale& scale) {
  const std::string high = short_text(scale.high), low = short_text(scale.low);
  const std::size_t margin = std::max(high.size(), low.size());
  std::string title = panel.title;
  if (!panel.name.empty())
    title += ": " + shortened(panel.name, width - std::min(width, columns_of(title) + 2));
  std::vector<std::string> lines{fitted(title, width)};
  const Dots dots = dots_of(panel, width - margin - 2, scale);
  for (std::size_t row = 0; row < height; ++row) {
    std::string label;
    if (high == low)
      label = row == height / 2 ? high : "";
    else
      label = row == 0 ? high : row + 1 == height ? low : "";
    lines.push_back(std::string(margin - label.size(), ' ') + label + (label.empty() ? " │" : " ┤") +
                    dots.row(row));
  }
  lines.push_back(fitted(panel.note, width));
  return lines;
}

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
  Panel panel{.title = title, .x = {}, .y = {}, .note = "nothing recorded", .name = plain(run.name)};
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

std::string draw_panels(const std::vector<Panel>& panels, std::size_t width) {
  Scale scale;
  for (const Panel& panel : panels) scale.take(panel.y);
  std::string text;
  if (panels.empty() || scale.empty()) return text;
  const std::size_t across = std::clamp<std::size_t>((width + gap) / (least_width + gap), 1, panels.size());
  const std::size_t each = std::max<std::size_t>((width + gap) / across - gap, 16);
  for (std::size_t first = 0; first < panels.size(); first += across) {
    std::vector<std::vector<std::string>> beside;
    for (std::size_t i = first; i < std::min(first + across, panels.size()); ++i)
      beside.push_back(lines_of(panels[i], each, scale));
    for (std::size_t line = 0; line < beside.front().size(); ++line) {
      std::string whole;
      for (const auto& lines : beside) whole += (whole.empty() ? "" : std::string(gap, ' ')) + lines[line];
      text += whole.substr(0, whole.find_last_not_of(' ') + 1) + "\n";
    }
  }
  return text;
}

std::string text_report(const std::vector<RecordedRun>& runs, std::size_t width) {
  std::string text;
  for (const RecordedRun& run : runs) {
    text += plain(run.history.name) + ": " + state_sentence(run) + no_curves(run.history) + "\n";
    for (const SettingChange& change : changes_of(run.history))
      text += fmt::format("  changed at step {}: {} from {} to {}\n", change.step, change.setting,
                          change.from, change.to);
  }
  for (const auto& [what, train, evaluated] :
       {std::tuple<std::string, Value, Value>{"loss", &EpochPoint::train_loss, &EpochPoint::loss},
        {"accuracy", &EpochPoint::train_accuracy, &EpochPoint::accuracy}}) {
    std::vector<Panel> train_panels, evaluated_panels;
    for (const RecordedRun& run : runs) {
      train_panels.push_back(panel_of(run.history, "train " + what, train, what == "loss"));
      evaluated_panels.push_back(
          panel_of(run.history, run.history.evaluated + " " + what, evaluated, what == "loss"));
    }
    if (runs.size() == 1) {
      train_panels.front().name.clear();
      evaluated_panels.front().name.clear();
      train_panels.push_back(evaluated_panels.front());
      evaluated_panels.clear();
    }
    for (const auto& panels : {train_panels, evaluated_panels}) {
      const std::string drawn = draw_panels(panels, width);
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
