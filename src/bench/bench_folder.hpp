// The folder of a bench: its lock, its configuration, a file for every finished run.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "bench/run_record.hpp"
#include "core/folder_lock.hpp"
#include "train/records.hpp"

namespace bntrain::bench {

/// config.json, runs/NAME.jsonl and what is written beside them. A file in runs/ is a finished run: it
/// appears whole, when the run has ended.
class BenchFolder {
 public:
  /// Makes the folder or takes up an earlier bench. Throws Error(usage) when the folder holds something else
  /// or a bench that `config`, a bench_record(), does not continue, see expect_continuation(); Error(runtime)
  /// when another process works in it; Error(data) when it cannot be written or config.json is damaged.
  BenchFolder(const std::filesystem::path& path, Json config);

  const std::filesystem::path& path() const { return path_; }

  /// The records of the finished run of that run_name(), or none. Throws Error(data) when the file is damaged
  /// or of a run with other `settings`.
  std::optional<RunRecord> find(const std::string& run, const Json& settings) const;
  void keep(const std::string& run, const std::string& records);

  /// A file of the folder, whole or not at all.
  void write(const std::string& name, const std::string& text) const;

 private:
  void take_up();
  std::filesystem::path run_file(const std::string& run) const;

  std::filesystem::path path_;
  Json config_;
  FolderLock lock_;
};

}  // namespace bntrain::bench
