#include "core/write_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <string>

#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

class FileWriterTest : public testing::Test {
 protected:
  FileWriterTest() { std::ofstream(target_) << "old"; }

  std::string content() const {
    std::ifstream stream(target_);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  auto files() const { return std::distance(std::filesystem::directory_iterator(folder_), {}); }

  TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_.path();
  std::filesystem::path target_ = folder_ / "file";
};

TEST_F(FileWriterTest, TheTargetChangesOnlyAtTheCommit) {
  FileWriter writer(target_);
  writer.write("new", 3);
  EXPECT_EQ(content(), "old");
  writer.commit();
  EXPECT_EQ(content(), "new");
  EXPECT_EQ(files(), 1);
}

TEST_F(FileWriterTest, WithoutCommitNothingChanges) {
  { FileWriter(target_).write("new", 3); }
  EXPECT_EQ(content(), "old");
  EXPECT_EQ(files(), 1);
}

TEST_F(FileWriterTest, AFullDiskLeavesTheOldFile) {
  // the limit on file sizes fails in the middle, as a full disk does
  struct rlimit before {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { 1000, before.rlim_max };
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string bytes(5000, 'x');
  const std::string message = error_message(ErrorKind::data, [&] {
    FileWriter writer(target_);
    writer.write(bytes.data(), bytes.size());
    writer.commit();
  });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, testing::HasSubstr(target_.string() + ": writing failed: File too large"));
  EXPECT_EQ(content(), "old");
  EXPECT_EQ(files(), 1);
}

TEST_F(FileWriterTest, LeftoversAreRemovedAndNothingElse) {
  std::ofstream(folder_ / ".file.7.0.tmp") << "leftover";
  std::ofstream(folder_ / ".hidden") << "mine";
  std::ofstream(folder_ / "note.tmp") << "mine";
  remove_temporary_files(folder_);
  EXPECT_EQ(files(), 3);
  EXPECT_FALSE(std::filesystem::exists(folder_ / ".file.7.0.tmp"));
}

TEST_F(FileWriterTest, WritesAWholeText) {
  write_file(target_, "new");
  EXPECT_EQ(content(), "new");
}

TEST_F(FileWriterTest, ALeftoverOfACrashIsNoObstacle) {
  std::ofstream(folder_ / (".bntrain-" + std::to_string(::getpid()) + ".0.tmp")) << "leftover";
  FileWriter writer(target_);
  writer.write("new", 3);
  writer.commit();
  EXPECT_EQ(content(), "new");
}

TEST_F(FileWriterTest, LinksStayAndTheirTargetsAreWritten) {
  const auto link = folder_ / "link", far = folder_ / "far", dangling = folder_ / "dangling";
  std::filesystem::create_directory(folder_ / "sub");
  std::filesystem::create_symlink("file", link);
  std::filesystem::create_symlink(link, far);
  std::filesystem::create_symlink("sub/new", dangling);
  write_file(far, "through two");
  EXPECT_EQ(content(), "through two");
  EXPECT_TRUE(std::filesystem::is_symlink(link) && std::filesystem::is_symlink(far));
  write_file(dangling, "made");
  EXPECT_TRUE(std::filesystem::is_regular_file(folder_ / "sub" / "new"));
  EXPECT_TRUE(std::filesystem::is_symlink(dangling));
}

TEST_F(FileWriterTest, LinksInACircleAreRefused) {
  std::filesystem::create_symlink("b", folder_ / "a");
  std::filesystem::create_symlink("a", folder_ / "b");
  EXPECT_THAT(error_message(ErrorKind::data, [&] { write_file(folder_ / "a", "new"); }),
              testing::HasSubstr("Too many levels of symbolic links"));
}

TEST_F(FileWriterTest, TheModeOfTheFileThatIsReplacedStays) {
  std::filesystem::permissions(target_, std::filesystem::perms(0640));
  write_file(target_, "new");
  EXPECT_EQ(std::filesystem::status(target_).permissions(), std::filesystem::perms(0640));
}

TEST_F(FileWriterTest, NamesMayBeAsLongAsTheFileSystemTakesThem) {
  const auto longest = folder_ / std::string(255, 'n');
  write_file(longest, "new");
  EXPECT_TRUE(std::filesystem::exists(longest));
  EXPECT_THAT(error_message(ErrorKind::data, [&] { write_file(longest.string() + "n", "new"); }),
              testing::HasSubstr("File name too long"));
}

TEST_F(FileWriterTest, AFileThatCannotBeReplacedIsWrittenWhereItIs) {
  if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "only root may mount";
  const auto mounted = folder_ / "mounted";
  std::ofstream(mounted) << "a longer text";
  ASSERT_EQ(::mount(target_.c_str(), mounted.c_str(), nullptr, MS_BIND, nullptr), 0);
  write_file(mounted, "new");
  EXPECT_EQ(content(), "new");
  ::umount(mounted.c_str());
  EXPECT_EQ(files(), 2);
}

TEST_F(FileWriterTest, OneFileHasManyNames) {
  const auto path = [&](const char* name) { return folder_ / name; };
  std::filesystem::create_symlink("file", path("link"));
  std::filesystem::create_hard_link(target_, path("hard"));
  std::filesystem::create_symlink("new", path("dangling"));
  for (const char* name : {"./file", "x/../file", "link", "hard"})
    EXPECT_TRUE(same_file(target_, path(name))) << name;
  EXPECT_TRUE(same_file(path("dangling"), path("new")));
  EXPECT_TRUE(same_file("new", std::filesystem::current_path() / "new"));
  for (const char* name : {"new", "dangling", "other"}) EXPECT_FALSE(same_file(target_, path(name))) << name;
}

}  // namespace
}  // namespace bntrain
