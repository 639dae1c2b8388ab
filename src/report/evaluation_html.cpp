#include "report/evaluation_html.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "report/html.hpp"
#include "report/terminal_text.hpp"

namespace bntrain::report {
namespace {

constexpr std::size_t most_counted = 25;  // classes whose counts a matrix can show
// Columns of the names of classes above it and beside it.
constexpr std::size_t most_head = 15, most_side = 48;
// Bytes of the cells of a larger one that say what they are; beyond them the page might reach 2 MB.
constexpr std::size_t most_titled = 900'000;

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

double largest_mistake(const EvaluationDetails& details) {
  double most = 0;
  for (std::size_t row = 0; row < details.classes.size(); ++row)
    for (std::size_t column = 0; column < details.classes.size(); ++column)
      if (row != column) most = std::max(most, share(details.confusion[row][column], details.support(row)));
  return most;
}

/// A cell's shade from 0 to 1: right ones by their share of the row, wrong ones against the largest wrong
/// one.
double shade(const EvaluationDetails& details, std::size_t row, std::size_t column, double largest) {
  const double part = share(details.confusion[row][column], details.support(row));
  return row == column ? part : largest > 0 ? part / largest : 0;
}

/// As the values beneath a chart.
std::string folded(const std::string& summary, const HtmlTable& table) {
  return "<details class=\"values\"><summary>" + summary + "</summary>" + html(table) + "</details>\n";
}

std::string counted_matrix(const EvaluationDetails& details) {
  const double largest = largest_mistake(details);
  std::string text =
      "<div class=\"wide\"><table class=\"confusion\"><thead><tr><th scope=\"col\">label ╲ predicted";
  for (const std::string& name : details.classes)
    text += "<th scope=\"col\" title=\"" + escaped(name) + "\"><span>" + escaped(shortened(name, most_head)) +
            "</span>";
  text += "</thead><tbody>";
  for (std::size_t row = 0; row < details.classes.size(); ++row) {
    text += "<tr>" + cell("th scope=\"row\"", details.classes[row], "", most_side);
    for (std::size_t column = 0; column < details.classes.size(); ++column) {
      const double depth = shade(details, row, column, largest);
      text += fmt::format("<td class=\"{}{}\" style=\"--p:{:.2f}\" title=\"{} as {}\">{}",
                          row == column ? "right" : "wrong", depth > 0.55 ? " deep" : "", depth,
                          escaped(details.classes[row]), escaped(details.classes[column]),
                          details.confusion[row][column]);
    }
    text += "\n";
  }
  return text + "</table></div>\n";
}

/// Of many classes a picture, and the counts of the commonest mistakes.
std::string large_matrix(const EvaluationDetails& details) {
  constexpr int levels = 8;
  const double largest = largest_mistake(details);
  const std::size_t classes = details.classes.size();
  std::array<std::array<std::string, levels>, 2> paths, titled;
  std::size_t titled_size = 0;
  std::vector<std::array<std::size_t, 2>> mistakes;
  for (std::size_t row = 0; row < classes; ++row) {
    for (std::size_t column = 0; column < classes; ++column) {
      if (details.confusion[row][column] == 0) continue;
      const auto level = static_cast<std::size_t>(
          std::clamp(static_cast<int>(shade(details, row, column, largest) * levels), 0, levels - 1));
      const std::string cell = fmt::format("M{} {}h1v1h-1z", column, row);
      paths[row == column ? 0 : 1][level] += cell;
      if (titled_size <= most_titled) {
        const std::string path = fmt::format("<path d=\"{}\"><title>{} → {}: {}</title></path>", cell,
                                             escaped(details.classes[row]), escaped(details.classes[column]),
                                             details.confusion[row][column]);
        titled[row == column ? 0 : 1][level] += path;
        titled_size += path.size();
      }
      if (row != column) mistakes.push_back({row, column});
    }
  }
  const double size = static_cast<double>(classes), margin = size / 16;
  std::string text = fmt::format(
      "<svg class=\"confusion\" viewBox=\"-{1:.4g} -{1:.4g} {2:.6g} {2:.6g}\" role=\"img\" "
      "aria-label=\"Confusion matrix of {0} classes, labels from above, predictions from the left\">"
      "<g text-anchor=\"middle\" font-size=\"{3:.4g}\"><text x=\"{4:.6g}\" y=\"-{5:.4g}\">predicted</text>"
      "<text x=\"-{4:.6g}\" y=\"-{5:.4g}\" transform=\"rotate(-90)\">label</text></g>",
      classes, margin, size + margin, margin * 0.7, size / 2, margin / 3);
  for (std::size_t kind = 0; kind < 2; ++kind) {
    for (std::size_t level = 0; level < levels; ++level) {
      text += fmt::format("<g class=\"{}\" opacity=\"{:.2f}\">", kind == 0 ? "right" : "wrong",
                          static_cast<double>(level + 1) / levels);
      text += titled_size <= most_titled ? titled[kind][level] : "<path d=\"" + paths[kind][level] + "\"/>";
      text += "</g>";
    }
  }
  constexpr std::size_t most = 50;
  std::ranges::stable_sort(mistakes, [&](const auto& a, const auto& b) {
    return details.confusion[a[0]][a[1]] > details.confusion[b[0]][b[1]];
  });
  HtmlTable table{.heading = {"label", "predicted", "images"}};
  for (std::size_t i = 0; i < std::min(most, mistakes.size()); ++i) {
    const auto [row, column] = mistakes[i];
    table.rows.push_back(
        {details.classes[row], details.classes[column], std::to_string(details.confusion[row][column])});
  }
  return text + "</svg>\n" + folded("The commonest mistakes", table);
}

std::string score_table(const EvaluationDetails& details) {
  HtmlTable table{.heading = {"class", "precision", "recall", "F1", "images", "predicted"}};
  for (std::size_t i = 0; i < details.classes.size(); ++i) {
    const std::int64_t support = details.support(i), predicted = details.predicted(i),
                       right = details.right(i);
    table.rows.push_back({details.classes[i], fmt::format("{:.4f}", share(right, predicted)),
                          fmt::format("{:.4f}", share(right, support)),
                          fmt::format("{:.4f}", share(2 * right, support + predicted)), grouped(support),
                          grouped(predicted)});
  }
  return details.classes.size() <= most_counted
             ? html(table)
             : folded(fmt::format("All {} classes", details.classes.size()), table);
}

/// Four digits; only what is 1 is "1".
std::string probability_text(double value) {
  const std::string text = fmt::format("{:.4g}", value);
  return text == "1" && value < 1 ? "&gt; 0.9999" : text;
}

std::string mistake_list(const EvaluationDetails& details) {
  if (details.mistakes.empty()) return "<p>No image was classified wrongly.</p>";
  std::string text = "<ol class=\"mistakes\">";
  for (const Mistake& mistake : details.mistakes) {
    const std::string label = escaped(details.classes[mistake.label]);
    const std::string predicted = escaped(details.classes[mistake.predicted]);
    text += "<li>";
    if (!mistake.png.empty())
      text += "<img alt=\"image " + std::to_string(mistake.index) + "\" src=\"data:image/png;base64," +
              mistake.png + "\">";
    text += fmt::format("<p><b>{}</b> {}<br>taken for <b>{}</b> {}<br><small>image {}</small></p>\n", label,
                        probability_text(mistake.label_probability), predicted,
                        probability_text(mistake.probability), mistake.index);
  }
  return text + "</ol>\n";
}

}  // namespace

std::string html(const EvaluationDetails& details) {
  const std::string which = fmt::format("{} {} after epoch {} ({})", grouped(details.count),
                                        std::string(details.images == "valid" ? "validation" : "test") +
                                            (details.count == 1 ? " image" : " images"),
                                        details.epoch, counted(details.step, "step"));
  std::int64_t decided = 0;
  for (std::size_t i = 0; i < details.classes.size(); ++i) decided += details.support(i);
  std::string text = "<section><h2 id=\"mistakes\">Mistakes</h2>\n<p class=\"note\">" + which + ".";
  if (decided < details.count)
    text += details.count - decided == 1 ? " 1 of them has NaN logits and is in no column."
                                         : fmt::format(" {} of them have NaN logits and are in no column.",
                                                       grouped(details.count - decided));
  text +=
      "</p>\n<div class=\"pair\"><div><h3>Confusion matrix</h3>\n<p class=\"note\">A row is a label, a "
      "column a "
      "prediction. Blue: right, by its share of the row. Orange: wrong, against the largest of them.</p>\n";
  text += details.classes.size() <= most_counted ? counted_matrix(details) : large_matrix(details);
  text += "</div><div><h3>Precision and recall by class</h3>\n" + score_table(details) + "</div></div>";
  text += fmt::format(
      "<h3>Worst mistakes</h3>\n<p class=\"note\">The {} to which the network "
      "gave the smallest probability of the right class, with the probabilities of both.</p>\n",
      counted(static_cast<std::int64_t>(details.mistakes.size()), "wrongly classified image"));
  return text + mistake_list(details) + "</section>\n";
}

}  // namespace bntrain::report
