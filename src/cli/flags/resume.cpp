#include "cli/flags/resume.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>

#include "bntrain/error.hpp"
#include "cli/flags/values.hpp"

namespace bntrain::cli {
namespace {

// When the run ends, where it runs, where its images are (they must be the same), and what is written: none
// of these changes what a step does.
constexpr std::array<std::string_view, 15> may_differ = {
    "epochs",         "steps",   "patience", "device",    "threads",    "cpu-isa",    "data", "save",
    "save-gradients", "metrics", "record",   "log-every", "eval-every", "save-every", "keep"};
// A schedule that is given again replaces the run's.
constexpr std::array<std::string_view, 3> schedule_keys = {"schedule", "warmup", "schedule-steps"};

/// Whether a flag or a file says --schedule, or an environment variable another one than the run's.
bool schedule_is_given_again(const Sources& sources, const Json& given, const Json& stored) {
  const Source source = sources.of("schedule");
  if (source == Source::program) return false;
  return source != Source::environment || stored.value("schedule", "constant") != given.at("schedule");
}

CheckpointFile read_last(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "last.safetensors";
  std::error_code ignored;
  if (std::filesystem::is_regular_file(folder, ignored)) {
    const std::filesystem::path run = folder.parent_path();
    throw Error(ErrorKind::usage, "resume",
                folder.string() + " is a file; name the run's folder, " + (run.empty() ? "." : run.string()));
  }
  if (!std::filesystem::exists(path, ignored)) {
    throw Error(ErrorKind::data, "resume",
                "there is no checkpoint " + path.string() + "; a run started with --out " + folder.string() +
                    " writes one");
  }
  return read_checkpoint(path);
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

}  // namespace

void resume_options(CLI::App& train, TrainOptions& options, const Sources& sources) {
  if (!options.out.empty())
    throw Error(ErrorKind::usage, "out", "--resume writes into the folder of its run; omit it");
  options.stored = read_last(options.resume);
  Json stored = stored_config(*options.stored, options.resume);
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
    const bool allowed = std::ranges::find(may_differ, key) != may_differ.end() ||
                         (new_schedule && std::ranges::find(schedule_keys, key) != schedule_keys.end());
    if (allowed || given.at(key) == value) continue;
    throw Error(ErrorKind::usage, from_convention ? "bn-convention" : key,
                (from_convention ? "its " + key + " " : "") + text_of(given.at(key)) +
                    " differs from the run's " + text + " (--resume " + options.resume + "); " +
                    (key == "warmup" || key == "schedule-steps" ? "give --schedule with it, " : "") +
                    "omit it, or start another run with --out");
  }
  options.out = options.resume;
}

}  // namespace bntrain::cli
