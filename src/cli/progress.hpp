// A progress bar that redraws one line of stderr.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace bntrain::cli {

class Progress {
 public:
  /// Draws nothing at all unless `enabled`.
  explicit Progress(bool enabled) : enabled_(enabled) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// "BEFORE [=====     ]  50% AFTER ETA 1:30", from the time since construction.
  void update(const std::string& before, std::int64_t done, std::int64_t total, const std::string& after);
  /// Takes the bar away, so that other text can be written.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool enabled_;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = {};
};

}  // namespace bntrain::cli
