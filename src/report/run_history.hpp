// What the records of a training run say, read as far as they can be read: a run that was killed, a file that
// is damaged or of another version still has a history.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <istream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "train/probe.hpp"
#include "train/records.hpp"

namespace bntrain::report {

/// What a record does not say, or what was not finite.
inline constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// A training step; `step` counts from 0, as in its record.
struct StepPoint {
  std::int64_t step = 0;
  double loss = 0, accuracy = 0, lr = 0;
};

/// An evaluation within an epoch, after so many updates.
struct EvaluationPoint {
  std::int64_t step = 0;
  double loss = 0, accuracy = 0;
};

struct EpochPoint {
  std::int64_t step = 0;  ///< updates at its end
  std::int64_t epoch = 0;
  double train_loss = 0, train_accuracy = 0;
  double loss = 0, accuracy = 0;  ///< of RunHistory::evaluated
  double seconds = 0, eval_seconds = 0, images_per_second = 0;
};

/// Of one quantity over the channels of a batch norm.
struct Spread {
  double low = 0, median = 0, high = 0;
};

/// What one batch norm read and kept, before the update of that step.
struct NormPoint {
  std::int64_t step = 0;
  Percentiles input{};
  Spread batch_mean, batch_var, running_mean, running_var, gamma, beta;
  double gradient_output = 0, gradient_input = 0;
};

/// What one activation layer read.
struct ActivationPoint {
  std::int64_t step = 0;
  Percentiles unit{};  ///< of unit or channel 0
  Percentiles all{};
};

/// How many points of a layer are kept, more than are drawn: a run may have millions.
inline constexpr std::size_t most_layer_points = 2000;

/// The points of one layer: all, or of very many those whose steps are `stride` apart, and the last one.
template <class Point>
struct LayerHistory {
  std::string layer;
  std::vector<Point> points = {};
  std::int64_t first = -1;  ///< the step that the others are counted from
  std::int64_t stride = 1;

  bool keeps(std::int64_t step) const { return first < 0 || (step - first) % stride == 0; }
};

/// What a record inside the network is of, by its line.
struct LayerRecord {
  bool norm = false;  ///< else of an activation layer
  std::int64_t step = 0;
  std::string_view layer = {};
};

struct RunHistory {
  std::string name;             ///< for people
  Json start = Json::object();  ///< the first record; an empty object where it is missing
  Json end;                     ///< the last one; null where the run has not ended
  // In the order of their steps, each step once: where a resumed run made it again, as it was the last time.
  std::vector<StepPoint> steps;
  std::vector<EvaluationPoint> evaluations;
  std::vector<EpochPoint> epochs;
  std::vector<LayerHistory<NormPoint>> norms;
  std::vector<LayerHistory<ActivationPoint>> activations;
  std::string evaluated = "test";  ///< the images of the evaluations: "test" or "valid"
  /// What is not there or could not be read, a sentence each.
  std::vector<std::string> missing;

  /// Takes up one record; false when it is none of a training run. Records of other kinds than those above
  /// are passed over.
  bool add(const Json& record);
  /// Whether add() would keep the record only until the next one of its layer comes.
  bool passes_over(const LayerRecord& record) const;

  /// A setting by its flag's name, as text; "" where the run does not say.
  std::string setting(const std::string& flag) const;
  /// Updates so far.
  std::int64_t last_step() const;
  /// Updates of the whole run; 0 where it does not say.
  std::int64_t total_steps() const;
};

/// The number under that name; NaN where there is none.
double number_in(const Json& record, const char* name);
/// The whole number from 0 under that name; -1 where there is none.
std::int64_t count_in(const Json& record, const char* name);
/// The text under that name; "" where there is none.
std::string text_in(const Json& record, const char* name);
/// The object under that name; an empty one where there is none.
Json object_in(const Json& record, const char* name);

/// Never throws for what the lines hold: `missing` says what was left out.
RunHistory read_history(std::istream& lines, const std::string& name);
/// Of a file. Throws Error(data) where it cannot be opened or none of its lines is a record.
RunHistory read_history(const std::filesystem::path& file, const std::string& name);

}  // namespace bntrain::report
