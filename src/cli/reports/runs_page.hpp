// The page of many runs, in the folder of their records.
#pragma once

#include <filesystem>

namespace bntrain::cli {

inline constexpr const char* runs_page_name = "runs.html";

/// Writes it and says so: the curves of all runs of a bench or of reproduce. What cannot be written is a
/// warning.
void write_runs_page(const std::filesystem::path& folder);

}  // namespace bntrain::cli
