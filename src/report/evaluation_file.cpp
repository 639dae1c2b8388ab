#include "report/evaluation_file.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <system_error>
#include <utility>

#include "report/run_history.hpp"

namespace bntrain::report {
namespace {

constexpr std::size_t most_classes = 256;      // labels are bytes
constexpr std::size_t most_picture = 600'000;  // bytes of all pictures together, so that the page stays small

struct Damaged {};

std::int64_t expect_count(const Json& value) {
  if (!value.is_number_integer()) throw Damaged{};
  const auto count = value.get<std::int64_t>();
  if (count < 0 || count > std::numeric_limits<std::int32_t>::max()) throw Damaged{};
  return count;
}

const Json& expect_array(const Json& record, const char* name) {
  const auto found = record.find(name);
  if (found == record.end() || !found->is_array()) throw Damaged{};
  return *found;
}

/// "" unless it can be nothing but base64: it goes into the page as it is.
std::string base64_in(const Json& record) {
  std::string text = text_in(record, "png");
  const bool is_base64 = std::ranges::all_of(text, [](char letter) {
    return (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z') ||
           (letter >= '0' && letter <= '9') || letter == '+' || letter == '/' || letter == '=';
  });
  return is_base64 ? text : "";
}

EvaluationDetails details_of(const Json& record) {
  EvaluationDetails details{.epoch = count_in(record, "epoch"),
                            .step = count_in(record, "step"),
                            .images = text_in(record, "images"),
                            .count = count_in(record, "count")};
  for (const Json& name : expect_array(record, "classes"))
    details.classes.push_back(name.is_string() ? name.get<std::string>() : one_line(name));
  if (std::min({details.epoch, details.step, details.count}) < 0) throw Damaged{};
  const std::size_t classes = details.classes.size();
  const Json& rows = expect_array(record, "confusion");
  if (classes == 0 || classes > most_classes || rows.size() != classes) throw Damaged{};
  for (const Json& row : rows) {
    if (!row.is_array() || row.size() != classes) throw Damaged{};
    std::vector<std::int64_t>& counts = details.confusion.emplace_back();
    for (const Json& count : row) counts.push_back(expect_count(count));
  }
  std::size_t bytes = 0;
  for (const Json& mistake : expect_array(record, "mistakes")) {
    if (!mistake.is_object()) throw Damaged{};
    const std::int64_t label = count_in(mistake, "label"), predicted = count_in(mistake, "predicted");
    const auto known = static_cast<std::int64_t>(classes);
    if (label < 0 || label >= known || predicted < 0 || predicted >= known) throw Damaged{};
    Mistake& one =
        details.mistakes.emplace_back(Mistake{.index = count_in(mistake, "index"),
                                              .label = static_cast<std::size_t>(label),
                                              .predicted = static_cast<std::size_t>(predicted),
                                              .probability = number_in(mistake, "probability"),
                                              .label_probability = number_in(mistake, "label_probability"),
                                              .png = base64_in(mistake)});
    bytes += one.png.size();
    if (bytes > most_picture) one.png.clear();
  }
  return details;
}

}  // namespace

std::int64_t EvaluationDetails::support(std::size_t label) const {
  std::int64_t sum = 0;
  for (const std::int64_t images_of_class : confusion[label]) sum += images_of_class;
  return sum;
}

std::int64_t EvaluationDetails::predicted(std::size_t label) const {
  std::int64_t sum = 0;
  for (const auto& row : confusion) sum += row[label];
  return sum;
}

std::optional<EvaluationDetails> evaluation_of(const std::string& text) {
  const Json record = parse_record(text);
  if (!record.is_object()) return std::nullopt;
  try {
    return details_of(record);
  } catch (const Damaged&) {
    return std::nullopt;
  }
}

std::optional<EvaluationDetails> read_evaluation(const std::filesystem::path& path,
                                                 std::vector<std::string>& missing) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    missing.emplace_back(
        "The confusion matrix, the scores of the classes and the worst mistakes are missing: the run has no "
        "evaluation.json, which is written after an epoch.");
    return std::nullopt;
  }
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    missing.emplace_back(
        "The confusion matrix, the scores of the classes and the worst mistakes are missing: evaluation.json "
        "is a folder.");
    return std::nullopt;
  }
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::optional<EvaluationDetails> details = evaluation_of(text);
  if (!details)
    missing.emplace_back(
        "The confusion matrix, the scores of the classes and the worst mistakes are missing: evaluation.json "
        "is "
        "damaged.");
  return details;
}

}  // namespace bntrain::report
