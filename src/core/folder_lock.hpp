// One process at a time works in a folder.
#pragma once

#include <filesystem>

namespace bntrain {

/// Holds an advisory lock on a folder while it lives; the kernel takes it away with the process, however that
/// ends.
class FolderLock {
 public:
  /// Throws Error(data) where the folder cannot be opened, Error(runtime) where another process has it. Some
  /// network file systems know no locks; there it holds none.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

/// Whether another owner holds that lock at this moment. False where the folder cannot be opened.
bool is_locked(const std::filesystem::path& folder);

}  // namespace bntrain
