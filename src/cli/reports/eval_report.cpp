#include "cli/reports/eval_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace bntrain::cli {
namespace {

std::size_t name_width(const std::vector<std::string>& names) {
  std::size_t width = 0;
  for (const std::string& name : names) width = std::max(width, name.size());
  return width;
}

std::string summary(const EvalReport& report) {
  const EvalResult& first = report.results.front();
  std::string text =
      fmt::format("{} set of {}: {} images\n\n", report.split, report.dataset, first.metrics.count);
  text += fmt::format("{:<13} {:>10} {:>10} {:>9}\n", "bn statistics", "loss", "accuracy", "correct");
  for (const EvalResult& result : report.results)
    text += fmt::format("{:<13} {:>10.6f} {:>10.6f} {:>9}\n", to_string(result.statistics),
                        result.metrics.loss, result.metrics.accuracy, result.confusion.correct());
  return text;
}

std::string score_row(const std::string& name, std::size_t width, const ClassScore& score) {
  return fmt::format("{:<{}} {:>9} {:>9} {:>9} {:>10.4f} {:>8.4f} {:>8.4f}\n", name, width, score.support,
                     score.predicted, score.right, score.precision, score.recall, score.f1);
}

std::string score_table(const EvalReport& report, const ConfusionMatrix& confusion) {
  const std::string mean = "macro average";
  const std::size_t width = std::max(name_width(report.classes), mean.size());
  const std::vector<ClassScore> scores = class_scores(confusion);
  std::string text = fmt::format("{:<{}} {:>9} {:>9} {:>9} {:>10} {:>8} {:>8}\n", "class", width, "images",
                                 "predicted", "correct", "precision", "recall", "F1");
  for (std::size_t c = 0; c < scores.size(); ++c) text += score_row(report.classes[c], width, scores[c]);
  return text + score_row(mean, width, macro_average(scores));
}

/// "3 Dress"; a name that is only the number is not repeated.
std::string numbered(std::size_t number, const std::string& name) {
  const std::string digits = std::to_string(number);
  return name == digits ? digits : digits + " " + name;
}

std::string confusion_table(const EvalReport& report, const ConfusionMatrix& confusion) {
  std::vector<std::string> names;
  for (std::size_t c = 0; c < report.classes.size(); ++c) names.push_back(numbered(c, report.classes[c]));
  const std::string heading = "true \\ predicted";
  const std::size_t width = std::max(name_width(names), heading.size());
  const bool undecided_column = confusion.undecided_count() > 0;
  std::size_t cell = 3;
  for (const ClassScore& score : class_scores(confusion))
    cell = std::max(cell, std::to_string(score.support).size());

  std::string text = fmt::format("{:<{}}", heading, width);
  for (std::size_t c = 0; c < names.size(); ++c) text += fmt::format(" {:>{}}", c, cell);
  text += undecided_column ? " undecided\n" : "\n";
  for (std::int64_t label = 0; label < confusion.classes(); ++label) {
    text += fmt::format("{:<{}}", names[static_cast<std::size_t>(label)], width);
    for (std::int64_t c = 0; c < confusion.classes(); ++c)
      text += fmt::format(" {:>{}}", confusion.count(label, c), cell);
    text += undecided_column ? fmt::format(" {:>9}\n", confusion.undecided_of(label)) : "\n";
  }
  return text;
}

Json score_record(const ClassScore& score) {
  return {{"support", score.support},     {"predicted", score.predicted}, {"right", score.right},
          {"precision", score.precision}, {"recall", score.recall},       {"f1", score.f1}};
}

Json result_record(const EvalReport& report, const EvalResult& result) {
  const ConfusionMatrix& confusion = result.confusion;
  const std::vector<ClassScore> scores = class_scores(confusion);
  Json classes = Json::array();
  Json rows = Json::array();
  for (std::int64_t label = 0; label < confusion.classes(); ++label) {
    const auto at = static_cast<std::size_t>(label);
    Json record = {{"class", label}, {"name", report.classes[at]}};
    record.update(score_record(scores[at]));
    record["undecided"] = confusion.undecided_of(label);
    classes.push_back(record);
    Json row = Json::array();
    for (std::int64_t c = 0; c < confusion.classes(); ++c) row.push_back(confusion.count(label, c));
    rows.push_back(row);
  }
  return {{"bn_statistics", to_string(result.statistics)},
          {"loss", result.metrics.loss},
          {"accuracy", result.metrics.accuracy},
          {"loss_batch_mean", result.metrics.loss_batch_mean},
          {"accuracy_batch_mean", result.metrics.accuracy_batch_mean},
          {"images", result.metrics.count},
          {"right", confusion.correct()},
          {"undecided", confusion.undecided_count()},
          {"macro_average", score_record(macro_average(scores))},
          {"classes", classes},
          {"confusion", rows}};
}

/// RFC 4180.
std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string result = "\"";
  for (const char letter : text) result += letter == '"' ? std::string("\"\"") : std::string(1, letter);
  return result + "\"";
}

}  // namespace

std::string to_string(NormStatistics statistics) {
  return name_of(statistics, statistics_names);
}

std::string eval_tables(const EvalReport& report) {
  const EvalResult& first = report.results.front();
  std::string text = summary(report) + "\n";
  if (report.results.size() > 1) text += "with " + to_string(first.statistics) + " statistics:\n";
  text += score_table(report, first.confusion) + "\n" + confusion_table(report, first.confusion);
  text.pop_back();  // print_result() ends the line
  return text;
}

Json eval_record(const EvalReport& report) {
  Json results = Json::array();
  for (const EvalResult& result : report.results) results.push_back(result_record(report, result));
  return {{"model", report.model},           {"network", report.network},
          {"dataset", report.dataset},       {"split", report.split},
          {"batch_size", report.batch_size}, {"backend", report.backend},
          {"variant", report.variant},       {"results", results}};
}

std::string eval_csv(const EvalReport& report) {
  const ConfusionMatrix& confusion = report.results.front().confusion;
  const std::vector<ClassScore> scores = class_scores(confusion);
  std::string text = "class,name,support,predicted,right,precision,recall,f1";
  for (std::size_t c = 0; c < scores.size(); ++c) text += fmt::format(",as_{}", c);
  text += ",undecided\n";
  for (std::size_t label = 0; label < scores.size(); ++label) {
    const ClassScore& score = scores[label];
    const auto row = static_cast<std::int64_t>(label);
    text += fmt::format("{},{},{},{},{},{},{},{}", label, quoted(report.classes[label]), score.support,
                        score.predicted, score.right, score.precision, score.recall, score.f1);
    for (std::int64_t c = 0; c < confusion.classes(); ++c)
      text += fmt::format(",{}", confusion.count(row, c));
    text += fmt::format(",{}\n", confusion.undecided_of(row));
  }
  return text;
}

}  // namespace bntrain::cli
