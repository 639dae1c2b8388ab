#include "cli/reports/predict_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/confusion.hpp"

namespace bntrain::cli {

Answer answer_of(const std::string& image, std::int64_t label, std::span<const float> logits,
                 std::int64_t top) {
  Answer answer{image, label, softmax(logits), {}};
  // Infinite logits have no probabilities either.
  if (std::ranges::any_of(answer.probabilities, [](auto p) { return std::isnan(p); })) return answer;
  answer.best.resize(logits.size());
  std::iota(answer.best.begin(), answer.best.end(), std::size_t{0});
  std::ranges::stable_sort(answer.best, [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  answer.best.resize(std::min(logits.size(), static_cast<std::size_t>(top)));
  return answer;
}

std::string answer_line(const Answer& answer, const std::vector<std::string>& class_names) {
  std::string line = answer.image;
  if (answer.label >= 0) line += " (" + class_names[static_cast<std::size_t>(answer.label)] + ")";
  if (answer.best.empty()) return line + ": no class: its logits are not finite";
  const char* separator = ": ";
  for (const std::size_t c : answer.best) {
    line += fmt::format("{}{} {:.4f}", separator, class_names[c], answer.probabilities[c]);
    separator = ", ";
  }
  return line;
}

Json answer_record(const Answer& answer, const std::vector<std::string>& class_names) {
  Json top = Json::array();
  for (const std::size_t c : answer.best)
    top.push_back({{"class", c}, {"name", class_names[c]}, {"probability", answer.probabilities[c]}});
  return {{"image", answer.image},
          {"label", answer.label < 0 ? Json(nullptr) : Json(answer.label)},
          {"top", top}};
}

}  // namespace bntrain::cli
