#include "formats/progress_json.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <utility>

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

json epoch_json(const EpochResult& epoch) {
  return {{"epoch", epoch.epoch},
          {"steps", epoch.steps},
          {"train", averages_json(epoch.train)},
          {"test", averages_json(epoch.test)},
          {"train_seconds", epoch.train_seconds},
          {"eval_seconds", epoch.eval_seconds}};
}

EpochResult epoch_from(const json& stored, std::int64_t number) {
  EpochResult epoch;
  epoch.epoch = number;
  epoch.steps = integer(stored.at("steps"));
  epoch.train = averages_from(stored.at("train"));
  epoch.test = averages_from(stored.at("test"));
  epoch.train_seconds = stored.at("train_seconds").get<double>();
  epoch.eval_seconds = stored.at("eval_seconds").get<double>();
  return epoch;
}

/// What all formats have.
TrainProgress begin_progress(const json& stored) {
  TrainProgress progress;
  progress.seed = stored.at("seed").get_ref<const json::number_unsigned_t&>();
  progress.steps = integer(stored.at("steps"));
  progress.train_seconds = stored.at("train_seconds").get<double>();
  return progress;
}

}  // namespace

void EpochHistory::add(const EpochResult& epoch) {
  ++count;
  train_seconds += epoch.train_seconds;
  if (epoch.test.count == 0) return;
  if (!best || epoch.test.accuracy > best->test.accuracy) best = epoch;
  last = epoch;
}

json progress_json(const TrainProgress& progress) {
  const auto& [count, seconds, best, last] = progress.epochs;
  json epochs = {{"count", count}, {"train_seconds", seconds}};
  if (best) epochs["best"] = epoch_json(*best);
  if (last) epochs["last"] = epoch_json(*last);
  return {{"seed", progress.seed},
          {"steps", progress.steps},
          {"train_seconds", progress.train_seconds},
          {"epochs", std::move(epochs)}};
}

TrainProgress progress_from(const json& stored) {
  TrainProgress progress = begin_progress(stored);
  const json& epochs = stored.at("epochs");
  auto& [count, seconds, best, last] = progress.epochs;
  count = integer(epochs.at("count"));
  seconds = epochs.at("train_seconds").get<double>();
  if (count == 0) return progress;
  best = epoch_from(epochs.at("best"), integer(epochs.at("best").at("epoch")));
  last = epoch_from(epochs.at("last"), integer(epochs.at("last").at("epoch")));
  return progress;
}

TrainProgress progress_from_lists(const json& stored) {
  TrainProgress progress = begin_progress(stored);
  for (const json& step : list(stored.at("measured")))
    progress.measured.push_back({exact_double(step.at(0)), integer(step.at(1)), integer(step.at(2))});
  for (const json& epoch : list(stored.at("epochs")))
    progress.epochs.add(epoch_from(epoch, progress.epochs.count));
  return progress;
}

}  // namespace bntrain
