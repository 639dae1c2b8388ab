// A chart of a page: what the script draws, and the table beneath it, which needs no script.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bntrain::report {

enum class Look {
  line,
  faint,  ///< what a smoothed line goes through
  dashed,
  points,  ///< alone, without a line between them
  band,    ///< from `low` to `y`
};

struct Series {
  std::string name;
  std::vector<double> x, y;  ///< ascending x; a y that is not finite is a gap
  std::vector<double> low = {};
  int color = 0;  ///< of the page's palette; series of one chart that belong together share it
  Look look = Look::line;
  bool hidden = false;  ///< at first
  int group = -1;       ///< of a page whose legend is a table with switches: which of them shows it
};

/// A vertical line at x.
struct Mark {
  double x = 0;
  std::string text;
};

struct Chart {
  std::string id;  ///< letters, digits and dashes; once in a page
  std::string title;
  std::string x_label, y_label;
  std::string layer = {};    ///< that it is of, named by the heading of h3 above it, if any
  std::string caption = {};  ///< a sentence below it
  std::vector<Series> series = {};
  std::vector<Mark> marks = {};
  bool logarithmic = false;
  bool from_zero = false;  ///< the axis of y begins at 0
};

/// How much of long series goes into a page.
struct ChartLimits {
  std::size_t points = 1500;  ///< drawn of a series
  std::size_t rows = 100;     ///< of the table beneath a chart
};

/// How the lines of that color are dashed, as SVG has it: "6,3", "" for not at all. What has the same hue
/// differs in this.
std::string dashes_of(int color);
inline constexpr int hues = 8;  ///< of the page's palette

/// Which of the values are drawn where there are more than `most`: the smallest and the largest of equal
/// parts, so that no spike is lost, and the first and the last. In order.
std::vector<std::size_t> thinned(const std::vector<double>& values, std::size_t most);
/// Likewise, so many of `count` that are equally far apart.
std::vector<std::size_t> evenly(std::size_t count, std::size_t most);

/// The frame of the chart with its caption and table.
std::string chart_html(const Chart& chart, const ChartLimits& limits);
/// What the script reads of it: an object of JSON.
std::string chart_json(const Chart& chart, const ChartLimits& limits);

/// Makes the axis of y logarithmic where no value is negative and the largest is more than `factor` times the
/// smallest above 0. Zeros are gaps on such an axis.
void scale_by_span(Chart& chart, double factor);

/// Whether any value can be drawn.
bool has_values(const Chart& chart);

}  // namespace bntrain::report
