// The confusion matrix of a classifier and the scores of its classes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace bntrain {

inline constexpr std::int64_t undecided = -1;

/// The class of the first largest logit; `undecided` where any logit is NaN.
std::int64_t predicted_class(std::span<const float> logits);

/// Counts of images. An undecided image is counted as incorrect: it is in the sum of its label, in no column.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(std::int64_t classes);
  /// Of all images: logits [image][class], labels [image].
  ConfusionMatrix(std::int64_t classes, std::span<const float> logits, std::span<const std::uint8_t> labels);

  /// `predicted` may be `undecided`.
  void add(std::int64_t label, std::int64_t predicted);

  std::int64_t classes() const { return classes_; }
  std::int64_t count(std::int64_t label, std::int64_t predicted) const;
  std::int64_t undecided_of(std::int64_t label) const;
  std::int64_t undecided_count() const;
  std::int64_t correct() const;

 private:
  std::int64_t classes_;
  std::vector<std::int64_t> counts_;  ///< [label][predicted class, or `classes` for undecided]
};

/// Of one class c, where "right" counts the images of c that were predicted as c:
///   precision = right / predicted
///   recall    = right / support
///   f1        = 2 right / (predicted + support), their harmonic mean
/// 0 / 0 is 0, as with scikit-learn's zero_division=0.
struct ClassScore {
  std::int64_t support = 0;    ///< images of the class
  std::int64_t predicted = 0;  ///< images predicted as the class
  std::int64_t right = 0;
  double precision = 0;
  double recall = 0;
  double f1 = 0;
};

/// One a class.
std::vector<ClassScore> class_scores(const ConfusionMatrix& confusion);

/// Sums of the counts and plain means of the scores ("macro average": every class weighs the same).
ClassScore macro_average(const std::vector<ClassScore>& scores);

/// exp(logit) / sum of exp, in double precision; NaN throughout where a logit is NaN.
std::vector<double> softmax(std::span<const float> logits);

}  // namespace bntrain
