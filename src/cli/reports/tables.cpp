#include "cli/reports/tables.hpp"

#include <algorithm>
#include <sstream>
#include <vector>

#include "cli/reports/output.hpp"

namespace bntrain::cli {
namespace {

// 171128 -> "171,128", whatever the locale.
std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  for (auto place = static_cast<std::int64_t>(text.size()) - 3; place > 0; place -= 3) {
    text.insert(static_cast<std::size_t>(place), ",");
  }
  return text;
}

// A ± is two bytes and one column.
std::size_t columns_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char letter) { return (letter & 0xC0) != 0x80; }));
}

}  // namespace

std::string text_table(const std::vector<TableRow>& rows, const std::set<std::size_t>& right) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const TableRow& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  std::string text;
  for (std::size_t first = 1; first <= widths.size();) {
    std::vector<std::size_t> shown{0};
    for (std::size_t taken = widths[0];
         first < widths.size() && (shown.size() == 1 || taken + 2 + widths[first] <= output_width());
         ++first) {
      taken += 2 + widths[first];
      shown.push_back(first);
    }
    for (const TableRow& row : rows) {
      std::string line;
      for (const std::size_t i : shown) {
        const std::string space(widths[i] - columns_of(row[i]), ' ');
        line += (i > 0 ? "  " : "") + (right.contains(i) ? space + row[i] : row[i] + space);
      }
      text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    if (first == widths.size()) break;
  }
  return text;
}

std::string wrapped(const std::string& text) {
  std::string result;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t width = output_width();
    const std::size_t start = std::min(line.find_first_not_of(' '), line.size());
    const std::size_t gap = line.rfind("  ", 2 * width / 3);
    // A line of its own for what is said, where the words before it leave no room.
    const std::size_t hang = gap == std::string::npos || gap + 2 < start ? start : gap + 2;
    while (columns_of(line) > width) {
      const std::size_t space = line.rfind(' ', width);
      if (space == std::string::npos || space <= hang) break;  // a word longer than the line
      result += line.substr(0, line.find_last_not_of(' ', space) + 1) + "\n";
      line = std::string(hang, ' ') + line.substr(space + 1);
    }
    result += line + "\n";
  }
  if (!text.ends_with('\n') && !result.empty()) result.pop_back();
  return result;
}

std::string layer_table(const Network& network, std::int64_t batch_size) {
  const std::vector<Layer>& layers = network.layers();
  std::vector<std::int64_t> parameters(layers.size(), 0);
  for (const Parameter& parameter : network.parameters()) {
    parameters[static_cast<std::size_t>(parameter.layer)] += parameter.size;
  }
  std::vector<TableRow> rows = {{"", "layer", "output", "parameters"},
                                {"", "input", to_string(network.input(), batch_size), ""}};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    rows.push_back({layers[i].name, layers[i].text, to_string(layers[i].output, batch_size),
                    parameters[i] > 0 ? grouped(parameters[i]) : ""});
  }
  rows.push_back({"", "trainable", "", grouped(network.parameter_count())});
  std::string table = text_table(rows, {0, 3});
  table.pop_back();  // print_result() ends the line
  return table;
}

}  // namespace bntrain::cli
