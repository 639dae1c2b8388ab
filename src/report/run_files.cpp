#include "report/run_files.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "bntrain/error.hpp"
#include "core/folder_lock.hpp"

namespace bntrain::report {
namespace fs = std::filesystem;
namespace {

constexpr const char* records_name = "metrics.jsonl";

/// Without what is no name at its end, as in "runs/a/" and ".".
fs::path place_of(const fs::path& named) {
  std::error_code ignored;
  const fs::path path = fs::absolute(named, ignored).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

std::string name_of(const fs::path& folder) {
  const fs::path place = place_of(folder);
  return place.has_filename() ? place.filename().string() : folder.string();
}

/// The last parts of the path, so many.
std::string end_of(const fs::path& path, std::size_t parts) {
  fs::path end = path.filename();
  for (fs::path rest = path.parent_path(); parts > 1 && rest.has_filename(); rest = rest.parent_path()) {
    end = rest.filename() / end;
    --parts;
  }
  return end.string();
}

RecordedRun run_in(const fs::path& folder) {
  RecordedRun run{.history = {}, .folder = folder};
  run.place = place_of(folder);
  const bool locked = is_locked(folder);
  try {
    run.history = read_history(folder / records_name, name_of(folder));
  } catch (const Error& error) {
    std::error_code ignored;
    if (!fs::exists(folder / "evaluation.json", ignored)) throw;
    run.history.name = name_of(folder);
    run.history.start = Json::object();
    run.history.missing.push_back(error.message() + ".");
    run.state = locked ? RunState::going_on : RunState::unfinished;
    return run;
  }
  run.state = state_of(run.history, true, locked);
  return run;
}

RecordedRun run_of_file(const fs::path& file) {
  RecordedRun run{.history = read_history(file, file.stem().string()), .folder = {}};
  run.state = state_of(run.history, false, false);
  run.place = place_of(file).replace_extension();
  return run;
}

/// The files of records of many runs, in the order of their names.
std::vector<fs::path> files_of_many(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code ignored;
  const fs::path runs = folder / "runs";
  for (const auto& entry : fs::directory_iterator(fs::is_directory(runs, ignored) ? runs : folder, ignored)) {
    if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

std::vector<RecordedRun> many_runs(const fs::path& folder, std::vector<std::string>& problems) {
  std::vector<RecordedRun> runs;
  for (const fs::path& file : files_of_many(folder)) {
    try {
      runs.push_back(run_of_file(file));
    } catch (const Error& error) {
      problems.push_back(error.message() + "; the run is left out");
    }
  }
  return runs;
}

}  // namespace

void name_apart(std::vector<RecordedRun>& runs) {
  std::map<std::string, std::vector<RecordedRun*>> by_name;
  for (RecordedRun& run : runs) by_name[run.history.name].push_back(&run);
  for (const auto& [name, same] : by_name) {
    std::set<fs::path> places;
    for (const RecordedRun* run : same) places.insert(run->place);
    if (places.size() < 2) continue;  // one run, however often
    const auto names = [&](std::size_t parts) {
      std::set<std::string> ends;
      for (const fs::path& place : places) ends.insert(end_of(place, parts));
      return ends.size();
    };
    std::size_t parts = 1;
    while (names(parts) < places.size()) ++parts;
    for (RecordedRun* run : same) run->history.name = end_of(run->place, parts);
  }
}

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

bool holds_many(const fs::path& folder) {
  std::error_code ignored;
  return !fs::exists(folder / records_name, ignored) &&
         (fs::is_directory(folder / "runs", ignored) || !files_of_many(folder).empty());
}

std::vector<RecordedRun> find_runs(const fs::path& named, std::vector<std::string>& problems) {
  std::error_code ignored;
  if (fs::is_regular_file(named, ignored)) {
    if (named.filename() == records_name)
      return {run_in(named.has_parent_path() ? named.parent_path() : fs::path("."))};
    return {run_of_file(named)};
  }
  if (holds_many(named)) {
    std::vector<RecordedRun> runs = many_runs(named, problems);
    if (!runs.empty()) return runs;
    throw Error(ErrorKind::data, named.string() + ": it has no finished run");
  }
  if (fs::exists(named / records_name, ignored)) return {run_in(named)};
  throw Error(ErrorKind::data,
              named.string() +
                  (fs::exists(named, ignored) ? ": there is no run here" : ": there is no such folder") +
                  "; name a folder of train, bench or reproduce --out, or a file of --metrics");
}

}  // namespace bntrain::report
