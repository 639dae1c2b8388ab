#include "report/run_history.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace bntrain::report {
namespace {

/// In its place by its step, over what was there of the same one.
template <class Point>
void put(std::vector<Point>& points, const Point& point) {
  const auto at = std::ranges::lower_bound(points, point.step, {}, &Point::step);
  if (at != points.end() && at->step == point.step)
    *at = point;
  else
    points.insert(at, point);
}

/// Doubles the stride until few enough are left. Steps, not their number, say which: a resumed run makes the
/// same ones again.
template <class Point>
void put(std::vector<LayerHistory<Point>>& layers, const std::string& name, const Point& point) {
  const auto found = std::ranges::find(layers, name, &LayerHistory<Point>::layer);
  LayerHistory<Point>& layer =
      found != layers.end() ? *found : layers.emplace_back(LayerHistory<Point>{.layer = name});
  std::vector<Point>& points = layer.points;
  if (layer.first < 0) layer.first = point.step;
  if (!points.empty() && !layer.keeps(points.back().step)) points.pop_back();
  put(points, point);
  while (points.size() > most_layer_points && layer.keeps(point.step)) {
    layer.stride *= 2;
    std::erase_if(points, [&](const Point& old) { return !layer.keeps(old.step) && old.step != point.step; });
  }
}

template <class Point>
bool passes_over(const std::vector<LayerHistory<Point>>& layers, const LayerRecord& record) {
  const auto found = std::ranges::find(layers, record.layer, &LayerHistory<Point>::layer);
  return found != layers.end() && !found->keeps(record.step);
}

Percentiles percentiles_in(const Json& record, const char* name) {
  static const Json none = Json::object();
  const auto found = record.find(name);
  const Json& values = found != record.end() && found->is_object() ? *found : none;
  Percentiles result{};
  for (std::size_t i = 0; i < percents.size(); ++i)
    result[i] = number_in(values, std::to_string(percents[i]).c_str());
  return result;
}

Spread spread_of(const Json& channels, const char* name) {
  std::vector<double> values;
  for (const Json& channel : channels) {
    if (const double value = number_in(channel, name); std::isfinite(value)) values.push_back(value);
  }
  if (values.empty()) return {nan, nan, nan};
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  const double upper = *middle;
  const double lower = values.size() % 2 == 1 ? upper : *std::max_element(values.begin(), middle);
  const auto [low, high] = std::ranges::minmax(values);
  return {low, (lower + upper) / 2, high};
}

EpochPoint epoch_point(const Json& record, const std::string& evaluated) {
  return {.step = count_in(record, "steps"),
          .epoch = count_in(record, "epoch"),
          .train_loss = number_in(record, "train_loss"),
          .train_accuracy = number_in(record, "train_accuracy"),
          .loss = number_in(record, (evaluated + "_loss").c_str()),
          .accuracy = number_in(record, (evaluated + "_accuracy").c_str()),
          .seconds = number_in(record, "seconds"),
          .eval_seconds = number_in(record, "eval_seconds"),
          .images_per_second = number_in(record, "images_per_second")};
}

NormPoint norm_point(const Json& record) {
  static const Json none = Json::array();
  const auto found = record.find("channels");
  const Json& channels = found != record.end() && found->is_array() ? *found : none;
  return {.step = count_in(record, "step"),
          .input = percentiles_in(record, "input_percentiles"),
          .batch_mean = spread_of(channels, "batch_mean"),
          .batch_var = spread_of(channels, "batch_var"),
          .running_mean = spread_of(channels, "running_mean"),
          .running_var = spread_of(channels, "running_var"),
          .gamma = spread_of(channels, "gamma"),
          .beta = spread_of(channels, "beta"),
          .gradient_output = number_in(record, "gradient_norm_output"),
          .gradient_input = number_in(record, "gradient_norm_input")};
}

}  // namespace

double number_in(const Json& record, const char* name) {
  const auto found = record.find(name);
  return found != record.end() && found->is_number() ? found->get<double>() : nan;
}

std::int64_t count_in(const Json& record, const char* name) {
  const auto found = record.find(name);
  if (found == record.end() || !found->is_number_integer()) return -1;
  if (found->is_number_unsigned() &&
      found->get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return -1;
  return std::max<std::int64_t>(found->get<std::int64_t>(), -1);
}

std::string text_in(const Json& record, const char* name) {
  const auto found = record.find(name);
  return found != record.end() && found->is_string() ? found->get<std::string>() : "";
}

Json object_in(const Json& record, const char* name) {
  const auto found = record.find(name);
  return found != record.end() && found->is_object() ? *found : Json::object();
}

bool RunHistory::add(const Json& record) {
  if (!record.is_object()) return false;
  const std::string event = text_in(record, "event");
  if (event == "start") {
    start = record;
    end = nullptr;
    return true;
  }
  if (event == "end") {
    end = record;
    return true;
  }
  if (event.empty() || (event != "epoch" && count_in(record, "step") < 0)) return false;
  if (event == "epoch" || event == "evaluation") {
    if (record.contains("valid_loss")) evaluated = "valid";
    end = nullptr;  // the run was resumed
  }
  const std::int64_t step = count_in(record, "step");
  if (event == "step") {
    put(steps,
        StepPoint{step, number_in(record, "loss"), number_in(record, "accuracy"), number_in(record, "lr")});
  } else if (event == "evaluation") {
    put(evaluations, EvaluationPoint{step, number_in(record, (evaluated + "_loss").c_str()),
                                     number_in(record, (evaluated + "_accuracy").c_str())});
  } else if (event == "epoch") {
    const EpochPoint point = epoch_point(record, evaluated);
    if (point.step < 0 || point.epoch < 0) return false;
    std::erase_if(epochs, [&](const EpochPoint& old) { return old.epoch == point.epoch; });
    put(epochs, point);
  } else if (event == "bn") {
    put(norms, text_in(record, "layer"), norm_point(record));
  } else if (event == "activation") {
    put(activations, text_in(record, "layer"),
        ActivationPoint{step, percentiles_in(record, "percentiles"),
                        percentiles_in(record, "all_percentiles")});
  }
  return true;
}

bool RunHistory::passes_over(const LayerRecord& record) const {
  return record.norm ? report::passes_over(norms, record) : report::passes_over(activations, record);
}

std::string RunHistory::setting(const std::string& flag) const {
  const Json config = object_in(start, "config");
  const auto found = config.find(flag);
  if (found == config.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : one_line(*found);
}

std::int64_t RunHistory::last_step() const {
  std::int64_t last = std::max<std::int64_t>(count_in(end, "steps"), 0);
  if (!steps.empty()) last = std::max(last, steps.back().step + 1);
  if (!evaluations.empty()) last = std::max(last, evaluations.back().step);
  if (!epochs.empty()) last = std::max(last, epochs.back().step);
  return last;
}

std::int64_t RunHistory::total_steps() const {
  return std::max<std::int64_t>(count_in(start, "total_steps"), 0);
}

}  // namespace bntrain::report
