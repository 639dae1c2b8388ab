#include "cli/commands/interrupt.hpp"

#include <csignal>

namespace bntrain::cli {
namespace {

// A signal handler can reach nothing but statics; these are the program's only ones.
std::atomic<bool> stop_requested{false};
volatile std::sig_atomic_t received = 0;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

extern "C" void request_stop(int signal) {
  received = signal;
  stop_requested = true;
}

void install(void (*handler)(int), int flags) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  received = 0;
  stop_requested = false;
  // SA_RESETHAND gives a second Ctrl-C its usual meaning: the user does not want to wait. SA_RESTART keeps
  // writes whole.
  install(request_stop, static_cast<int>(SA_RESETHAND) | SA_RESTART);
}

InterruptGuard::~InterruptGuard() {
  install(SIG_DFL, 0);
}

const std::atomic<bool>& InterruptGuard::requested() const {
  return stop_requested;
}

int InterruptGuard::signal() const {
  return received;
}

}  // namespace bntrain::cli
