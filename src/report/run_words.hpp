// What a page says of a run in words.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "report/run_files.hpp"

namespace bntrain::report {

/// The command with the settings in which the run differs from `defaults`, those of the program by the names
/// of their flags. "" where the run does not say its settings.
std::string command_of(const RunHistory& run, const Json& defaults);

/// A setting that resuming the run changed.
struct SettingChange {
  std::int64_t step = 0;
  std::string setting, from, to;
};

/// In their order; none where the run was never changed.
std::vector<SettingChange> changes_of(const RunHistory& run);

/// What a person may want to do next: (what, command).
std::vector<std::pair<std::string, std::string>> next_commands(const RecordedRun& run);

/// A sentence of what has become of the run.
std::string state_sentence(const RecordedRun& run);

/// The best epoch by the accuracy of the evaluated images; null where no epoch ended.
const EpochPoint* best_epoch(const RunHistory& run);

/// Of training and evaluations together, of the epochs that ended.
double seconds_of(const RunHistory& run);
/// Of the epochs.
double median_speed(const RunHistory& run);

/// As a POSIX shell takes it for one word. What would break the line or is not UTF-8 is written $'\012'.
std::string shell_word(const std::string& text);

}  // namespace bntrain::report
