#include "cli/commands/interrupt.hpp"

#include <csignal>
#include <ctime>

namespace bntrain::cli {
namespace {

constexpr std::array<int, 3> signals = {SIGINT, SIGTERM, SIGHUP};

// A signal handler can reach nothing but statics; these are the program's only ones.
std::atomic<bool> stop_requested{false};
std::atomic<std::time_t> requested_at{0};
volatile std::sig_atomic_t received = 0;
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<std::time_t>::is_always_lock_free,
              "a signal handler sets them");

std::time_t seconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

extern "C" void request_stop(int signal) {
  if (!stop_requested) {
    received = signal;
    requested_at = seconds();
    stop_requested = true;
  } else if (seconds() > requested_at + 1) {
    // The user does not want to wait. It takes effect when the handler returns.
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

}  // namespace

InterruptGuard::InterruptGuard() {
  received = 0;
  stop_requested = false;
  struct sigaction action = {};
  action.sa_handler = request_stop;
  action.sa_flags = SA_RESTART;  // keeps writes whole
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < signals.size(); ++i) {
    sigaction(signals[i], nullptr, &before_[i]);
    // nohup, a shell's '&' and trap '' ask for that
    if (before_[i].sa_handler != SIG_IGN) sigaction(signals[i], &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  for (std::size_t i = 0; i < signals.size(); ++i) sigaction(signals[i], &before_[i], nullptr);
}

const std::atomic<bool>& InterruptGuard::requested() const {
  return stop_requested;
}

int InterruptGuard::signal() const {
  return received;
}

}  // namespace bntrain::cli
