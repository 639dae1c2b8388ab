// The state of a launch: threads in warps in blocks in clusters in units, which run together.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/simt/host/executor.hpp"
#include "kernels/simt/host/fiber.hpp"
#include "kernels/simt/host/global_races.hpp"
#include "kernels/simt/host/shared_array.hpp"

namespace bntrain::simt_host {

inline constexpr int kLanes = 32;
inline constexpr int kParts = 16;  ///< barriers of a block; 0 is block_sync()'s

enum class Wait {
  nothing,
  warp_sync,
  shuffle,
  vote,
  block_sync,
  part_sync,
  cluster_sync,
  grid_sync,
  message
};
std::string to_string(Wait wait);

struct Block;
struct Cluster;
struct Unit;
struct Launch;

struct Thread {
  enum class State { ready, waiting, done };

  Context context;
  Block* block = nullptr;
  int index = 0;         ///< in the block
  std::uint32_t id = 0;  ///< in the unit
  State state = State::ready;
  // What it waits for, and what it brings to a shuffle or vote: pointers to its own stack.
  Wait wait = Wait::nothing;
  unsigned mask = 0;
  Where where;
  const void* value = nullptr;
  void* result = nullptr;
  int source = 0;            ///< a lane; the id of a part_sync()
  std::vector<Copy> copies;  ///< not yet complete
  int copy_groups = 0;       ///< committed
  bool waited_for_grids = false;
  // The messages that it has looked at since the last one was stored, and how many had been stored then.
  std::vector<const void*> polled;
  std::int64_t messages = 0;
};

/// A shuffle, vote or warp barrier that not all of its lanes have reached.
struct WarpCollective {
  unsigned mask, arrived;
  Wait wait;
  Where where;
};

struct Warp {
  std::uint32_t sync_time =
      0;                ///< of the last barrier; its threads are ordered after all that happened before
  unsigned exited = 0;  ///< a bit for each lane
  std::vector<WarpCollective> collectives;
  WarpTraffic traffic;
};

/// A barrier of a block, a cluster or the grid.
struct Barrier {
  int threads = 0, arrived = 0, exited = 0;
  std::uint32_t sync_time = 0;
  Where where;
};

/// What part_sync() calls of one id have made so far.
struct Part {
  unsigned warps = 0;     ///< a bit for each warp that takes part
  unsigned arriving = 0;  ///< the same of those that have arrived at the present barrier
  Barrier barrier;
};

/// What names an array of a block: the tag of its declaration, or the offset in dynamic shared memory.
struct ArrayKey {
  const void* tag = nullptr;
  std::int64_t offset = 0;
  bool operator==(const ArrayKey&) const = default;
};

struct Block {
  struct Array {
    ArrayKey key;
    std::unique_ptr<SharedArray> memory;
  };

  /// The array of this key; the first who asks declares it.
  SharedArray& array(const ArrayKey& key, const char* name, std::int64_t count, std::size_t element_size,
                     const Where& where);
  bool exited() const { return barrier.exited == barrier.threads; }

  Cluster* cluster = nullptr;
  Thread* threads = nullptr;  ///< barrier.threads of them
  std::int64_t x = 0, y = 0;
  int rank = 0;  ///< in the cluster
  Barrier barrier;
  std::vector<Warp> warps;
  std::array<Part, kParts> parts;  ///< by their id
  bool has_parts = false;          ///< that have met
  std::vector<Array> arrays;
  GlobalRaces global;
  // The last access from another block: a cluster barrier must follow before this block exits.
  Stamp remote;
  Where remote_where;
  const SharedArray* remote_array = nullptr;
};

struct Cluster {
  Unit* unit = nullptr;
  Block* blocks = nullptr;
  Barrier barrier;
};

/// Blocks that must be resident together: a cluster, or the whole grid of a cooperative launch.
struct Unit {
  Unit(Launch& launch, std::size_t blocks);
  /// Begins with block `first` of the grid: fresh threads, poisoned shared memory.
  void start(std::int64_t first);
  /// Runs threads once; false when none could run.
  bool pass();
  /// Lets the threads that wait for a message look once more; false when there is none.
  bool wake_for_messages();
  bool finished() const { return barrier.exited == barrier.threads; }
  void finish_counts();
  [[noreturn]] void report_deadlock() const;

  Launch& launch;
  Barrier barrier;
  std::int64_t messages = 0;  ///< stored
  int stalls = 0;             ///< passes without a thread to run since the last message or exit
  std::vector<Thread> threads;
  std::vector<Block> blocks;
  std::vector<Cluster> clusters;
  Stacks stacks;
  std::vector<std::uint32_t> order;
};

struct Launch {
  const kernels::KernelCall& call;
  const kernels::LaunchConfig& config;
  const Settings& settings;
  std::mt19937 random;
  std::uint32_t clock = 1;  ///< completed barriers
  Context scheduler;
  std::exception_ptr error;
  LaunchCounts counts;

  void run();
  /// Switches to the thread until it waits, gives way or ends.
  void run(Thread& thread);
};

/// The thread that runs, null outside a kernel.
inline thread_local Thread* running = nullptr;

/// The running thread; throws std::logic_error outside a kernel.
Thread& self();
inline Launch& launch_of(const Thread& thread) {
  return thread.block->cluster->unit->launch;
}

/// Ends the launch: "kernel add, block 3, thread 17, elementwise.cuh:40: ..."
[[noreturn]] void fail(const std::string& what, const Where& where);
std::string place(const Where& where);
std::string name(const Thread& thread);

/// Yields to the executor; the thread stays ready.
void give_way();
/// Ends the wait of a thread that is not the running one.
void release(Thread& thread);
void wait_for_all(Wait kind, const Where& where);
/// A collective of the lanes of `mask`. A shuffle copies `size` bytes of lane `source`'s value to result; a
/// vote collects the lanes' bools into an unsigned.
void warp_collective(Wait kind, unsigned mask, int source, const void* value, void* result, std::size_t size,
                     const Where& where);
void exit_thread(Thread& thread);

}  // namespace bntrain::simt_host
