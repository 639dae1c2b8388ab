#include "bntrain/optimizer.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "bntrain/error.hpp"
#include "core/number_text.hpp"

namespace bntrain {
namespace {

using Rate = std::function<double(std::int64_t t)>;

struct Setting {
  double lr;
  std::int64_t steps, steps_per_epoch;
};

constexpr double max_factor = 1e6;  // of a learning rate; keeps them finite
constexpr double max_rate = 1e38, max_step = 1e15;

[[noreturn]] void refuse(const std::string& problem) {
  throw Error(ErrorKind::usage, "schedule", problem);
}

/// The number that `text` is. `form` is the schedule's and `what` the part of it that the text stands for.
double number(const std::string& text, const char* form, const char* what, double least, double most,
              bool whole = false) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && rest == end && value >= least && value <= most &&
      (!whole || std::floor(value) == value))
    return value;
  refuse(std::string(form) + " needs " + what + ", " + (whole ? "a whole number" : "a number") + " from " +
         shortest_text(least) + " to " + shortest_text(most) + ", not '" + text + "'");
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

// One function a schedule: its rate. The arguments are what follows the first colon.

Rate constant(const std::string&, const Setting& s) {
  return [lr = s.lr](std::int64_t) { return lr; };
}

Rate step_decay(const std::string& arguments, const Setting& s) {
  const char* form = "step:EPOCHS:GAMMA";
  const std::vector<std::string> parts = split(arguments, ':');
  if (parts.size() != 2) refuse(std::string(form) + " needs two numbers, not '" + arguments + "'");
  const double epochs = number(parts[0], form, "EPOCHS", 1, 1e6, true);
  const double gamma = number(parts[1], form, "GAMMA", 0, max_factor);
  const std::int64_t period = static_cast<std::int64_t>(epochs) * s.steps_per_epoch;
  return [lr = s.lr, gamma, period](std::int64_t t) {
    return lr * std::pow(gamma, static_cast<double>(t / period));
  };
}

Rate cosine(const std::string& arguments, const Setting& s) {
  const double least = arguments.empty() ? 0 : number(arguments, "cosine:MIN", "MIN", 0, max_rate);
  return [s, least](std::int64_t t) {
    return anneal(s.lr, least, static_cast<double>(t) / std::max(1.0, static_cast<double>(s.steps)));
  };
}

/// Smith and Topin 2017, arXiv 1708.07120.
Rate one_cycle(const std::string&, const Setting& s) {
  return [s](std::int64_t t) {
    const double start = s.lr / 25, end = start / 1e4;
    if (s.steps == 0) return start;  // the warm-up is the whole run
    const auto last = static_cast<double>(s.steps - 1);
    const double top = 0.3 * static_cast<double>(s.steps) - 1, at = static_cast<double>(t);
    if (at <= top) return anneal(start, s.lr, top > 0 ? at / top : 1);
    return anneal(s.lr, end, last > top ? (at - top) / (last - top) : 1);
  };
}

Rate linear(const std::string& arguments, const Setting& s) {
  const char* form = "linear:STEP=FACTOR,...";
  std::vector<std::pair<double, double>> points;
  for (const std::string& part : split(arguments, ',')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos) refuse(std::string(form) + " needs STEP=FACTOR, not '" + part + "'");
    const double step = number(part.substr(0, equals), form, "STEP", 0, max_step, true);
    const double factor = number(part.substr(equals + 1), form, "FACTOR", 0, max_factor);
    if (!points.empty() && points.back().first >= step)
      refuse(std::string(form) + " needs rising steps: '" + part + "' follows step " +
             shortest_text(points.back().first));
    points.emplace_back(step, factor);
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

enum class Arguments { none, optional, required };

struct ScheduleType {
  std::string_view keyword;
  Arguments arguments;
  const char* form;
  Rate (*make)(const std::string& arguments, const Setting& setting);
};

constexpr ScheduleType types[] = {
    {"constant", Arguments::none, "constant", constant},
    {"step", Arguments::required, "step:EPOCHS:GAMMA", step_decay},
    {"cosine", Arguments::optional, "cosine[:MIN]", cosine},
    {"onecycle", Arguments::none, "onecycle", one_cycle},
    {"linear", Arguments::required, "linear:STEP=FACTOR,...", linear},
};

Rate make_rate(const std::string& text, const Setting& setting) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string keyword = text.substr(0, colon),
                    arguments = text.substr(std::min(colon + 1, text.size()));
  std::string allowed;
  for (const ScheduleType& type : types) {
    allowed += (allowed.empty() ? "" : ", ") + std::string(type.form);
    if (type.keyword != keyword) continue;
    const bool colon_fits = colon == text.size() ? type.arguments != Arguments::required
                                                 : type.arguments != Arguments::none && !arguments.empty();
    if (!colon_fits) refuse("'" + text + "' is not of the form " + type.form);
    return type.make(arguments, setting);
  }
  refuse("'" + keyword + "' is no schedule; allowed: " + allowed);
}

}  // namespace

Schedule::Schedule(const ScheduleOptions& options, double lr, std::int64_t steps,
                   std::int64_t steps_per_epoch)
    : warmup_(options.warmup), steps_(options.steps > 0 ? options.steps : steps) {
  BNTRAIN_EXPECTS(warmup_ >= 0 && steps_ >= 0 && steps_per_epoch > 0);
  rate_ = make_rate(options.text, {lr, std::max<std::int64_t>(steps_ - warmup_, 0), steps_per_epoch});
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
