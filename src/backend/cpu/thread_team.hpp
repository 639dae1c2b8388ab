// A fixed team of threads that runs numbered tasks.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace bntrain::cpu {

/// Which thread takes which task is left to chance (a core that is busy elsewhere then takes fewer), so a
/// task must write only what belongs to its number. Waiting threads sleep: with one core taken by another
/// program, a spinning OpenMP team was ten times slower. Tasks must not throw. One caller at a time.
class ThreadTeam {
 public:
  /// `threads` counts the caller, at least 1.
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Runs task(number, thread) for every number in [0, count) and returns when all are done.
  template <class Task>
  void for_each(std::int64_t count, const Task& task) {
    run(count, &task, [](const void* t, std::int64_t number, int thread) {
      (*static_cast<const Task*>(t))(number, thread);
    });
  }

 private:
  using Call = void (*)(const void* task, std::int64_t number, int thread);
  void run(std::int64_t count, const void* task, Call call);
  void take_tasks(int thread);
  void work(int thread);

  const void* task_ = nullptr;
  Call call_ = nullptr;
  std::int64_t count_ = 0;
  bool stop_ = false;
  alignas(64) std::atomic<std::int64_t> next_{0};
  alignas(64) std::atomic<std::uint32_t> round_{0};
  alignas(64) std::atomic<int> busy_{0};
  std::vector<std::thread> workers_;
};

}  // namespace bntrain::cpu
