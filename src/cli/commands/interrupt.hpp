// Ctrl-C and SIGTERM as a request to end after the current step.
#pragma once

#include <atomic>

namespace bntrain::cli {

/// While it lives, the first SIGINT or SIGTERM sets `requested()` and a second one ends the process at once.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  const std::atomic<bool>& requested() const;
  /// The signal that came, or 0.
  int signal() const;
};

}  // namespace bntrain::cli
