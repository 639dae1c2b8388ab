#include "backend/cpu/thread_team.hpp"

#include <string>
#include <system_error>

#include "bntrain/error.hpp"

namespace bntrain::cpu {
namespace {

// A thread that sleeps wakes 25 to 50 us after it could go on, some ten times a step. So it looks again and
// again for about as long before it sleeps, which costs another program on its core little.
constexpr int kLooks = 2000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Returns when the value has changed from `old`, after `looks` looks asleep.
template <class T>
T wait_for_change(const std::atomic<T>& value, T old, int looks) {
  for (int i = 0; i < looks; ++i) {
    if (const T now = value.load(std::memory_order_acquire); now != old) return now;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

ThreadTeam::ThreadTeam(int threads) {
  BNTRAIN_EXPECTS(threads >= 1);
  // With more threads than processors the one that is waited for may need the processor of the one that
  // looks.
  looks_ = threads <= static_cast<int>(std::thread::hardware_concurrency()) ? kLooks : 0;
  workers_.reserve(static_cast<std::size_t>(threads - 1));
  try {
    for (int thread = 1; thread < threads; ++thread) workers_.emplace_back([this, thread] { work(thread); });
  } catch (const std::system_error& error) {
    const std::string started = std::to_string(workers_.size() + 1);
    stop();
    throw Error(ErrorKind::runtime, "threads",
                "only " + started + " of " + std::to_string(threads) + " threads can be started (" +
                    error.code().message() + "), for limits such as ulimit -u and -v or a container's " +
                    "number of processes; 1 needs no other thread");
  }
}

ThreadTeam::~ThreadTeam() {
  stop();
}

void ThreadTeam::stop() {
  stop_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadTeam::run(std::int64_t count, const void* task, Call call) {
  task_ = task;
  call_ = call;
  count_ = count;
  next_.store(0, std::memory_order_relaxed);
  if (!workers_.empty() && count > 1) {
    busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    take_tasks(0);
    for (int busy = busy_.load(std::memory_order_acquire); busy != 0;)
      busy = wait_for_change(busy_, busy, looks_);
  } else {
    take_tasks(0);
  }
}

void ThreadTeam::take_tasks(int thread) {
  for (std::int64_t number = next_.fetch_add(1, std::memory_order_relaxed); number < count_;
       number = next_.fetch_add(1, std::memory_order_relaxed))
    call_(task_, number, thread);
}

void ThreadTeam::work(int thread) {
  for (std::uint32_t seen = 0;;) {
    wait_for_change(round_, seen, looks_);
    ++seen;
    if (stop_) return;
    take_tasks(thread);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
  }
}

}  // namespace bntrain::cpu
