#include "cli/flags/resume.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>

#include "bntrain/error.hpp"
#include "cli/flags/paths.hpp"
#include "cli/flags/values.hpp"
#include "formats/safetensors.hpp"

namespace bntrain::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* last_name = "last.safetensors";

// When the run ends, where it runs, where its images are (they must be the same), and what is written: none
// of these changes what a step does.
constexpr std::array<std::string_view, 17> may_differ = {
    "epochs", "steps",     "patience",   "device",         "threads", "cpu-isa",
    "conv",   "data",      "save",       "save-gradients", "metrics", "tensorboard",
    "record", "log-every", "eval-every", "save-every",     "keep"};
// A schedule that is given again replaces the run's.
constexpr std::array<std::string_view, 3> schedule_keys = {"schedule", "warmup", "schedule-steps"};

// What a flag may change from here on; the run records it.
constexpr std::array<std::string_view, 6> may_change = {"lr",           "momentum", "nesterov",
                                                        "weight-decay", "betas",    "adam-eps"};

/// Whether the value is a name of a file, not a generated data set or nothing.
bool is_file_name(const std::string& value) {
  return !value.empty() && !value.starts_with("synthetic");
}

template <std::size_t count>
bool contains(const std::array<std::string_view, count>& keys, const std::string& key) {
  return std::ranges::find(keys, key) != keys.end();
}

/// Whether a flag or a file says --schedule, or an environment variable another one than the run's.
bool schedule_is_given_again(const Sources& sources, const Json& given, const Json& stored) {
  const Source source = sources.of("schedule");
  if (source == Source::program) return false;
  return source != Source::environment || stored.value("schedule", "constant") != given.at("schedule");
}

/// The folder that --resume names, itself or by the checkpoint in it.
fs::path run_folder(const fs::path& named) {
  std::error_code ignored;
  if (!fs::is_regular_file(named, ignored)) return named;
  const fs::path folder = named.has_parent_path() ? named.parent_path() : ".";
  if (named.filename() == last_name) return folder;
  throw Error(ErrorKind::usage, "resume",
              named.string() + " is a file; name the run's folder, " + folder.string() +
                  ", which continues from its " + last_name +
                  ": a numbered checkpoint that is copied over it takes its place");
}

/// What can be done without last.safetensors.
std::string other_ways(const fs::path& folder) {
  const auto whole = [](const auto& read, const fs::path& path) {
    try {
      read(path);
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  fs::path newest;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("step-") && name.ends_with(".safetensors") && name > newest.filename().string() &&
        whole(read_checkpoint, entry.path()))
      newest = entry.path();
  }
  if (!newest.empty())
    return "; " + newest.string() + " is whole: copied over " + last_name + ", it is where the run continues";
  const fs::path best = folder / "best.safetensors";
  if (whole(read_model_tensors, best))
    return "; " + best.string() + " is whole: --init-from " + best.string() +
           " --out ANOTHER begins a run from the best model";
  return "";
}

CheckpointFile read_last(const fs::path& folder) {
  const fs::path path = folder / last_name;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    throw Error(ErrorKind::data, "resume",
                "there is no checkpoint " + path.string() + "; a run started with --out " + folder.string() +
                    " writes one" + other_ways(folder));
  }
  try {
    return read_checkpoint(path);
  } catch (const Error& error) {
    throw Error(error.kind(), "resume", error.message() + other_ways(folder));
  }
}

/// Relative names of the run's settings begin where they began when the run did, wherever it is resumed:
/// what was given now keeps its meaning, and the process goes there.
void enter_start_folder(TrainOptions& options, const std::string& stored_data) {
  const auto text = options.stored->metadata.find("bntrain.start");
  const auto start = text == options.stored->metadata.end() ? std::nullopt : percent_decoded(text->second);
  if (!start || start->empty()) return;
  std::error_code error;
  const fs::path folder = fs::weakly_canonical(options.resume / fs::path(*start), error);
  if (error || !fs::is_directory(folder, error) || fs::equivalent(folder, ".", error)) return;
  const auto has_data = [&](const fs::path& from) {
    const fs::path data(stored_data);
    return fs::exists(from / data, error) ||
           (data.has_parent_path() && fs::exists(from / data.parent_path(), error));
  };
  // The run's folder was moved without its images.
  if (options.data.empty() && is_file_name(stored_data) && !has_data(folder) && has_data(".")) return;
  const fs::path here = fs::current_path(error);
  fs::current_path(folder, error);
  if (error) return;
  for (std::string* path : {&options.resume, &options.data, &options.init_from, &options.save,
                            &options.save_gradients, &options.metrics, &options.tensorboard})
    if (is_file_name(*path)) *path = (here / *path).lexically_normal().string();
  spdlog::info("relative names begin at {}, where the run began", folder.string());
}

