// A progress bar that redraws one line of stderr.
#pragma once

#include <chrono>
#include <cstdint>

namespace bntrain::cli {

class Progress {
 public:
  /// Draws nothing at all unless `enabled`.
  Progress(bool enabled, std::int64_t total_steps) : enabled_(enabled), total_(total_steps) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::int64_t epoch, std::int64_t steps, double loss);
  /// Takes the bar away, so that other text can be written.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool enabled_;
  bool drawn_ = false;
  std::int64_t total_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = {};
};

}  // namespace bntrain::cli
