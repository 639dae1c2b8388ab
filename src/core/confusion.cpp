#include "core/confusion.hpp"

#include <algorithm>
#include <cmath>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::int64_t predicted_class(std::span<const float> logits) {
  if (std::ranges::any_of(logits, [](float v) { return std::isnan(v); })) return undecided;
  return std::ranges::max_element(logits) - logits.begin();
}

ConfusionMatrix::ConfusionMatrix(std::int64_t classes) : classes_(classes) {
  BNTRAIN_EXPECTS(classes > 0);
  counts_.resize(static_cast<std::size_t>(classes * (classes + 1)));
}

ConfusionMatrix::ConfusionMatrix(std::int64_t classes, std::span<const float> logits,
                                 std::span<const std::uint8_t> labels)
    : ConfusionMatrix(classes) {
  const auto width = static_cast<std::size_t>(classes);
  BNTRAIN_EXPECTS(logits.size() == labels.size() * width);
  for (std::size_t image = 0; image < labels.size(); ++image)
    add(labels[image], predicted_class(logits.subspan(image * width, width)));
}

void ConfusionMatrix::add(std::int64_t label, std::int64_t predicted) {
  BNTRAIN_EXPECTS(label >= 0 && label < classes_ && predicted >= undecided && predicted < classes_);
  const std::int64_t column = predicted == undecided ? classes_ : predicted;
  ++counts_[static_cast<std::size_t>(label * (classes_ + 1) + column)];
}

std::int64_t ConfusionMatrix::count(std::int64_t label, std::int64_t predicted) const {
  BNTRAIN_EXPECTS(label >= 0 && label < classes_ && predicted >= 0 && predicted < classes_);
  return counts_[static_cast<std::size_t>(label * (classes_ + 1) + predicted)];
}

std::int64_t ConfusionMatrix::undecided_of(std::int64_t label) const {
  BNTRAIN_EXPECTS(label >= 0 && label < classes_);
  return counts_[static_cast<std::size_t>(label * (classes_ + 1) + classes_)];
}

std::int64_t ConfusionMatrix::undecided_count() const {
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < classes_; ++c) sum += undecided_of(c);
  return sum;
}

std::int64_t ConfusionMatrix::correct() const {
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < classes_; ++c) sum += count(c, c);
  return sum;
}

std::vector<ClassScore> class_scores(const ConfusionMatrix& confusion) {
  std::vector<ClassScore> scores;
  for (std::int64_t c = 0; c < confusion.classes(); ++c) {
    ClassScore score;
    score.right = confusion.count(c, c);
    score.support = confusion.undecided_of(c);
    for (std::int64_t other = 0; other < confusion.classes(); ++other) {
      score.support += confusion.count(c, other);
      score.predicted += confusion.count(other, c);
    }
    score.precision = ratio(score.right, score.predicted);
    score.recall = ratio(score.right, score.support);
    score.f1 = ratio(2 * score.right, score.predicted + score.support);
    scores.push_back(score);
  }
  return scores;
}

ClassScore macro_average(const std::vector<ClassScore>& scores) {
  ClassScore sum;
  for (const ClassScore& score : scores) {
    sum.support += score.support;
    sum.predicted += score.predicted;
    sum.right += score.right;
    sum.precision += score.precision;
    sum.recall += score.recall;
    sum.f1 += score.f1;
  }
  if (scores.empty()) return sum;
  const auto classes = static_cast<double>(scores.size());
  sum.precision /= classes;
  sum.recall /= classes;
  sum.f1 /= classes;
  return sum;
}

std::vector<double> softmax(std::span<const float> logits) {
  std::vector<double> result(logits.begin(), logits.end());
  if (result.empty()) return result;
  const double top = *std::ranges::max_element(result);
  double sum = 0;
  for (double& value : result) sum += value = std::exp(value - top);
  for (double& value : result) value /= sum;
  return result;
}

}  // namespace bntrain
