// Where the records of runs lie, and what has become of a run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/run_history.hpp"

namespace bntrain::report {

enum class RunState {
  going_on,
  ended,
  interrupted,
  diverged,
  killed,
  unknown,  ///< its records have no end, and no folder says what became of it
};

/// "goes on", "ended", "interrupted", "diverged", "killed", "end unknown"
std::string to_string(RunState state);

/// A run whose records were read.
struct RecordedRun {
  RunHistory history;
  std::filesystem::path folder;  ///< of train --out; "" for records alone
  RunState state = RunState::unknown;
  std::filesystem::path place = {};  ///< absolute, of the folder or the file
  std::int64_t checkpoint = -1;      ///< updates until last.safetensors; where the records have no end
};

/// The run of a folder whose records were read; its state is not asked for.
RecordedRun run_of(const std::filesystem::path& folder, RunHistory history);

/// Names runs of the same name by the shortest ends of their paths that differ: x/run, y/run.
void name_apart(std::vector<RecordedRun>& runs);

/// The runs that an argument names: the folder of a run, one of many runs, or a file of records. Of many
/// those that are damaged are left out, and `problems` receives a sentence for each. Throws Error(data) that
/// says what is allowed where it names none.
std::vector<RecordedRun> find_runs(const std::filesystem::path& named, std::vector<std::string>& problems);

/// Whether that is a folder of many runs: a bench keeps a file of records for each in runs/, and reproduce in
/// its folder.
bool holds_many(const std::filesystem::path& folder);

/// By its last record; `locked`: a process trains in its folder.
RunState state_of(const RunHistory& history, bool has_folder, bool locked);

}  // namespace bntrain::report
