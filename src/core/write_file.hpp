// Files that appear whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace bntrain {

/// Where writing `path` writes: symbolic links are followed, also one whose target does not exist.
std::filesystem::path followed(const std::filesystem::path& path);

/// Whether both names mean one file, existing or to be made: other spellings, symbolic and hard links.
bool same_file(const std::filesystem::path& a, const std::filesystem::path& b);

/// Writes a temporary file in the target's folder; commit() makes it the target, with mode and owner of the
/// file that is replaced. Without commit() the target stays unchanged and the temporary file is removed.
/// Where an existing target cannot be replaced (a mount point, a folder that takes no files), the finished
/// file is copied over it. Every failure throws Error(data) with the target's name and the reason.
class FileWriter {
 public:
  explicit FileWriter(const std::filesystem::path& target);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(const void* bytes, std::size_t count);
  /// Syncs the file, renames it, syncs the folder: after a crash the target is the old file or the new one.
  void commit();

 private:
  [[noreturn]] void fail(const std::string& what) const;
  void open_temporary(const std::filesystem::path& folder);
  void keep_mode_and_owner() const;
  void copy_over_target() const;

  std::filesystem::path target_;
  std::filesystem::path folder_;
  std::string temporary_;  ///< "" once it is renamed
  int descriptor_ = -1;
};

/// The whole text as a file, through a FileWriter.
void write_file(const std::filesystem::path& target, const std::string& text);

/// What FileWriters of a process that was killed left in the folder. No other process may be writing there.
void remove_temporary_files(const std::filesystem::path& folder);

}  // namespace bntrain
