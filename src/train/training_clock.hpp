// The time that training takes, without what is done between its steps.
#pragma once

#include <chrono>

namespace bntrain {

/// Wall-clock seconds from construction on, without those of its pauses.
class TrainingClock {
 public:
  /// Begins with the seconds of an earlier part of the same epoch.
  explicit TrainingClock(double seconds = 0) : seconds_before_(seconds) {}

  double seconds() const { return seconds_before_ + since(start_) - paused_; }

  /// Runs `action` without counting its time, which is returned. The steps before it must have been waited
  /// for, or the pause would include their time.
  template <typename Action>
  double pause_for(const Action& action) {
    const auto begin = Clock::now();
    action();
    const double seconds = since(begin);
    paused_ += seconds;
    return seconds;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  double seconds_before_;
  double paused_ = 0;
  Clock::time_point start_ = Clock::now();
};

}  // namespace bntrain
