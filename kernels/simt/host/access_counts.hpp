// Counts of what a launch does, whatever the device: a kernel's traffic and synchronisation as numbers that a
// test can hold.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "kernels/simt/host/shared_array.hpp"

namespace bntrain::simt_host {

/// Accesses of a warp to global memory, as the memory system sees them. Bytes that several lanes access at
/// once count once.
struct Traffic {
  std::int64_t accesses = 0;  ///< of a warp: the lanes that are at one access together
  std::int64_t bytes = 0;
  std::int64_t sectors = 0;         ///< of 32 bytes that the accesses touch
  std::int64_t fewest_sectors = 0;  ///< that hold as many bytes: sectors of aligned and contiguous accesses

  Traffic& operator+=(const Traffic& other);
  bool operator==(const Traffic&) const = default;
};

/// What a launch did. Global memory is counted where kernels go through load(), store(), load_vec(),
/// store_vec(), copy_async() and their variants; plain dereferences and messages are not seen.
struct LaunchCounts {
  Traffic reads, writes;
  std::int64_t atomics = 0, messages = 0;  ///< of threads; messages: stored
  std::int64_t shuffles = 0;               ///< of warps
  std::int64_t block_barriers = 0;         ///< one for each block and barrier, those of parts included
  std::int64_t cluster_barriers = 0, grid_barriers = 0;

  LaunchCounts& operator+=(const LaunchCounts& other);
};

/// The accesses of one warp. Lanes are at one access together when each comes to the same line for the same
/// time.
class WarpTraffic {
 public:
  void add(int lane, bool write, const void* p, std::size_t bytes, const Where& where);
  /// Adds up all accesses, and begins again.
  void finish(LaunchCounts& counts);

 private:
  struct Span {
    std::uintptr_t first, end;
  };
  struct WarpAccess {
    std::vector<Span> spans;
  };
  struct Site {
    Where where;
    bool write;
    std::array<std::size_t, 32> times{};  ///< of each lane
    std::deque<WarpAccess> accesses{};    ///< from `finished` on
    std::size_t finished = 0;
    Traffic traffic{};
  };
  Site& site(bool write, const Where& where);
  static void add_up(WarpAccess& access, Traffic& traffic);

  std::vector<Site> sites_;
};

}  // namespace bntrain::simt_host
