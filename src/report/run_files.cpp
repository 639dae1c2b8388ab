#include "report/run_files.hpp"

#include <algorithm>
#include <utility>

#include "bntrain/error.hpp"
#include "core/folder_lock.hpp"

namespace bntrain::report {
namespace fs = std::filesystem;
namespace {

constexpr const char* records_name = "metrics.jsonl";

/// The folder's own name, also of "runs/a/" and ".".
std::string name_of(const fs::path& folder) {
  std::error_code ignored;
  fs::path path = fs::absolute(folder, ignored).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path.has_filename() ? path.filename().string() : folder.string();
}

RecordedRun run_in(const fs::path& folder) {
  RecordedRun run{.history = read_history(folder / records_name, name_of(folder)), .folder = folder};
  run.state = state_of(run.history, true, is_locked(folder));
  return run;
}

RecordedRun run_of_file(const fs::path& file) {
  RecordedRun run{.history = read_history(file, file.stem().string()), .folder = {}};
  run.state = state_of(run.history, false, false);
  return run;
}

std::vector<RecordedRun> runs_of_bench(const fs::path& folder, std::vector<std::string>& problems) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder / "runs", ignored)) {
    if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::vector<RecordedRun> runs;
  for (const fs::path& file : files) {
    try {
      runs.push_back(run_of_file(file));
    } catch (const Error& error) {
      problems.push_back(error.message() + "; the run is left out.");
    }
  }
  return runs;
}

}  // namespace

std::string to_string(RunState state) {
  constexpr const char* names[] = {"goes on", "ended", "interrupted", "diverged", "killed", "not ended"};
  return names[static_cast<std::size_t>(state)];
}

RunState state_of(const RunHistory& history, bool has_folder, bool locked) {
  if (!history.end.is_object()) {
    if (locked) return RunState::going_on;
    return has_folder ? RunState::killed : RunState::unfinished;
  }
  const std::string status = text_in(history.end, "status");
  if (status == "interrupted") return RunState::interrupted;
  return status == "diverged" ? RunState::diverged : RunState::ended;
}

bool is_bench(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_directory(folder / "runs", ignored) && !fs::exists(folder / records_name, ignored);
}

std::vector<RecordedRun> find_runs(const fs::path& named, std::vector<std::string>& problems) {
  std::error_code ignored;
  if (fs::is_regular_file(named, ignored)) {
    if (named.filename() == records_name && named.has_parent_path()) return {run_in(named.parent_path())};
    return {run_of_file(named)};
  }
  if (is_bench(named)) {
    std::vector<RecordedRun> runs = runs_of_bench(named, problems);
    if (!runs.empty()) return runs;
    throw Error(ErrorKind::data, named.string() + ": the bench has no finished run");
  }
  if (fs::exists(named / records_name, ignored)) return {run_in(named)};
  throw Error(ErrorKind::data,
              named.string() +
                  (fs::exists(named, ignored) ? ": there is no run here" : ": there is no such folder") +
                  "; name a folder of train --out or of bench --out, or a file of --metrics");
}

}  // namespace bntrain::report
