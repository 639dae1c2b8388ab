#include "report/run_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "formats/safetensors.hpp"
#include "report/html.hpp"

namespace bntrain::report {
namespace {

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : one_line(value);
}

std::string steps_of(const RunHistory& run) {
  const std::int64_t last = run.last_step(), total = run.total_steps();
  return total > 0 && total != last ? grouped(last) + " of " + counted(total, "step") : counted(last, "step");
}

bool is_control(unsigned char letter) {
  return letter < 0x20 || letter == 0x7F;
}

/// $'...', in which everything can be written in ASCII.
std::string escaped_word(const std::string& text) {
  std::string word = "$'";
  for (const char letter : text) {
    const auto code = static_cast<unsigned char>(letter);
    if (letter == '\'' || letter == '\\')
      word += std::string("\\") + letter;
    else if (code >= 0x80 || is_control(code))
      word += fmt::format("\\{:03o}", code);
    else
      word += letter;
  }
  return word + "'";
}

}  // namespace

std::string shell_word(const std::string& text) {
  constexpr const char* plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:,=+-@%";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  if (valid_utf8(text) != text || std::ranges::any_of(text, is_control)) return escaped_word(text);
  std::string word = "'";
  for (const char letter : text) word += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return word + "'";
}

std::string command_of(const RunHistory& run, const Json& defaults) {
  const Json config = object_in(run.start, "config");
  if (config.empty()) return "";
  std::string command = "bntrain train";
  for (const auto& [name, value] : config.items()) {
    if (defaults.value(name, Json()) == value || value.is_null() || value == "") continue;
    // The schedule takes the steps of the run unless another number is given.
    if (name == "schedule-steps" && value == run.total_steps()) continue;
    if (value == true)
      command += " --" + name;
    else if (value != false)
      command += " --" + name + " " + shell_word(text_of(value));
  }
  return command;
}

std::vector<SettingChange> changes_of(const RunHistory& run) {
  std::vector<SettingChange> changes;
  const auto found = run.start.find("changes");
  if (found == run.start.end() || !found->is_array()) return changes;
  for (const Json& change : *found) {
    if (change.is_object() && count_in(change, "step") >= 0)
      changes.push_back({count_in(change, "step"), text_in(change, "setting"),
                         text_of(change.value("from", Json())), text_of(change.value("to", Json()))});
  }
  return changes;
}

std::vector<std::pair<std::string, std::string>> next_commands(const RecordedRun& run) {
  std::vector<std::pair<std::string, std::string>> commands;
  if (run.folder.empty()) return commands;
  const std::string folder = shell_word(run.folder.string());
  std::error_code ignored;
  if (std::filesystem::exists(run.folder / "last.safetensors", ignored)) {
    const bool all_made = run.checkpoint >= 0 && run.checkpoint >= run.history.total_steps();
    if (run.state == RunState::ended || all_made)
      commands.emplace_back("Train longer", "bntrain --resume " + folder + " --epochs N");
    else if (run.state == RunState::diverged)
      commands.emplace_back("Resume from the last checkpoint with a smaller learning rate",
                            "bntrain --resume " + folder + " --lr X");
    else if (run.state == RunState::interrupted || run.state == RunState::killed || run.checkpoint >= 0)
      commands.emplace_back("Resume from the last checkpoint", "bntrain --resume " + folder);
  }
  if (std::filesystem::exists(run.folder / "config.toml", ignored))
    commands.emplace_back(
        changes_of(run.history).empty()
            ? "Repeat the run in another folder"
            : "Repeat the run in another folder, with its last settings throughout",
        "bntrain --config " + shell_word((run.folder / "config.toml").string()) + " --out ANOTHER");
  return commands;
}

std::string state_sentence(const RecordedRun& run) {
  const RunHistory& history = run.history;
  switch (run.state) {
    case RunState::going_on:
      return "Training goes on: " + steps_of(history) + (history.last_step() == 1 ? " was" : " were") +
             " recorded when this page was written. Reload it for the "
             "present state.";
    case RunState::ended:
      return history.end.value("out_of_patience", Json()) == true
                 ? "Training ended after " + steps_of(history) +
                       ": the validation accuracy no longer improved."
                 : "Training ended after " + steps_of(history) + ".";
    case RunState::interrupted:
      return "Training was interrupted after " + steps_of(history) + ".";
    case RunState::diverged:
      return "Training diverged: the loss was not finite after " + steps_of(history) + ".";
    case RunState::killed:
      return "Training was killed: its records end after " + steps_of(history) +
             ", without a word of an end" +
             (run.checkpoint < 0 ? "."
                                 : ", as those on a full disk do; the checkpoint is of step " +
                                       grouped(run.checkpoint) + ".");
    case RunState::unknown:
      break;
  }
  if (run.checkpoint >= 0)
    return "The records end after " + steps_of(history) + ", and the checkpoint is of step " +
           grouped(run.checkpoint) + ": what came after the records, and how the run ended, is not known.";
  return "The records end after " + steps_of(history) + "; whether training goes on they do not say.";
}

const EpochPoint* best_epoch(const RunHistory& run) {
  const EpochPoint* best = nullptr;
  for (const EpochPoint& epoch : run.epochs) {
    if (std::isfinite(epoch.accuracy) && (best == nullptr || epoch.accuracy > best->accuracy)) best = &epoch;
  }
  return best;
}

double seconds_of(const RunHistory& run) {
  double sum = 0;
  for (const EpochPoint& epoch : run.epochs)
    for (const double seconds : {epoch.seconds, epoch.eval_seconds})
      sum += std::isfinite(seconds) ? seconds : 0;
  return sum;
}

double median_speed(const RunHistory& run) {
  std::vector<double> speeds;
  for (const EpochPoint& epoch : run.epochs)
    if (std::isfinite(epoch.images_per_second)) speeds.push_back(epoch.images_per_second);
  if (speeds.empty()) return std::nan("");
  std::ranges::sort(speeds);
  return (speeds[(speeds.size() - 1) / 2] + speeds[speeds.size() / 2]) / 2;
}

}  // namespace bntrain::report
