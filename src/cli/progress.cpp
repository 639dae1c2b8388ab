#include "cli/progress.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

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

void Progress::update(const std::string& before, std::int64_t done, std::int64_t total,
                      const std::string& after) {
  const auto now = Clock::now();
  if (!enabled_ || done <= 0 ||
      std::chrono::duration<double>(now - last_).count() < seconds_between_drawings) {
    return;
  }
  last_ = now;
  drawn_ = true;
  const double share = static_cast<double>(done) / static_cast<double>(total);
  const double left = std::chrono::duration<double>(now - start_).count() * (1 / share - 1);
  const int filled = std::clamp(static_cast<int>(share * bar_width), 0, bar_width);
  fmt::print(stderr, "\r{} [{:=<{}}{:<{}}] {:3.0f}% {} ETA {}\x1b[K", before, "", filled, "",
             bar_width - filled, 100 * share, after, duration(left));
  std::fflush(stderr);
}

void Progress::clear() {
  if (!drawn_) return;
  drawn_ = false;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
}

}  // namespace bntrain::cli
