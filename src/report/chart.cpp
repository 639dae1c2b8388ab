#include "report/chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <span>

#include "report/html.hpp"
#include "train/records.hpp"

namespace bntrain::report {
namespace {

// Columns of values that fit on a sheet, and in half of it.
constexpr std::size_t most_columns = 8, most_narrow = 4;
constexpr const char* look_names[] = {"line", "faint", "dashed", "points", "band"};

std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Those of the values that can be drawn, short; 12 digits hold every step.
std::string numbers(const std::vector<double>& values, const std::vector<std::size_t>& kept, int digits,
                    bool above_zero = false) {
  std::string text = "[";
  for (const std::size_t i : kept) {
    if (text.size() > 1) text += ',';
    if (i < values.size() && std::isfinite(values[i]) && (values[i] > 0 || !above_zero))
      fmt::format_to(std::back_inserter(text), "{:.{}g}", values[i], digits);
    else
      text += "null";
  }
  return text + "]";
}

/// A band has to keep its edges together.
std::vector<std::size_t> kept_of(const Series& series, std::size_t most) {
  return series.look == Look::faint ? thinned(series.y, most) : evenly(series.y.size(), most);
}

std::string value_text(const Series& series, std::size_t i) {
  // On paper it is broken there.
  if (series.look == Look::band) return number_text(series.low[i]) + " to\n" + number_text(series.y[i]);
  return number_text(series.y[i]);
}

/// What screen readers call it.
std::string full_title(const Chart& chart) {
  return (chart.layer.empty() ? "" : chart.layer + ", ") + chart.title;
}

/// A row for every x of any series, or so many of them, and a table for so many series as fit on a sheet.
std::string table_html(const Chart& chart, std::size_t most) {
  std::map<double, std::vector<std::string>> by_x;
  for (std::size_t column = 0; column < chart.series.size(); ++column) {
    const Series& series = chart.series[column];
    for (std::size_t i = 0; i < series.x.size(); ++i) by_x[series.x[i]];
  }
  std::vector<double> places;
  places.reserve(by_x.size());
  for (const auto& [x, cells] : by_x) places.push_back(x);
  const std::vector<std::size_t> kept = evenly(places.size(), most);
  std::string text = "<details class=\"values\"><summary>Values</summary>";
  if (kept.size() < places.size())
    text += fmt::format("<p class=\"note\">{} of {} rows, equally far apart.</p>", kept.size(),
                        grouped(static_cast<std::int64_t>(places.size())));
  for (std::size_t first = 0; first < chart.series.size(); first += most_columns) {
    const auto part =
        std::span(chart.series).subspan(first, std::min(most_columns, chart.series.size() - first));
    HtmlTable table{.label = full_title(chart) + ": values", .heading = {chart.x_label}};
    for (const Series& series : part) table.heading.push_back(series.name);
    for (const std::size_t place : kept) {
      std::vector<std::string> row{fmt::format("{:.12g}", places[place])};
      for (const Series& series : part) {
        const auto at = std::ranges::lower_bound(series.x, places[place]);
        const bool found = at != series.x.end() && *at == places[place];
        row.push_back(found ? value_text(series, static_cast<std::size_t>(at - series.x.begin())) : "");
      }
      table.rows.push_back(std::move(row));
    }
    text += html(table);
  }
  return text + "</details>";
}

}  // namespace

std::string dashes_of(int color) {
  constexpr const char* dashes[] = {"", "6,3", "2,2", "8,3,2,3"};
  return dashes[(color + color / hues) % 4];
}

std::vector<std::size_t> evenly(std::size_t count, std::size_t most) {
  std::vector<std::size_t> kept;
  if (count <= most) {
    for (std::size_t i = 0; i < count; ++i) kept.push_back(i);
    return kept;
  }
  // i * (count - 1) / (most - 1), which a count from a damaged file would carry beyond 64 bits.
  const std::size_t whole = (count - 1) / (most - 1), rest = (count - 1) % (most - 1);
  for (std::size_t i = 0; i < most; ++i) kept.push_back(i * whole + i * rest / (most - 1));
  return kept;
}

std::vector<std::size_t> thinned(const std::vector<double>& values, std::size_t most) {
  if (values.size() <= most) return evenly(values.size(), most);
  const std::size_t parts = most / 2 - 1;
  std::vector<std::size_t> kept{0};
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t begin = part * values.size() / parts, end = (part + 1) * values.size() / parts;
    std::size_t low = begin, high = begin;
    for (std::size_t i = begin; i < end; ++i) {
      if (!std::isfinite(values[i])) continue;
      if (!(values[low] <= values[i])) low = i;
      if (!(values[high] >= values[i])) high = i;
    }
    for (const std::size_t i : {std::min(low, high), std::max(low, high)})
      if (i > kept.back()) kept.push_back(i);
  }
  if (kept.back() + 1 < values.size()) kept.push_back(values.size() - 1);
  return kept;
}

