#include "report/run_files.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "bntrain/error.hpp"
#include "core/folder_lock.hpp"
#include "formats/safetensors.hpp"

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

/// Updates until the folder's checkpoint; -1 where there is none that can be read.
std::int64_t checkpoint_in(const fs::path& folder) {
  try {
    const std::map<std::string, std::string> strings = read_strings(folder / "last.safetensors");
    const auto found = strings.find("bntrain.progress");
    return found == strings.end() ? -1 : count_in(parse_record(found->second), "steps");
  } catch (const Error&) {
    return -1;
  }
}

/// Whether records without an end stop where they would not have if the run had been killed: before what the
/// checkpoint was made after, as on a full disk, or when every step was made.
bool tells_more(std::int64_t checkpoint, const RunHistory& records) {
  const std::int64_t total = records.total_steps();
  if (total > 0 && checkpoint >= total) return true;
  const std::string log_every = records.setting("log-every");
  const std::int64_t interval = log_every.empty() || log_every == "0"
                                    ? std::max<std::int64_t>(count_in(records.start, "steps_per_epoch"), 1)
                                    : 1;
  return records.last_step() < checkpoint / interval * interval;
}

RecordedRun run_in(const fs::path& folder) {
  RecordedRun run;
  const bool locked = is_locked(folder);
  try {
    run = run_of(folder, read_history(folder / records_name, ""));
  } catch (const Error& error) {
    std::error_code ignored;
    if (!fs::exists(folder / "evaluation.json", ignored)) throw;
    run = run_of(folder, {});
    run.history.missing.push_back(error.message() + ".");
    run.state = locked ? RunState::going_on : RunState::unknown;
    return run;
  }
  run.state = state_of(run.history, true, locked);
  if (run.state != RunState::killed) return run;
  run.checkpoint = checkpoint_in(folder);
  if (tells_more(run.checkpoint, run.history)) run.state = RunState::unknown;
  return run;
}

RecordedRun run_of_file(const fs::path& file) {
  std::error_code ignored;
  const bool is_pipe = !fs::is_regular_file(file, ignored);
  RecordedRun run{.history = read_history(file, is_pipe ? file.string() : file.stem().string()),
                  .folder = {}};
  run.state = state_of(run.history, false, false);
  run.place = place_of(file);
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

/// The place of a file of records by what it is called.
fs::path without_extension(const RecordedRun& run) {
  return run.folder.empty() ? fs::path(run.place).replace_extension() : run.place;
}

}  // namespace

RecordedRun run_of(const fs::path& folder, RunHistory history) {
  history.name = name_of(folder);
  return {.history = std::move(history), .folder = folder, .place = place_of(folder)};
}

void name_apart(std::vector<RecordedRun>& runs) {
  std::map<std::string, std::vector<RecordedRun*>> by_name;
  for (RecordedRun& run : runs) by_name[run.history.name].push_back(&run);
  for (const auto& [name, same] : by_name) {
    std::set<fs::path> places, short_places;
    for (const RecordedRun* run : same) {
      places.insert(run->place);
      short_places.insert(without_extension(*run));
    }
    if (places.size() < 2) continue;  // one run, however often
    // The folder run beside the file run.jsonl.
    const bool with_extensions = short_places.size() < places.size();
    const std::set<fs::path>& all = with_extensions ? places : short_places;
    const auto names = [&](std::size_t parts) {
      std::set<std::string> ends;
      for (const fs::path& place : all) ends.insert(end_of(place, parts));
      return ends.size();
    };
    std::size_t parts = 1;
    while (names(parts) < all.size()) ++parts;
    for (RecordedRun* run : same)
      run->history.name = end_of(with_extensions ? run->place : without_extension(*run), parts);
  }
}

std::string to_string(RunState state) {
  constexpr const char* names[] = {"goes on", "ended", "interrupted", "diverged", "killed", "end unknown"};
  return names[static_cast<std::size_t>(state)];
}

RunState state_of(const RunHistory& history, bool has_folder, bool locked) {
  if (!history.end.is_object()) {
    if (locked) return RunState::going_on;
    return has_folder ? RunState::killed : RunState::unknown;
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
  if (fs::exists(named, ignored) && !fs::is_directory(named, ignored)) {
    if (named.filename() == records_name)
      return {run_in(named.has_parent_path() ? named.parent_path() : fs::path("."))};
    return {run_of_file(named)};
  }
  if (holds_many(named)) {
    std::vector<RecordedRun> runs = many_runs(named, problems);
    if (!runs.empty()) return runs;
    throw Error(ErrorKind::data, named.string() + ": it has no finished run");
  }
  if (fs::exists(named / records_name, ignored) || fs::exists(named / "evaluation.json", ignored))
    return {run_in(named)};
  if (fs::exists(named / "last.safetensors", ignored))
    throw Error(ErrorKind::data, named.string() + ": there is a checkpoint here, but neither records (" +
                                     records_name + ") nor an evaluation.json to show");
  throw Error(ErrorKind::data,
              named.string() +
                  (fs::exists(named, ignored) ? ": there is no run here" : ": there is no such folder") +
                  "; name a folder of train, bench or reproduce --out, or a file of --metrics");
}

}  // namespace bntrain::report
