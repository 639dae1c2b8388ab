// Which runs are one curve.
#pragma once

#include <string>
#include <vector>

#include "report/run_files.hpp"

namespace bntrain::report {

/// Runs that are drawn as one curve: their mean, and a band from the smallest to the largest.
struct RunGroup {
  std::string name;
  std::vector<const RecordedRun*> runs;
};

/// The settings in which the runs differ, by the names of their flags; what only says what is written, where
/// and when, is no difference.
std::vector<std::string> differing_settings(const std::vector<RecordedRun>& runs);

/// A group for each run; of many, those are one that differ in nothing that changes the training but their
/// seed.
std::vector<RunGroup> groups_of(const std::vector<RecordedRun>& runs,
                                const std::vector<std::string>& differing);

}  // namespace bntrain::report
