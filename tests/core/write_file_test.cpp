#include "core/write_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
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
  std::ofstream(folder_ / (".file." + std::to_string(::getpid()) + ".0.tmp")) << "leftover";
  FileWriter writer(target_);
  writer.write("new", 3);
  writer.commit();
  EXPECT_EQ(content(), "new");
}

}  // namespace
}  // namespace bntrain
