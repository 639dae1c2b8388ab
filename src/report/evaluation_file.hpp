// RUN/evaluation.json, the details of the newest evaluation, read as far as it can be read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace bntrain::report {

struct Mistake {
  std::int64_t index = 0;  ///< of the image in its set
  std::size_t label = 0, predicted = 0;
  double probability = 0, label_probability = 0;  ///< of the predicted class, of the right one
  std::string png;                                ///< base64; "" where there is no picture
};

struct EvaluationDetails {
  std::int64_t epoch = 0, step = 0;
  std::string images;  ///< "test" or "valid"
  std::int64_t count = 0;
  std::vector<std::string> classes = {};
  std::vector<std::vector<std::int64_t>> confusion = {};  ///< [label][predicted], as many as classes
  std::vector<Mistake> mistakes = {};                     ///< worst first

  /// Images of the label, of the prediction, on the diagonal.
  std::int64_t support(std::size_t label) const;
  std::int64_t predicted(std::size_t label) const;
  std::int64_t right(std::size_t label) const { return confusion[label][label]; }
};

/// Nothing where it is damaged.
std::optional<EvaluationDetails> evaluation_of(const std::string& text);

/// Nothing where there is none or it is damaged; `missing` receives a sentence then.
std::optional<EvaluationDetails> read_evaluation(const std::filesystem::path& file,
                                                 std::vector<std::string>& missing);

}  // namespace bntrain::report
