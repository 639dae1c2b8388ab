#include "core/machine_limits.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <vector>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

namespace fs = std::filesystem;

constexpr double unlimited = std::numeric_limits<double>::infinity();

/// The number that a file of the kernel begins with; nothing for "max" and where there is no such file.
std::optional<double> number_in(const fs::path& file) {
  std::ifstream stream(file);
  double number = 0;
  if (stream >> number) return number;
  return std::nullopt;
}

/// The number after `key` in a file of lines such as "MemAvailable:   123 kB"; 0 without such a line.
double number_after(const fs::path& file, const std::string& key) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words(line);
    std::string first;
    double number = 0;
    if (words >> first >> number && first == key) return number;
  }
  return 0;
}

bool holds(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

/// Where a hierarchy of control groups is mounted.
struct Mount {
  std::string root;   ///< the group that is seen there
  std::string point;  ///< the folder
};

/// proc(5): "36 35 0:30 /root /mount/point rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct"
std::optional<Mount> mount_of(const fs::path& root, const std::string& controller) {
  std::ifstream file(root / "proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string skipped, type, source, options;
    Mount mount;
    words >> skipped >> skipped >> skipped >> mount.root >> mount.point;
    while (words >> skipped && skipped != "-") continue;
    words >> type >> source >> options;
    if (controller.empty() ? type == "cgroup2" : type == "cgroup" && holds(options, controller)) return mount;
  }
  return std::nullopt;
}

/// "4:memory:/group", "0::/group" for version 2, whose `controller` is "".
std::string group_of(const fs::path& root, const std::string& controller) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? controllers.empty() : holds(controllers, controller))
      return line.substr(second + 1);
  }
  return "/";
}

/// The folders of the process's groups, from its own up to the mount's: each of them may have a limit.
std::vector<fs::path> groups(const fs::path& root, const std::string& controller) {
  const std::optional<Mount> mount = mount_of(root, controller);
  if (!mount) return {};
  const fs::path top = root / fs::path(mount->point).relative_path();
  // A container may see its own group at the mount's root, under whatever path it has outside.
  fs::path below = fs::path(group_of(root, controller)).lexically_relative(mount->root);
  if (below.empty() || *below.begin() == ".." || below == ".") below.clear();
  std::vector<fs::path> folders;
  for (; !below.empty(); below = below.parent_path()) folders.push_back(top / below);
  folders.push_back(top);
  return folders;
}

double quota_of_version_2(const fs::path& folder) {
  std::ifstream file(folder / "cpu.max");  // "max 100000", "150000 100000"
  double quota = 0, period = 0;
  return file >> quota >> period && period > 0 ? quota / period : unlimited;
}

double quota_of_version_1(const fs::path& folder) {
  const double quota = number_in(folder / "cpu.cfs_quota_us").value_or(-1);  // -1: none
  const double period = number_in(folder / "cpu.cfs_period_us").value_or(0);
  return quota > 0 && period > 0 ? quota / period : unlimited;
}

struct MemoryFiles {
  const char *controller, *limit, *usage, *inactive, *active;
};

constexpr std::array<MemoryFiles, 2> memory_files = {
    {{"", "memory.max", "memory.current", "inactive_file", "active_file"},
     {"memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file",
      "total_active_file"}}};

double left_in_group(const fs::path& folder, const MemoryFiles& files) {
  const std::optional<double> limit = number_in(folder / files.limit),
                              usage = number_in(folder / files.usage);
  if (!limit || !usage) return unlimited;
  const fs::path statistics = folder / "memory.stat";
  return *limit - *usage + number_after(statistics, files.inactive) + number_after(statistics, files.active);
}

/// `used` in kB, as /proc/self/status has it.
double left_of_resource(int resource, double used) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return unlimited;
  return static_cast<double>(limit.rlim_cur) - 1024 * used;
}

}  // namespace

int cpu_quota(const fs::path& root) {
  double least = unlimited;
  for (const fs::path& folder : groups(root, "")) least = std::min(least, quota_of_version_2(folder));
  for (const fs::path& folder : groups(root, "cpu")) least = std::min(least, quota_of_version_1(folder));
  return least < std::numeric_limits<int>::max() ? std::max(1, static_cast<int>(std::ceil(least))) : 0;
}

MemoryLeft memory_left(const fs::path& root) {
  double least = unlimited;
  std::string name = "this machine";
  const auto take = [&](double left, const char* limit) {
    if (left >= least) return;
    least = left;
    name = limit;
  };
  if (const double available = number_after(root / "proc/meminfo", "MemAvailable:"); available > 0)
    take(1024 * available, "this machine");
  for (const MemoryFiles& files : memory_files)
    for (const fs::path& folder : groups(root, files.controller))
      take(left_in_group(folder, files), "this container (its control group's limit)");
  const fs::path status = root / "proc/self/status";
  take(left_of_resource(RLIMIT_AS, number_after(status, "VmSize:")), "ulimit -v");
  take(left_of_resource(RLIMIT_DATA, number_after(status, "VmData:")), "ulimit -d");
  constexpr double most = 0x1p62;
  return {static_cast<std::int64_t>(std::clamp(least, 0.0, most)), name};
}

std::string memory_text(std::int64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " bytes";
  double amount = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* next : {"kB", "MB", "GB", "TB", "PB", "EB"}) {
    if (amount < 999.5) break;
    amount /= 1000;
    unit = next;
  }
  char text[32];
  std::snprintf(text, sizeof(text), amount < 9.95 ? "%.1f %s" : "%.0f %s", amount, unit);
  return text;
}

void expect_memory(std::int64_t bytes, const std::string& setting, const std::string& what,
                   const std::string& advice) {
  const MemoryLeft left = memory_left();
  if (bytes <= left.bytes) return;
  throw Error(ErrorKind::runtime, setting,
              "not enough memory: " + what + " needs " + memory_text(bytes) + ", and " + left.limit +
                  " has " + memory_text(left.bytes) + " left; " + advice);
}

}  // namespace bntrain
