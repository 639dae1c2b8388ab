#include "core/machine_limits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "bntrain/error.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::HasSubstr;

/// /proc and /sys as a machine would have them.
class MachineLimitsTest : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root() / path).parent_path());
    std::ofstream(root() / path) << text;
  }
  void mount_version_2(const std::string& seen = "/") {
    write("proc/self/mountinfo", "22 1 8:1 / / rw,relatime - ext4 /dev/sda rw\n30 22 0:27 " + seen +
                                     " /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  }
  void mount_version_1(const std::string& seen = "/") {
    write("proc/self/mountinfo", "31 22 0:28 " + seen +
                                     " /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                                     "32 22 0:29 " +
                                     seen + " /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  }
  const fs::path& root() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

TEST_F(MachineLimitsTest, WithoutControlGroupsThereIsNoQuota) {
  EXPECT_EQ(cpu_quota(root()), 0);
}

TEST_F(MachineLimitsTest, TheLeastQuotaAlongThePathOfVersion2) {
  mount_version_2();
  write("proc/self/cgroup", "0::/kube/pod/container\n");
  write("sys/fs/cgroup/kube/pod/container/cpu.max", "max 100000\n");
  write("sys/fs/cgroup/kube/cpu.max", "400000 100000\n");
  EXPECT_EQ(cpu_quota(root()), 4);
  write("sys/fs/cgroup/kube/pod/cpu.max", "150000 100000\n");
  EXPECT_EQ(cpu_quota(root()), 2) << "1.5 CPUs keep two threads busy";
  write("sys/fs/cgroup/kube/pod/container/cpu.max", "5000 100000\n");
  EXPECT_EQ(cpu_quota(root()), 1);
}

TEST_F(MachineLimitsTest, TheQuotaOfVersion1) {
  mount_version_1();
  write("proc/self/cgroup", "4:memory:/\n3:cpu,cpuacct:/docker/abc\n");
  write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cpu_quota(root()), 0);
  write("sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "300000\n");
  write("sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cpu_quota(root()), 3);
}

TEST_F(MachineLimitsTest, AContainerSeesItsOwnGroupAtTheRootOfTheMount) {
  write("proc/self/cgroup", "3:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n");
  for (const char* seen : {"/docker/abc", "/docker/other"}) {
    mount_version_1(seen);
    write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "100000\n");
    write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(cpu_quota(root()), 1) << seen;
  }
}

TEST_F(MachineLimitsTest, MemoryOfTheMachine) {
  write("proc/meminfo", "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:    5000 kB\n");
  const MemoryLeft left = memory_left(root());
  EXPECT_EQ(left.bytes, 5000 * 1024);
  EXPECT_EQ(left.limit, "this machine");
}

TEST_F(MachineLimitsTest, MemoryOfVersion2CountsCachedFilesAsFree) {
  mount_version_2();
  write("proc/meminfo", "MemAvailable:    5000000 kB\n");
  write("proc/self/cgroup", "0::/a/b\n");
  write("sys/fs/cgroup/a/b/memory.max", "max\n");
  write("sys/fs/cgroup/a/b/memory.current", "100\n");
  write("sys/fs/cgroup/a/memory.max", "1000000\n");
  write("sys/fs/cgroup/a/memory.current", "900000\n");
  write("sys/fs/cgroup/a/memory.stat",
        "anon 300000\nfile 600000\ninactive_file 400000\nactive_file 200000\n");
  const MemoryLeft left = memory_left(root());
  EXPECT_EQ(left.bytes, 700000);
  EXPECT_THAT(left.limit, HasSubstr("container"));
}

TEST_F(MachineLimitsTest, MemoryOfVersion1) {
  mount_version_1();
  write("proc/meminfo", "MemAvailable:    5000000 kB\n");
  write("proc/self/cgroup", "4:memory:/docker/abc\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", "12345\n");
  write("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "1000000\n");
  write("sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "400000\n");
  write("sys/fs/cgroup/memory/docker/abc/memory.stat", "total_inactive_file 1000\ntotal_active_file 20\n");
  EXPECT_EQ(memory_left(root()).bytes, 601020);
  write("sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "2000000\n");
  EXPECT_EQ(memory_left(root()).bytes, 0) << "beyond the limit already";
}

TEST(MemoryTextTest, ThreeDigitsAtMost) {
  EXPECT_EQ(memory_text(0), "0 bytes");
  EXPECT_EQ(memory_text(999), "999 bytes");
  EXPECT_EQ(memory_text(1000), "1.0 kB");
  EXPECT_EQ(memory_text(12'400'000), "12 MB");
  EXPECT_EQ(memory_text(999'700'000), "1.0 GB");
  EXPECT_EQ(memory_text(4'200'000'000'000), "4.2 TB");
}

TEST(ExpectMemoryTest, NamesBothFiguresAndTheSetting) {
  EXPECT_NO_THROW(expect_memory(1, "batch_size", "this", "that"));
  try {
    expect_memory(std::int64_t{1} << 60, "batch_size", "the network", "a smaller one needs less");
    FAIL() << "there is no such machine";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::runtime);
    EXPECT_EQ(error.setting(), "batch_size");
    EXPECT_THAT(error.message(), AllOf(HasSubstr("the network needs 1.2 EB, and "), HasSubstr(" left; "),
                                       HasSubstr("a smaller one needs less")));
  }
}

}  // namespace
}  // namespace bntrain
