// Files that appear whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace bntrain {

/// Writes a temporary file in the target's folder; commit() makes it the target. Without commit() the target
/// stays unchanged and the temporary file is removed. Every failure throws Error(data) with the target's name
/// and the reason.
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