Json stored_config(const CheckpointFile& file, const std::string& folder) {
  const auto found = file.metadata.find("bntrain.config");
  Json config = found == file.metadata.end() ? Json() : parse_record(found->second);
  if (!config.is_object()) {
    throw Error(ErrorKind::data, "resume",
                "the checkpoint of " + folder +
                    " does not hold the settings of its run; the program did not write it");
  }
  return config;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// The option that a stored setting belongs to.
CLI::Option& option_of(CLI::App& train, const std::string& key) {
  if (CLI::Option* option = train.get_option_no_throw("--" + key)) return *option;
  throw Error(ErrorKind::data, "resume", "this version of bntrain does not know the run's setting " + key);
}

void give(CLI::Option& option, const std::string& text) {
  try {
    option.add_result(text);
    option.run_callback();
  } catch (const BadValue& bad) {
    throw Error(ErrorKind::data, "resume", std::string("a setting of the run: ") + bad.what());
  }
}

/// SGD without momentum keeps nothing that one with momentum could go on with.
bool changes_state(const std::string& key, const Json& from, const Json& to) {
  return key == "momentum" && (from == 0) != (to == 0);
}

Json stored_changes(const CheckpointFile& file) {
  const auto found = file.metadata.find("bntrain.changes");
  Json changes = found == file.metadata.end() ? Json::array() : parse_record(found->second);
  return changes.is_array() ? changes : Json::array();
}

/// The file that a setting of the run names; "" for none.
fs::path stored_path(const Json& stored, const std::string& key) {
  try {
    return path_of("--" + key, stored.value(key, ""));
  } catch (const BadValue& bad) {
    throw Error(ErrorKind::data, "resume", std::string("a setting of the run: ") + bad.what());
  }
}

/// From the folder to what is the folder or below it; else "".
fs::path below(const fs::path& folder, const fs::path& path) {
  if (folder.empty() || path.empty()) return {};
  const fs::path way =
      path.lexically_normal().lexically_relative((folder / ".").lexically_normal().parent_path());
  return way.empty() || *way.begin() == ".." ? fs::path() : way;
}

/// What the run writes below its folder it goes on writing there, wherever the folder is now: a copy never
/// writes into the original. Throws Error of "tensorboard" where the copy's events would go on in the
/// original's folder.
void keep_outputs_with_the_run(Json& stored, const TrainOptions& options) {
  const fs::path began = stored_path(stored, "out");
  const auto move = [&](const char* key) {
    const fs::path way = below(began, stored_path(stored, key));
    if (!way.empty()) stored[key] = path_text(way == "." ? options.resume : (options.resume / way).string());
    return !way.empty();
  };
  for (const char* key : {"save", "save-gradients", "metrics"}) move(key);
  if (move("tensorboard") || stored.value("tensorboard", "").empty() || !options.tensorboard.empty()) return;
  std::error_code ignored;
  if (fs::exists(began / last_name, ignored) && !fs::equivalent(began, options.resume, ignored))
    throw Error(ErrorKind::usage, "tensorboard",
                options.resume + " is a copy of the run " + began.string() + ", whose events are in " +
                    stored.value("tensorboard", "") + "; name another folder for the copy's");
}

}  // namespace

void resume_options(CLI::App& train, TrainOptions& options, const Sources& sources) {
  if (!options.out.empty())
    throw Error(ErrorKind::usage, "out", "--resume writes into the folder of its run; omit it");
  options.resume = run_folder(options.resume).string();
  options.stored = read_last(options.resume);
  Json stored = stored_config(*options.stored, options.resume);
  enter_start_folder(options, stored.value("data", ""));
  options.changes = stored_changes(*options.stored);
  keep_outputs_with_the_run(stored, options);
  options.stored_events = stored_path(stored, "tensorboard").string();
  stored.erase("out");
  // --epochs alone says when the run ends, whatever --steps was.
  if (train.get_option("--epochs")->count() > 0) stored.erase("steps");
  const Json given = settings_record(options);
  const bool new_schedule = schedule_is_given_again(sources, given, stored);
  if (new_schedule) stored.erase("schedule-steps");
  // What a checkpoint of an earlier version does not name had its default.
  const Json defaults = settings_record({});
  for (const auto& [key, value] : defaults.items())
    if (!stored.contains(key) && key != "out" && key != "steps" && key != "schedule-steps")
      stored[key] = value;
  const bool by_convention = train.get_option("--bn-convention")->count() > 0;
  for (const auto& [key, value] : stored.items()) {
    CLI::Option& option = option_of(train, key);
    const std::string text = text_of(value);
    const bool from_convention = option.count() == 0 && by_convention && key.starts_with("bn-");
    if (option.count() == 0 && !from_convention) {
      if (!text.empty()) give(option, text);
      continue;
    }
    if (given.at(key) == value || contains(may_differ, key)) continue;
    const bool rescheduled = new_schedule && contains(schedule_keys, key);
    const bool changed = contains(may_change, key) && sources.of(key) == Source::command_line;
    if (rescheduled || (changed && !changes_state(key, value, given.at(key)))) {
      options.changes.push_back({{"step", options.stored->checkpoint.progress.steps},
                                 {"setting", key},
                                 {"from", value},
                                 {"to", given.at(key)}});
      continue;
    }
    throw Error(ErrorKind::usage, from_convention ? "bn-convention" : key,
                (from_convention ? "its " + key + " " : "") + text_of(given.at(key)) +
                    " differs from the run's " + text + " (--resume " + options.resume + "); " +
                    (key == "warmup" || key == "schedule-steps" ? "give --schedule with it, " : "") +
                    "omit it, or start another run with --out");
  }
  options.out = options.resume;
}

}  // namespace bntrain::cli
