#include "kernels/simt/host/executor.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <utility>

#include "kernels/simt/host/device_memory.hpp"
#include "kernels/simt/host/launch_state.hpp"

namespace bntrain::simt_host {
namespace {

/// The entry of a fiber: runs the kernel and never returns.
void run_kernel() {
  Thread& thread = self();
  Launch& launch = launch_of(thread);
  try {
    launch.call.invoke(launch.call.kernel, launch.call.arguments);
    exit_thread(thread);
  } catch (...) {
    launch.error = std::current_exception();
  }
  thread.state = Thread::State::done;
  launch.scheduler.switch_from(thread.context);
}

void check(const kernels::LaunchConfig& c, const Settings& settings) {
  const auto expect = [&](bool condition, const char* what) {
    if (!condition) throw SimtError("kernel " + std::string(c.name) + ": " + what);
  };
  expect(c.grid > 0 && c.grid <= 0x7fff'ffff && c.grid_y > 0 && c.grid_y <= 65535,
         "the grid is empty or too large");
  expect(c.block > 0 && c.block <= 1024 && c.block % kLanes == 0,
         "the block is no multiple of 32 up to 1024 threads");
  expect(c.cluster > 0 && c.cluster <= 16 && c.grid % c.cluster == 0,
         "the grid is no multiple of a cluster up to 16");
  expect(c.cluster == 1 || settings.device.compute_capability >= 90, "clusters need compute capability 9.0");
  expect(c.shared_bytes >= 0 && c.shared_bytes <= settings.device.shared_bytes_per_block,
         "the device has less shared memory");
}

void check_arguments(const kernels::KernelCall& call, const kernels::LaunchConfig& config) {
#ifndef BNTRAIN_CLEARS_PADDING
  return;  // padding may hold old pointers
#endif
  for (std::size_t i = 0; i < call.sizes.size(); ++i)
    if (const std::string fault = argument_fault(call.arguments[i], call.sizes[i]); !fault.empty())
      throw SimtError("kernel " + std::string(config.name) + ": argument " + std::to_string(i + 1) + " " +
                      fault);
}

/// The values of a call's arguments.
class KeptArguments {
 public:
  explicit KeptArguments(const kernels::KernelCall& call) {
    for (std::size_t i = 0; i < call.sizes.size(); ++i) {
      constexpr std::size_t kUnit = sizeof(std::max_align_t);
      values_.emplace_back((call.sizes[i] + kUnit - 1) / kUnit);
      std::memcpy(values_.back().data(), call.arguments[i], call.sizes[i]);
    }
  }
  /// The same call with these arguments.
  kernels::KernelCall of(const kernels::KernelCall& call) {
    pointers_.clear();
    for (auto& value : values_) pointers_.push_back(value.data());
    return {call.kernel, pointers_.data(), call.invoke, call.sizes};
  }

