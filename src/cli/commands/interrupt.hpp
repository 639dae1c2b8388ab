// Ctrl-C, SIGTERM and SIGHUP as a request to end after the current step.
#pragma once

#include <array>
#include <atomic>
#include <csignal>

namespace bntrain::cli {

/// While it lives, the first SIGINT, SIGTERM or SIGHUP sets `requested()`, and another one more than a
/// second later ends the process at once. (Some that run programs send a signal to the process and to its
/// group, and a terminal that is closed is told by the kernel and by the shell.) A signal that was ignored
/// stays ignored.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  const std::atomic<bool>& requested() const;
  /// The signal that came, or 0.
  int signal() const;

 private:
  std::array<struct sigaction, 3> before_ = {};
};

}  // namespace bntrain::cli
