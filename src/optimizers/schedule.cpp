#include "bntrain/optimizer.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

using Rate = std::function<double(std::int64_t t)>;

struct Setting {
  double lr;
  std::int64_t steps, steps_per_epoch;
};

constexpr double max_factor = 1e6;  // of a learning rate; keeps them finite

/// The whole text as a finite number.
std::optional<double> number(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char letter : text) {
    if (letter == separator)
      parts.emplace_back();
    else
      parts.back() += letter;
  }
  return parts;
}

/// From a to b along half a cosine, `part` from 0 to 1.
double anneal(double a, double b, double part) {
  return b + (a - b) / 2 * (1 + std::cos(std::numbers::pi * part));
}

// One function a schedule: its rate, or nothing where the arguments (what follows the first colon) are wrong.

std::optional<Rate> constant(const std::string& arguments, const Setting& s) {
  if (!arguments.empty()) return std::nullopt;
  return [lr = s.lr](std::int64_t) { return lr; };
}

std::optional<Rate> step_decay(const std::string& arguments, const Setting& s) {
  const std::vector<std::string> parts = split(arguments, ':');
  if (parts.size() != 2) return std::nullopt;
  const auto epochs = number(parts[0]), gamma = number(parts[1]);
  if (!epochs || *epochs < 1 || *epochs > 1e6 || std::floor(*epochs) != *epochs || !gamma || *gamma < 0 ||
      *gamma > max_factor)
    return std::nullopt;
  const std::int64_t period = static_cast<std::int64_t>(*epochs) * s.steps_per_epoch;
  return [lr = s.lr, gamma = *gamma, period](std::int64_t t) {
    return lr * std::pow(gamma, static_cast<double>(t / period));
  };
}

std::optional<Rate> cosine(const std::string& arguments, const Setting& s) {
  const auto least = arguments.empty() ? 0.0 : number(arguments);
  if (!least || *least < 0) return std::nullopt;
  return [s, least = *least](std::int64_t t) {
    return anneal(s.lr, least, static_cast<double>(t) / static_cast<double>(s.steps));
  };
}

/// Smith and Topin 2017, arXiv 1708.07120.
std::optional<Rate> one_cycle(const std::string& arguments, const Setting& s) {
  if (!arguments.empty()) return std::nullopt;
  return [s](std::int64_t t) {
    const double start = s.lr / 25, end = start / 1e4;
    const auto last = static_cast<double>(s.steps - 1);
    const double top = 0.3 * static_cast<double>(s.steps) - 1, at = static_cast<double>(t);
    if (at <= top) return anneal(start, s.lr, top > 0 ? at / top : 1);
    return anneal(s.lr, end, last > top ? (at - top) / (last - top) : 1);
  };
}

std::optional<Rate> linear(const std::string& arguments, const Setting& s) {
  std::vector<std::pair<double, double>> points;
  for (const std::string& part : split(arguments, ',')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos) return std::nullopt;
    const auto step = number(part.substr(0, equals)), factor = number(part.substr(equals + 1));
    if (!step || !factor || *factor < 0 || *factor > max_factor || *step < 0 || std::floor(*step) != *step)
      return std::nullopt;
    if (!points.empty() && points.back().first >= *step) return std::nullopt;
    points.emplace_back(*step, *factor);
  }
  return [lr = s.lr, points](std::int64_t t) {
    const auto at = static_cast<double>(t);
    const auto next = std::ranges::find_if(points, [&](const auto& point) { return point.first > at; });
    if (next == points.begin()) return lr * points.front().second;
    if (next == points.end()) return lr * points.back().second;
    const auto& [before, factor] = *std::prev(next);
    return lr * (factor + (next->second - factor) * (at - before) / (next->first - before));
  };
}

struct ScheduleType {
  std::string_view keyword, form;
  std::optional<Rate> (*make)(const std::string& arguments, const Setting& setting);
};

constexpr ScheduleType types[] = {
    {"constant", "constant", constant},
    {"step", "step:EPOCHS:GAMMA", step_decay},
    {"cosine", "cosine[:MIN]", cosine},
    {"onecycle", "onecycle", one_cycle},
    {"linear", "linear:STEP=FACTOR,... with rising steps", linear},
};

Rate make_rate(const std::string& text, const Setting& setting) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  std::string allowed;
  for (const ScheduleType& type : types) {
    if (type.keyword == text.substr(0, colon) && text.back() != ':') {
      const std::string arguments = colon < text.size() ? text.substr(colon + 1) : "";
      if (auto rate = type.make(arguments, setting)) return *std::move(rate);
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(type.form);
  }
  throw Error(ErrorKind::usage, "schedule", "'" + text + "' is no schedule; allowed: " + allowed);
}

}  // namespace

Schedule::Schedule(const ScheduleOptions& options, double lr, std::int64_t steps,
                   std::int64_t steps_per_epoch)
    : warmup_(options.warmup), steps_(options.steps > 0 ? options.steps : steps) {
  BNTRAIN_EXPECTS(warmup_ >= 0 && steps_ >= 0 && steps_per_epoch > 0);
  rate_ = make_rate(options.text, {lr, std::max<std::int64_t>(steps_ - warmup_, 1), steps_per_epoch});
}

double Schedule::lr(std::int64_t step) const {
  if (step < warmup_) return rate_(0) * (static_cast<double>(step + 1) / static_cast<double>(warmup_));
  const std::int64_t last = std::max<std::int64_t>(steps_ - 1, warmup_);
  return rate_(std::min(step, last) - warmup_);
}

void check_schedule(const std::string& text) {
  make_rate(text, {1, 1, 1});
}

}  // namespace bntrain
