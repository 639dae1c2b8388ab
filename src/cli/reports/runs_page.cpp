#include "cli/reports/runs_page.hpp"

#include <spdlog/spdlog.h>

#include <string>
#include <vector>

#include "core/write_file.hpp"
#include "report/comparison.hpp"
#include "report/run_files.hpp"
#include "report/run_words.hpp"

namespace bntrain::cli {

void write_runs_page(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / runs_page_name;
  try {
    std::vector<std::string> problems;
    const std::vector<report::RecordedRun> runs = report::find_runs(folder, problems);
    write_file(file, report::comparison_page(folder.string(), runs, problems));
    spdlog::info("the curves of all runs: xdg-open {}", report::shell_word(file.string()));
  } catch (const std::exception& error) {
    spdlog::warn("the page of the runs cannot be written: {}", error.what());
  }
}

}  // namespace bntrain::cli
