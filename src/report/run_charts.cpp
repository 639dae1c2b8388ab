#include "report/run_charts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "bntrain/error.hpp"
#include "bntrain/optimizer.hpp"
#include "report/run_words.hpp"

namespace bntrain::report {
namespace {

constexpr double two_decades = 100;

template <class Point, class Get>
std::vector<double> values(const std::vector<Point>& points, const Get& get) {
  std::vector<double> result;
  result.reserve(points.size());
  for (const Point& point : points) result.push_back(static_cast<double>(std::invoke(get, point)));
  return result;
}

/// Where settings were changed and where the run diverged.
std::vector<Mark> step_marks(const RunHistory& run) {
  std::vector<Mark> marks;
  for (const SettingChange& change : changes_of(run))
    marks.push_back({static_cast<double>(change.step), change.setting + " changed"});
  if (const Json divergence = object_in(run.end, "divergence"); count_in(divergence, "step") >= 0)
    marks.push_back({number_in(divergence, "step"), "diverged"});
  return marks;
}

/// By epoch: the training images' and the evaluated ones'.
Chart epoch_chart(const RunHistory& run, const std::string& what, double EpochPoint::*train,
                  double EpochPoint::*evaluated) {
  const std::vector<double> x = values(run.epochs, &EpochPoint::epoch);
  Chart chart{.id = what + "-by-epoch",
              .title = what == "loss" ? "Loss by epoch" : "Accuracy by epoch",
              .x_label = "epoch",
              .y_label = what};
  chart.series.push_back({.name = "train", .x = x, .y = values(run.epochs, train)});
  chart.series.push_back({.name = run.evaluated == "valid" ? "validation" : "test",
                          .x = x,
                          .y = values(run.epochs, evaluated),
                          .color = 1});
  const double final_test = number_in(run.end, ("test_" + what).c_str()),
               best = number_in(run.end, "best_epoch");
  if (std::isfinite(final_test) && std::isfinite(best)) {
    chart.series.push_back(
        {.name = "test, once at the end", .x = {best}, .y = {final_test}, .color = 2, .look = Look::points});
  }
  return chart;
}

/// By step: every one, their moving average, the evaluations. No series where no step was recorded.
Chart step_chart(const RunHistory& run, const std::string& what, double StepPoint::*train,
                 double EvaluationPoint::*within, double EpochPoint::*after) {
  Chart chart{.id = what + "-by-step",
              .title = what == "loss" ? "Loss by step" : "Accuracy by step",
              .x_label = "step",
              .y_label = what,
              .marks = step_marks(run)};
  if (run.steps.empty() && run.evaluations.empty()) return chart;
  const std::vector<double> x = values(run.steps, &StepPoint::step), y = values(run.steps, train);
  const double span = std::clamp(static_cast<double>(y.size()) / 50, 5.0, 500.0);
  if (!y.empty()) {
    chart.caption = fmt::format("Smoothed: exponential moving average over about {:.0f} steps.", span);
    chart.series.push_back({.name = "train, every step", .x = x, .y = y, .look = Look::faint});
    chart.series.push_back({.name = "train, smoothed", .x = x, .y = smoothed(y, span)});
  }
  std::vector<std::pair<double, double>> evaluations;
  for (const EvaluationPoint& point : run.evaluations)
    evaluations.emplace_back(static_cast<double>(point.step), point.*within);
  for (const EpochPoint& point : run.epochs)
    evaluations.emplace_back(static_cast<double>(point.step), point.*after);
  std::ranges::sort(evaluations, {}, &std::pair<double, double>::first);
  Series evaluated{.name = run.evaluated == "valid" ? "validation" : "test", .x = {}, .y = {}, .color = 1};
  for (const auto& [step, value] : evaluations) {
    evaluated.x.push_back(step);
    evaluated.y.push_back(value);
  }
  chart.series.push_back(std::move(evaluated));
  return chart;
}

Series band(const std::string& name, std::vector<double> x, std::vector<double> low, std::vector<double> high,
            int color) {
  return {.name = name,
          .x = std::move(x),
          .y = std::move(high),
          .low = std::move(low),
          .color = color,
          .look = Look::band};
}

template <class Point>
void add_percentiles(Chart& chart, const std::vector<Point>& points, Percentiles Point::*member,
                     const std::string& of, int color) {
  const auto at = [&](std::size_t i) {
    return values(points, [&](const Point& point) { return (point.*member)[i]; });
  };
  const std::vector<double> x = values(points, &Point::step);
  chart.series.push_back(band(of + "5 to 95%", x, at(0), at(4), color));
  chart.series.push_back(band(of + "15 to 85%", x, at(1), at(3), color));
  chart.series.push_back({.name = of + "median", .x = x, .y = at(2), .color = color});
}

/// Smallest to largest channel, and the median one.
void add_spread(Chart& chart, const std::vector<NormPoint>& points, Spread NormPoint::*member,
                const std::string& of, int color) {
  const auto of_spread = [&](double Spread::*part) {
    return values(points, [&](const NormPoint& point) { return point.*member.*part; });
  };
  const std::vector<double> x = values(points, &NormPoint::step);
  chart.series.push_back(
      band(of + ", all channels", x, of_spread(&Spread::low), of_spread(&Spread::high), color));
  chart.series.push_back({.name = of + ", median channel",
                          .x = x,
                          .y = of_spread(&Spread::median),
                          .color = color,
                          .look = color == 0 ? Look::line : Look::dashed});
}

/// What a damaged file says beyond it would overflow.
std::int64_t limited(std::int64_t count) {
  return std::clamp<std::int64_t>(count, 0, 1'000'000'000'000);
}

/// Of a schedule that was changed its length is not recorded, and so none of its rates is known.
std::int64_t schedule_known_from(const RunHistory& run) {
  std::int64_t from = 0;
  for (const SettingChange& change : changes_of(run))
    if (change.setting == "schedule" || change.setting == "warmup" || change.setting == "schedule-steps")
      from = std::max(from, limited(change.step));
  return from;
}

struct RatePart {
  std::int64_t end = 0;  ///< before this step
  Schedule schedule;
};

/// By the learning rates that were changed from, and the last one. Throws Error where a setting is missing.
std::vector<RatePart> rate_parts(const RunHistory& run) {
  const Json config = object_in(run.start, "config");
  const std::int64_t total = limited(run.total_steps());
  const std::int64_t per_epoch = limited(count_in(run.start, "steps_per_epoch"));
  if (total == 0 || per_epoch == 0) throw Error(ErrorKind::data, "");
  std::vector<RatePart> parts;
  const auto add = [&](std::int64_t end, const Json& settings, const char* name) {
    const double lr = number_in(settings, name);
    if (!std::isfinite(lr)) throw Error(ErrorKind::data, "");
    parts.push_back({end, Schedule({.text = text_in(config, "schedule"),
                                    .warmup = limited(count_in(config, "warmup")),
                                    .steps = limited(count_in(config, "schedule-steps"))},
                                   lr, total, per_epoch)});
  };
  const auto changes = run.start.find("changes");
  if (changes != run.start.end() && changes->is_array()) {
    for (const Json& change : *changes)
      if (text_in(change, "setting") == "lr") add(limited(count_in(change, "step")), change, "from");
  }
  add(std::numeric_limits<std::int64_t>::max(), config, "lr");
  return parts;
}

}  // namespace

std::vector<double> smoothed(const std::vector<double>& input, double span) {
  const double keep = 1 - 1 / span;
  double sum = 0, weight = 0;
  std::vector<double> result;
  result.reserve(input.size());
  for (const double value : input) {
    if (std::isfinite(value)) {
      sum = keep * sum + (1 - keep) * value;
      weight = keep * weight + (1 - keep);
    }
    result.push_back(weight > 0 ? sum / weight : nan);
  }
  return result;
}

Series learning_rates(const RunHistory& run, std::vector<std::string>& missing) {
  Series series{.name = "learning rate", .x = {}, .y = {}};
  if (!run.steps.empty()) {
    series.x = values(run.steps, &StepPoint::step);
    series.y = values(run.steps, &StepPoint::lr);
    return series;
  }
  const std::int64_t steps = limited(run.last_step()), known_from = schedule_known_from(run);
  try {
    const std::vector<RatePart> parts = rate_parts(run);
    constexpr std::size_t most = 2000;
    for (const std::size_t i :
         evenly(static_cast<std::size_t>(std::max<std::int64_t>(steps - known_from, 0)), most)) {
      const std::int64_t step = known_from + static_cast<std::int64_t>(i);
      const auto part = std::ranges::find_if(parts, [&](const RatePart& one) { return step < one.end; });
      series.x.push_back(static_cast<double>(step));
      series.y.push_back(part->schedule.lr(step));
    }
    if (known_from > 0)
      missing.push_back(
          fmt::format("The learning rates before step {}, where the schedule was changed, were not recorded; "
                      "--log-every records every step.",
                      known_from));
  } catch (const Error&) {
    if (steps > 0) missing.emplace_back("The learning rates of the steps were not recorded.");
  }
  return series;
}

std::vector<Chart> curve_charts(const RunHistory& run) {
  std::vector<Chart> charts;
  charts.push_back(epoch_chart(run, "loss", &EpochPoint::train_loss, &EpochPoint::loss));
  charts.push_back(epoch_chart(run, "accuracy", &EpochPoint::train_accuracy, &EpochPoint::accuracy));
  charts.push_back(step_chart(run, "loss", &StepPoint::loss, &EvaluationPoint::loss, &EpochPoint::loss));
  charts.push_back(
      step_chart(run, "accuracy", &StepPoint::accuracy, &EvaluationPoint::accuracy, &EpochPoint::accuracy));
  std::vector<std::string> ignored;
  charts.push_back({.id = "learning-rate",
                    .title = "Learning rate",
                    .x_label = "step",
                    .y_label = "learning rate",
                    .series = {learning_rates(run, ignored)},
                    .marks = step_marks(run),
                    .from_zero = true});
  charts.push_back({.id = "speed",
                    .title = "Training speed",
                    .x_label = "epoch",
                    .y_label = "images a second",
                    .series = {{.name = "images a second",
                                .x = values(run.epochs, &EpochPoint::epoch),
                                .y = values(run.epochs, &EpochPoint::images_per_second)}},
                    .from_zero = true});
  return charts;
}

std::vector<Chart> norm_charts(const LayerHistory<NormPoint>& layer, const std::string& id) {
  const std::vector<NormPoint>& points = layer.points;
  std::vector<Chart> charts;
  const auto chart = [&](const char* name, const std::string& title, const char* y) -> Chart& {
    return charts.emplace_back(Chart{.id = id + name, .title = title, .x_label = "step", .y_label = y});
  };
  add_percentiles(chart("input", "Input: percentiles", "value"), points, &NormPoint::input, "", 0);
  Chart& mean = chart("mean", "Mean: batch and running", "mean");
  add_spread(mean, points, &NormPoint::batch_mean, "batch", 0);
  add_spread(mean, points, &NormPoint::running_mean, "running", 1);
  Chart& variance = chart("var", "Variance: batch and running", "variance");
  add_spread(variance, points, &NormPoint::batch_var, "batch", 0);
  add_spread(variance, points, &NormPoint::running_var, "running", 1);
  scale_by_span(variance, two_decades);
  Chart& affine = chart("affine", "gamma and beta", "value");
  add_spread(affine, points, &NormPoint::gamma, "gamma", 0);
  add_spread(affine, points, &NormPoint::beta, "beta", 1);
  Chart& gradients = chart("gradients", "Gradient norms", "norm");
  const std::vector<double> x = values(points, &NormPoint::step);
  gradients.series = {{.name = "of its output", .x = x, .y = values(points, &NormPoint::gradient_output)},
                      {.name = "of its input",
                       .x = x,
                       .y = values(points, &NormPoint::gradient_input),
                       .color = 1,
                       .look = Look::dashed}};
  scale_by_span(gradients, two_decades);
  return charts;
}

std::vector<Chart> activation_charts(const LayerHistory<ActivationPoint>& layer, const std::string& id) {
  Chart all{
      .id = id + "all", .title = "Input: percentiles over all units", .x_label = "step", .y_label = "value"};
  add_percentiles(all, layer.points, &ActivationPoint::all, "", 0);
  Chart unit{
      .id = id + "unit", .title = "Input: percentiles of unit 0", .x_label = "step", .y_label = "value"};
  add_percentiles(unit, layer.points, &ActivationPoint::unit, "", 0);
  return {std::move(all), std::move(unit)};
}

}  // namespace bntrain::report
