// Runs in a terminal, and as rows for other programs.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "report/run_files.hpp"

namespace bntrain::report {

/// Loss and accuracy by epoch of the runs as curves, with best and last values: for people.
std::string text_report(const std::vector<RecordedRun>& runs, std::size_t width);

/// Their epochs as rows of numbers below a heading, in columns, however wide: for other programs.
std::string epoch_table(const std::vector<RecordedRun>& runs);

/// Everything that was recorded of losses, accuracies and learning rates as CSV (RFC 4180), a row a record.
std::string csv(const std::vector<RecordedRun>& runs);

}  // namespace bntrain::report
