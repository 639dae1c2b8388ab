#include "cli/progress.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

namespace bntrain::cli {
namespace {

constexpr int bar_width = 30;
constexpr double seconds_between_drawings = 0.1;

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::ceil(seconds));
  return whole < 3600 ? fmt::format("{}:{:02}", whole / 60, whole % 60)
                      : fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace

void Progress::update(std::int64_t epoch, std::int64_t steps, double loss) {
  const auto now = Clock::now();
  if (!enabled_ || steps <= 0 ||
      std::chrono::duration<double>(now - last_).count() < seconds_between_drawings) {
    return;
  }
  last_ = now;
  drawn_ = true;
  const double done = static_cast<double>(steps) / static_cast<double>(total_);
  const double left = std::chrono::duration<double>(now - start_).count() * (1 / done - 1);
  const int filled = std::clamp(static_cast<int>(done * bar_width), 0, bar_width);
  fmt::print(stderr, "\rEpoch {} [{:=<{}}{:<{}}] {:3.0f}% loss {:.4f} ETA {}\x1b[K", epoch, "", filled, "",
             bar_width - filled, 100 * done, loss, duration(left));
  std::fflush(stderr);
}

void Progress::clear() {
  if (!drawn_) return;
  drawn_ = false;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
}

}  // namespace bntrain::cli
