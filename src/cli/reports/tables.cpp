#include "cli/reports/tables.hpp"

#include <algorithm>
#include <vector>

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

}  // namespace

std::string text_table(const std::vector<TableRow>& rows, const std::set<std::size_t>& right) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  // A ± is two bytes and one column.
  const auto width = [](const std::string& text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char letter) { return (letter & 0xC0) != 0x80; }));
  };
  for (const TableRow& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (const TableRow& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - width(row[i]), ' ');
      line += (i > 0 ? "  " : "") + (right.contains(i) ? space + row[i] : row[i] + space);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
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
