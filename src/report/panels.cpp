#include "report/panels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "report/terminal_text.hpp"

namespace bntrain::report {
namespace {

constexpr std::size_t height = 5;        // of a panel's curve
constexpr std::size_t least_width = 30;  // of a panel
constexpr std::size_t gap = 2;           // between panels

struct Scale {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  bool logarithmic = false;

  void take(const std::vector<double>& values) {
    for (const double value : values) {
      if (!std::isfinite(place(value))) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  /// Not finite for what is not on a logarithmic axis.
  double place(double value) const { return logarithmic ? std::log10(value) : value; }
  /// From 0 at the low end to 1 at the high one. Halves, because the whole may be no finite number.
  double part(double value) const {
    const double span = place(high) / 2 - place(low) / 2;
    return span > 0 ? std::clamp((place(value) / 2 - place(low) / 2) / span, 0.0, 1.0) : 0.5;
  }
};

/// Logarithmic where asked for and no value is negative and the largest is more than a thousand times the
/// smallest above 0.
Scale scale_of(const std::vector<Panel>& panels, bool may_be_logarithmic) {
  constexpr double most_linear = 1000;
  Scale scale, logarithmic{.logarithmic = true};
  for (const Panel& panel : panels) {
    scale.take(panel.y);
    logarithmic.take(panel.y);
  }
  const bool wide = scale.low >= 0 && logarithmic.high / most_linear > logarithmic.low;
  return may_be_logarithmic && wide ? logarithmic : scale;
}

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

Dots dots_of(const Panel& panel, std::size_t columns, const Scale& across, const Scale& scale) {
  Dots dots(columns);
  std::pair<double, double> before{std::nan(""), 0};
  for (std::size_t i = 0; i < panel.y.size(); ++i) {
    if (!std::isfinite(scale.place(panel.y[i]))) continue;
    const std::pair<double, double> point{across.high > across.low ? across.part(panel.x[i]) : 0,
                                          scale.part(panel.y[i])};
    if (std::isnan(before.first)) before = point;
    dots.line(before.first, before.second, point.first, point.second);
    before = point;
  }
  return dots;
}

/// Below the curve of so many columns, which ends with the line: "epoch 0         9".
std::string axis_line(const Scale& across, std::size_t columns, std::size_t width) {
  const std::string first = fmt::format("{:.0f}", across.low), last = fmt::format("{:.0f}", across.high);
  for (const std::string& begin : {"epoch " + first, first}) {
    const std::string text = first == last ? begin
                             : begin.size() + last.size() < columns
                                 ? fmt::format("{}{:>{}}", begin, last, columns - begin.size())
                                 : begin + "-" + last;
    if (text.size() <= columns) return std::string(width - columns, ' ') + fitted(text, columns);
  }
  return fitted(first + "-" + last, width);
}

/// The lines of a panel, all of that many columns.
std::vector<std::string> lines_of(const Panel& panel, std::size_t width, const Scale& across,
                                  const Scale& scale) {
  const std::string high = short_text(scale.high), low = short_text(scale.low);
  const std::size_t margin = std::max(high.size(), low.size());
  std::string title = panel.title + (scale.logarithmic ? " (log)" : "");
  if (!panel.name.empty())
    title += ": " + shortened(panel.name, width - std::min(width, columns_of(title) + 2));
  std::vector<std::string> lines{fitted(title, width)};
  const std::size_t columns = width - margin - 2;
  const Dots dots = dots_of(panel, columns, across, scale);
  for (std::size_t row = 0; row < height; ++row) {
    std::string label;
    if (high == low)
      label = row == height / 2 ? high : "";
    else
      label = row == 0 ? high : row + 1 == height ? low : "";
    lines.push_back(std::string(margin - label.size(), ' ') + label + (label.empty() ? " │" : " ┤") +
                    dots.row(row));
  }
  lines.push_back(axis_line(across, columns, width));
  for (const std::string& line : wrapped(panel.note, width)) lines.push_back(fitted(line, width));
  return lines;
}

}  // namespace

std::string short_text(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : "-";
}

std::string draw_panels(std::vector<Panel> panels, std::size_t width, bool may_be_logarithmic) {
  Scale epochs;
  for (const Panel& panel : panels) epochs.take(panel.x);
  const Scale scale = scale_of(panels, may_be_logarithmic);
  std::string text, without_values;
  std::erase_if(panels, [&](const Panel& panel) {
    const bool any = std::ranges::any_of(panel.y, [](double value) { return std::isfinite(value); });
    if (!any && !panel.note.empty())
      without_values += wrapped_text(
          panel.title + ": " + (panel.name.empty() ? "" : panel.name + ": ") + panel.note, width);
    return !any;
  });
  if (panels.empty()) return without_values;
  const std::size_t across = std::clamp<std::size_t>((width + gap) / (least_width + gap), 1, panels.size());
  const std::size_t each = std::max<std::size_t>((width + gap) / across - gap, 16);
  for (std::size_t first = 0; first < panels.size(); first += across) {
    std::vector<std::vector<std::string>> beside;
    for (std::size_t i = first; i < std::min(first + across, panels.size()); ++i)
      beside.push_back(lines_of(panels[i], each, epochs, scale));
    const std::size_t most = std::ranges::max_element(beside, {}, &std::vector<std::string>::size)->size();
    for (std::size_t line = 0; line < most; ++line) {
      std::string whole;
      for (const auto& lines : beside)
        whole += (whole.empty() ? "" : std::string(gap, ' ')) +
                 (line < lines.size() ? lines[line] : std::string(each, ' '));
      text += whole.substr(0, whole.find_last_not_of(' ') + 1) + "\n";
    }
  }
  return text + without_values;
}

}  // namespace bntrain::report
