// The page of one run.
#pragma once

#include <optional>
#include <string>

#include "report/evaluation_file.hpp"
#include "report/run_files.hpp"

namespace bntrain::report {

/// The whole file. `defaults` are the program's settings by the names of their flags; `written` is the time
/// to name while training goes on ("2026-11-28 09:30:05 UTC").
std::string run_page(const RecordedRun& run, const std::optional<EvaluationDetails>& evaluation,
                     std::vector<std::string> missing, const Json& defaults, const std::string& written);

/// With what lies in the run's folder, at this time.
std::string run_page(const RecordedRun& run, const Json& defaults);

}  // namespace bntrain::report