void scale_by_span(Chart& chart, double factor) {
  double least = std::numeric_limits<double>::infinity(), most = 0;
  for (const Series& series : chart.series) {
    for (const auto& values : {series.y, series.low}) {
      for (const double value : values) {
        if (value < 0) return;
        if (!std::isfinite(value) || value == 0) continue;
        least = std::min(least, value);
        most = std::max(most, value);
      }
    }
  }
  chart.logarithmic = most / factor > least;
  if (chart.logarithmic) chart.from_zero = false;
}

bool has_values(const Chart& chart) {
  return std::ranges::any_of(chart.series, [](const Series& series) {
    return std::ranges::any_of(series.y, [](double value) { return std::isfinite(value); });
  });
}

std::string chart_html(const Chart& chart, const ChartLimits& limits) {
  const std::string title = escaped(chart.title);
  const bool is_thinned = std::ranges::any_of(
      chart.series, [&](const Series& series) { return series.y.size() > limits.points; });
  std::string caption = escaped(chart.caption);
  if (is_thinned) {
    caption +=
        fmt::format("{}Long series are thinned to {} points.", caption.empty() ? "" : " ", limits.points);
  }
  const std::string heading = chart.layer.empty() ? "h3" : "h4";
  return std::string("<figure") + (chart.series.size() > most_narrow ? " class=\"broad\"" : "") + "><" +
         heading + ">" + title + "</" + heading + "><div class=\"plot\"><canvas id=\"" + chart.id +
         "\" role=\"img\" aria-label=\"" + escaped(full_title(chart)) + ": " + escaped(chart.y_label) +
         " by " + escaped(chart.x_label) + "; the values are in the table below\"></canvas></div>" +
         (caption.empty() ? "" : "<figcaption>" + caption + "</figcaption>") +
         table_html(chart, limits.rows) + "</figure>\n";
}

std::string chart_json(const Chart& chart, const ChartLimits& limits) {
  std::string text =
      fmt::format(R"({{"id":"{}","x":{},"y":{},"log":{},"zero":{},"series":[)", chart.id,
                  quoted(chart.x_label), quoted(chart.y_label), chart.logarithmic, chart.from_zero);
  std::string before;
  for (const Series& series : chart.series) {
    const std::vector<std::size_t> kept = kept_of(series, limits.points);
    std::string x = numbers(series.x, kept, 12);
    text += fmt::format(R"({}{{"name":{},"color":{},"look":"{}","x":{},"y":{})",
                        &series == &chart.series[0] ? "" : ",", quoted(series.name), series.color % hues,
                        look_names[static_cast<std::size_t>(series.look)], x == before ? "null" : x,
                        numbers(series.y, kept, 5, chart.logarithmic));
    if (series.look == Look::line) text += R"(,"dash":[)" + dashes_of(series.color) + "]";
    if (series.hidden) text += R"(,"hidden":true)";
    if (series.group >= 0) text += fmt::format(R"(,"group":{})", series.group);
    if (series.look == Look::band) text += R"(,"low":)" + numbers(series.low, kept, 5, chart.logarithmic);
    text += '}';
    before = std::move(x);
  }
  text += R"(],"marks":[)";
  for (const Mark& mark : chart.marks) {
    text += fmt::format(R"({}{{"x":{:.12g},"text":{}}})", &mark == &chart.marks[0] ? "" : ",", mark.x,
                        quoted(mark.text));
  }
  return text + "]}";
}

}  // namespace bntrain::report
