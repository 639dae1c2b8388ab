// Several runs over each other.
#pragma once

#include <string>
#include <vector>

#include "report/run_files.hpp"

namespace bntrain::report {

/// The page of several runs, the whole file. `problems`: a sentence for each run that is left out.
std::string comparison_page(const std::string& title, const std::vector<RecordedRun>& runs,
                            const std::vector<std::string>& problems = {});

}  // namespace bntrain::report
