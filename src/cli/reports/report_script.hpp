// The report of a bench: a page with plots, made by a Python script.
#pragma once

#include <filesystem>

namespace bntrain::cli {

/// Throws Error(runtime) of "report" that says what is missing. Asked before hours of training.
void expect_report_tools();

/// Runs share/bntrain/plot_report.py on the folder of a bench. Where that fails the results
/// are there all the same, so it only warns and says what to install.
void make_report(const std::filesystem::path& folder);

}  // namespace bntrain::cli
