#include "formats/progress_json.hpp"

#include <cmath>
#include <limits>
#include <string>

namespace bntrain {
namespace {

using nlohmann::json;

// JSON has no infinity and no NaN, and a loss on the test set may be either. Finite doubles are read back bit
// for bit: nlohmann writes the shortest text that reads back the same.
json exact_json(double value) {
  return std::isfinite(value) ? json(value) : json(std::to_string(value));
}

double exact_double(const json& stored) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double value : {infinity, -infinity, nan, -nan}) {
    if (stored == std::to_string(value)) return value;
  }
  return stored.get<double>();
}

// get() would take a number with a fraction too, and one that no integer can hold is undefined then.
std::int64_t integer(const json& stored) {
  return stored.get_ref<const json::number_integer_t&>();
}

// Loops over objects and over null would be no errors.
const json::array_t& list(const json& stored) {
  return stored.get_ref<const json::array_t&>();
}

json averages_json(const AverageMetrics& metrics) {
  return {exact_json(metrics.loss), metrics.accuracy, exact_json(metrics.loss_batch_mean),
          metrics.accuracy_batch_mean, metrics.count};
}

AverageMetrics averages_from(const json& stored) {
  return {.loss = exact_double(stored.at(0)),
          .accuracy = stored.at(1).get<double>(),
          .loss_batch_mean = exact_double(stored.at(2)),
          .accuracy_batch_mean = stored.at(3).get<double>(),
          .count = integer(stored.at(4))};
}

}  // namespace

json progress_json(const TrainProgress& progress) {
  json stored = {{"seed", progress.seed},
                 {"steps", progress.steps},
                 {"train_seconds", progress.train_seconds},
                 {"measured", json::array()},
                 {"epochs", json::array()}};
  for (const StepMetrics& step : progress.measured)
    stored["measured"].push_back({exact_json(step.loss_sum), step.correct, step.count});
  for (const EpochResult& epoch : progress.epochs) {
    stored["epochs"].push_back({{"steps", epoch.steps},
                                {"train", averages_json(epoch.train)},
                                {"test", averages_json(epoch.test)},
                                {"train_seconds", epoch.train_seconds},
                                {"eval_seconds", epoch.eval_seconds}});
  }
  return stored;
}

TrainProgress progress_from(const json& stored) {
  TrainProgress progress;
  progress.seed = stored.at("seed").get_ref<const json::number_unsigned_t&>();
  progress.steps = integer(stored.at("steps"));
  progress.train_seconds = stored.at("train_seconds").get<double>();
  for (const json& step : list(stored.at("measured"))) {
    progress.measured.push_back({exact_double(step.at(0)), integer(step.at(1)), integer(step.at(2))});
  }
  for (const json& epoch : list(stored.at("epochs"))) {
    EpochResult result;
    result.epoch = static_cast<std::int64_t>(progress.epochs.size());
    result.steps = integer(epoch.at("steps"));
    result.train = averages_from(epoch.at("train"));
    result.test = averages_from(epoch.at("test"));
    result.train_seconds = epoch.at("train_seconds").get<double>();
    result.eval_seconds = epoch.at("eval_seconds").get<double>();
    progress.epochs.push_back(result);
  }
  return progress;
}

}  // namespace bntrain
