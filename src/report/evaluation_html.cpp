#include "report/evaluation_html.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "report/html.hpp"

namespace bntrain::report {
namespace {

constexpr std::size_t most_counted = 25;  // classes whose counts a matrix can show

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

std::string counted_matrix(const EvaluationDetails& details) {
  const double largest = largest_mistake(details);
  std::string text =
      "<div class=\"wide\"><table class=\"confusion\"><thead><tr><th scope=\"col\">label ╲ predicted";
  for (const std::string& name : details.classes)
    text += "<th scope=\"col\"><span>" + escaped(name) + "</span>";
  text += "</thead><tbody>";
  for (std::size_t row = 0; row < details.classes.size(); ++row) {
    text += "<tr><th scope=\"row\">" + escaped(details.classes[row]);
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
  std::array<std::array<std::string, levels>, 2> paths;
  std::vector<std::array<std::size_t, 2>> mistakes;
  for (std::size_t row = 0; row < classes; ++row) {
    for (std::size_t column = 0; column < classes; ++column) {
      if (details.confusion[row][column] == 0) continue;
      const auto level = static_cast<std::size_t>(
          std::clamp(static_cast<int>(shade(details, row, column, largest) * levels), 0, levels - 1));
      paths[row == column ? 0 : 1][level] += fmt::format("M{} {}h1v1h-1z", column, row);
      if (row != column) mistakes.push_back({row, column});
    }
  }
  std::string text = fmt::format(
      "<svg class=\"confusion\" viewBox=\"0 0 {0} {0}\" role=\"img\" aria-label=\"Confusion matrix of {0} "
      "classes, labels from above, predictions from the left\">",
      classes);
  for (std::size_t kind = 0; kind < 2; ++kind) {
    for (std::size_t level = 0; level < levels; ++level) {
      text += fmt::format("<path class=\"{}\" opacity=\"{:.2f}\" d=\"{}\"/>", kind == 0 ? "right" : "wrong",
                          static_cast<double>(level + 1) / levels, paths[kind][level]);
    }
  }
  constexpr std::size_t most = 50;
  std::ranges::stable_sort(mistakes, [&](const auto& a, const auto& b) {
    return details.confusion[a[0]][a[1]] > details.confusion[b[0]][b[1]];
  });
  HtmlTable table{.caption = "The commonest mistakes", .heading = {"label", "predicted", "images"}};
  for (std::size_t i = 0; i < std::min(most, mistakes.size()); ++i) {
    const auto [row, column] = mistakes[i];
    table.rows.push_back(
        {details.classes[row], details.classes[column], std::to_string(details.confusion[row][column])});
  }
  return text + "</svg>\n" + html(table);
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
  return html(table);
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
    text += fmt::format("<p><b>{}</b> {:.2g}<br>taken for <b>{}</b> {:.2g}<br><small>image {}</small></p>\n",
                        label, mistake.label_probability, predicted, mistake.probability, mistake.index);
  }
  return text + "</ol>\n";
}

}  // namespace

std::string html(const EvaluationDetails& details) {
  const std::string which =
      fmt::format("{} {} images after epoch {} ({} steps)", grouped(details.count),
                  details.images == "valid" ? "validation" : "test", details.epoch, grouped(details.step));
  std::int64_t decided = 0;
  for (std::size_t i = 0; i < details.classes.size(); ++i) decided += details.support(i);
  std::string text = "<section><h2 id=\"mistakes\">Mistakes</h2>\n<p class=\"note\">" + which + ".";
  if (decided < details.count)
    text +=
        fmt::format(" {} of them have NaN logits and are in no column.", grouped(details.count - decided));
  text +=
      "</p>\n<div class=\"pair\"><div><h3>Confusion matrix</h3>\n<p class=\"note\">A row is a label, a "
      "column a "
      "prediction. Blue: right, by its share of the row. Orange: wrong, against the largest of them.</p>\n";
  text += details.classes.size() <= most_counted ? counted_matrix(details) : large_matrix(details);
  text += "</div><div><h3>Precision and recall by class</h3>\n" + score_table(details) + "</div></div>";
  text += fmt::format(
      "<h3>Worst mistakes</h3>\n<p class=\"note\">The {} wrongly classified images to which the network "
      "gave the smallest probability of the right class, with the probabilities of both.</p>\n",
      details.mistakes.size());
  return text + mistake_list(details) + "</section>\n";
}

}  // namespace bntrain::report
