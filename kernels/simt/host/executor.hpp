// Runs kernels on the host, one fiber for each thread of the resident blocks, and checks their accesses and
// barriers. Tests give a kernel's launcher `executor.stream()`; a launcher that gets the null stream runs
// with the default settings.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/simt/host/access_counts.hpp"
#include "kernels/simt/launch.hpp"

namespace bntrain::simt_host {

/// A kernel broke a rule: the message has kernel, block, thread, source line, and the array's name and index.
class SimtError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The order in which threads run. A correct kernel gives the same bits in all of them.
enum class Schedule {
  in_order,        ///< blocks and threads by number, each up to where it waits
  reverse,         ///< the last first
  warp_at_a_time,  ///< a warp until it waits, then the next
  random,          ///< two clusters at once, threads in random order; atomics let other threads run
};

struct Settings {
  Schedule schedule = Schedule::in_order;
  std::uint32_t seed = 1;
  bool count = false;  ///< fill Executor::counts(), which takes time
  /// The device that launchers see. Few multiprocessors, so that persistent kernels have something to loop
  /// over.
  kernels::DeviceLimits device = {.multiprocessors = 4,
                                  .compute_capability = 90,
                                  .shared_bytes_per_block = 227 * 1024,
                                  .l2_bytes = 1024 * 1024};
};

class Executor {
 public:
  explicit Executor(const Settings& settings = {}) : settings_(settings) {}

  /// A stream that runs on this executor, at once; max_blocks as in kernels::Stream.
  kernels::Stream stream(int max_blocks = 0) { return {reinterpret_cast<CUstream_st*>(this), max_blocks}; }

  void launch(const kernels::KernelCall& call, const kernels::LaunchConfig& config);

  /// Runs `work` in order with the launches.
  void enqueue(const std::function<void()>& work);

  /// From here on work is recorded instead of run, with its present arguments, as by stream capture.
  void begin_recording();
  /// The recorded work; each call runs it once.
  std::function<void()> end_recording();
  bool is_recording() const { return recorded_.has_value(); }

  const Settings& settings() const { return settings_; }
  /// All launches so far, so that tests can tell which variant ran.
  const std::vector<kernels::LaunchConfig>& launches() const { return launches_; }
  /// What each of them did, where Settings::count is set.
  const std::vector<LaunchCounts>& counts() const { return counts_; }

 private:
  Settings settings_;
  std::vector<kernels::LaunchConfig> launches_;
  std::vector<LaunchCounts> counts_;
  std::optional<std::vector<std::function<void()>>> recorded_;
};

/// One of each schedule, and two seeds of the random one.
std::vector<Settings> all_schedules();
std::string to_string(Schedule schedule);

}  // namespace bntrain::simt_host
