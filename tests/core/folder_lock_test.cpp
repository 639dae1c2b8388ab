#include "core/folder_lock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "support/error_message.hpp"
#include "support/temporary_folder.hpp"

namespace bntrain {
namespace {

TEST(FolderLock, OneAtATimeHoldsAFolder) {
  const TemporaryFolder folder;
  std::optional<FolderLock> first(folder.path());
  const std::string message = error_message(ErrorKind::runtime, [&] { FolderLock second(folder.path()); });
  EXPECT_THAT(message, testing::HasSubstr(folder.path().string()));
  first.reset();
  FolderLock third(folder.path());
}

TEST(FolderLock, AFolderMustBeThere) {
  const TemporaryFolder folder;
  error_message(ErrorKind::data, [&] { FolderLock lock(folder.path() / "nowhere"); });
}

}  // namespace
}  // namespace bntrain
