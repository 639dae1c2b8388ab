// What this process may use of the machine: the machine's own, and the limits of containers and shells.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace bntrain {

/// CPUs that the quotas of the process's control groups pay for, rounded up: the least of cpu.max (version 2)
/// and cpu.cfs_quota_us (version 1) along the whole path. 0: no quota. `root` has /proc and /sys.
int cpu_quota(const std::filesystem::path& root = "/");

struct MemoryLeft {
  std::int64_t bytes = 0;
  std::string limit;  ///< for messages: "this machine", "this container", "ulimit -v"
};

/// The least that is left of: MemAvailable, each memory limit of the control groups along the path (cached
/// files count as free there: they are given back when needed), RLIMIT_AS and RLIMIT_DATA.
MemoryLeft memory_left(const std::filesystem::path& root = "/");

/// "512 bytes", "1.3 GB" (10^9)
std::string memory_text(std::int64_t bytes);

/// Throws Error(runtime) of `setting` with both figures where `what` needs more bytes than are left.
/// Asked before they are taken: Linux grants what it has not, and ends the process when it is used.
void expect_memory(std::int64_t bytes, const std::string& setting, const std::string& what,
                   const std::string& advice);

}  // namespace bntrain