 private:
  std::vector<std::vector<std::max_align_t>> values_;
  std::vector<void*> pointers_;
};

}  // namespace

Unit::Unit(Launch& owner, std::size_t count)
    : launch(owner),
      threads(count * static_cast<std::size_t>(owner.config.block)),
      blocks(count),
      clusters(count / static_cast<std::size_t>(owner.config.cluster)),
      stacks(threads.size()),
      order(threads.size()) {
  const auto block_size = static_cast<std::size_t>(launch.config.block);
  const auto cluster_size = static_cast<std::size_t>(launch.config.cluster);
  for (std::size_t c = 0; c < clusters.size(); ++c) {
    clusters[c].unit = this;
    clusters[c].blocks = &blocks[c * cluster_size];
  }
  for (std::size_t b = 0; b < count; ++b) {
    blocks[b].cluster = &clusters[b / cluster_size];
    blocks[b].threads = &threads[b * block_size];
    blocks[b].rank = static_cast<int>(b % cluster_size);
    for (std::size_t t = 0; t < block_size; ++t) {
      Thread& thread = threads[b * block_size + t];
      thread.block = &blocks[b];
      thread.index = static_cast<int>(t);
      thread.id = static_cast<std::uint32_t>(b << 10 | t);
    }
  }
  std::iota(order.begin(), order.end(), 0u);
  if (launch.settings.schedule == Schedule::reverse) std::reverse(order.begin(), order.end());
}

void Unit::start(std::int64_t first) {
  barrier = {.threads = static_cast<int>(threads.size()), .where = {}};
  messages = 0;
  stalls = 0;
  for (Cluster& cluster : clusters)
    cluster.barrier = {.threads = launch.config.cluster * launch.config.block, .where = {}};
  for (Block& block : blocks) {
    block.x = first % launch.config.grid;
    block.y = first / launch.config.grid;
    ++first;
    block.barrier = {.threads = launch.config.block, .where = {}};
    block.warps.assign(static_cast<std::size_t>(launch.config.block / kLanes), {});
    block.parts = {};
    block.has_parts = false;
    block.global.clear();
    block.remote = {};
    for (Block::Array& array : block.arrays) array.memory->poison();
  }
  for (std::size_t i = 0; i < threads.size(); ++i) {
    threads[i].state = Thread::State::ready;
    threads[i].wait = Wait::nothing;
    threads[i].mask = 0;
    threads[i].copies.clear();
    threads[i].copy_groups = 0;
    threads[i].waited_for_grids = false;
    threads[i].polled.clear();
    threads[i].messages = 0;
    threads[i].context.prepare(stacks[i], Stacks::kSize, &run_kernel);
  }
}

bool Unit::pass() {
  bool any = false;
  const auto try_run = [&](Thread& thread) {
    if (thread.state != Thread::State::ready) return false;
    launch.run(thread);
    return any = true;
  };
  if (launch.settings.schedule == Schedule::warp_at_a_time) {
    for (std::size_t first = 0; first < threads.size(); first += kLanes)
      for (bool again = true; again;) {
        again = false;
        for (std::size_t lane = 0; lane < kLanes; ++lane) again |= try_run(threads[first + lane]);
      }
    return any;
  }
  if (launch.settings.schedule == Schedule::random) std::shuffle(order.begin(), order.end(), launch.random);
  for (const std::uint32_t i : order) try_run(threads[i]);
  return any;
}

void Unit::finish_counts() {
  for (Block& block : blocks)
    for (Warp& warp : block.warps) warp.traffic.finish(launch.counts);
}

bool Unit::wake_for_messages() {
  // A thread may look at an old message again without waiting for a new one, but not for ever.
  constexpr int kMostStalls = 100;
  if (++stalls > kMostStalls) return false;
  bool any = false;
  for (Thread& thread : threads)
    if (thread.wait == Wait::message) {
      release(thread);
      any = true;
    }
  return any;
}

void Launch::run(Thread& thread) {
  running = &thread;
  thread.context.switch_from(scheduler);
  running = nullptr;
  if (error) std::rethrow_exception(error);
}

void Launch::run() {
  const std::int64_t blocks = config.grid * config.grid_y;
  const std::int64_t together = config.cooperative ? blocks : config.cluster;
  std::vector<std::int64_t> waiting;
  for (std::int64_t first = 0; first < blocks; first += together) waiting.push_back(first);
  // The next one is taken from the back.
  if (settings.schedule == Schedule::random)
    std::shuffle(waiting.begin(), waiting.end(), random);
  else if (settings.schedule != Schedule::reverse)
    std::reverse(waiting.begin(), waiting.end());

  const std::size_t alive =
      std::min<std::size_t>(settings.schedule == Schedule::random ? 2 : 1, waiting.size());
  std::vector<std::unique_ptr<Unit>> units;
  for (std::size_t i = 0; i < alive; ++i) {
    units.push_back(std::make_unique<Unit>(*this, static_cast<std::size_t>(together)));
    units.back()->start(waiting.back());
    waiting.pop_back();
  }
  while (!units.empty()) {
    for (auto& unit : units) {
      if (!unit->pass() && !unit->wake_for_messages()) unit->report_deadlock();
      if (!unit->finished()) continue;
      unit->finish_counts();
      if (waiting.empty()) {
        unit.reset();
      } else {
        unit->start(waiting.back());
        waiting.pop_back();
      }
    }
    std::erase(units, nullptr);
  }
}

void Executor::enqueue(const std::function<void()>& work) {
  recorded_ ? recorded_->push_back(work) : work();
}

void Executor::begin_recording() {
  if (recorded_) throw SimtError("a recording begins inside of another");
  recorded_.emplace();
}

std::function<void()> Executor::end_recording() {
  std::vector<std::function<void()>> work = std::move(recorded_).value();
  recorded_.reset();
  return [work = std::move(work)] {
    for (const std::function<void()>& each : work) each();
  };
}

void Executor::launch(const kernels::KernelCall& call, const kernels::LaunchConfig& config) {
  check(config, settings_);
  if (recorded_) {
    recorded_->push_back(
        [this, kept = KeptArguments(call), call, config]() mutable { launch(kept.of(call), config); });
    return;
  }
  if (running != nullptr) throw SimtError("kernel " + std::string(config.name) + ": launched from a kernel");
  check_arguments(call, config);
  launches_.push_back(config);
  if (config.cooperative &&
      config.grid * config.grid_y > kernels::co_resident_blocks(call.kernel, config, stream()))
    throw SimtError("kernel " + std::string(config.name) +
                    ": the device does not hold all blocks of this cooperative launch");
  Launch launch{.call = call,
                .config = config,
                .settings = settings_,
                .random = std::mt19937(settings_.seed),
                .scheduler = {},
                .error = {},
                .counts = {}};
  try {
    launch.run();
    if (settings_.count) counts_.push_back(launch.counts);
  } catch (...) {
    running = nullptr;
    throw;
  }
}

std::vector<Settings> all_schedules() {
  return {{.schedule = Schedule::in_order},
          {.schedule = Schedule::reverse},
          {.schedule = Schedule::warp_at_a_time},
          {.schedule = Schedule::random, .seed = 1},
          {.schedule = Schedule::random, .seed = 2}};
}

std::string to_string(Schedule schedule) {
  switch (schedule) {
    case Schedule::in_order:
      return "in_order";
    case Schedule::reverse:
      return "reverse";
    case Schedule::warp_at_a_time:
      return "warp_at_a_time";
    case Schedule::random:
      return "random";
  }
  return "";
}

}  // namespace bntrain::simt_host
