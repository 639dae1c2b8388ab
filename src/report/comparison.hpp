// Several runs over each other.
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

/// The settings in which the runs differ, by the names of their flags; what only says where files go is no
/// difference.
std::vector<std::string> differing_settings(const std::vector<RecordedRun>& runs);

/// A group for each run; of many, those that differ in nothing but their seed are one.
std::vector<RunGroup> groups_of(const std::vector<RecordedRun>& runs,
                                const std::vector<std::string>& differing);

/// The page of several runs, the whole file. `problems`: a sentence for each run that is left out.
std::string comparison_page(const std::string& title, const std::vector<RecordedRun>& runs,
                            const std::vector<std::string>& problems = {});

}  // namespace bntrain::report
