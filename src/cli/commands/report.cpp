// bntrain report: what runs were like, from their records.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "bntrain/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/flags/paths.hpp"
#include "cli/flags/train_options.hpp"
#include "cli/flags/values.hpp"
#include "cli/flags/workload.hpp"
#include "cli/reports/live_page.hpp"
#include "cli/reports/output.hpp"
#include "cli/reports/runs_page.hpp"
#include "core/write_file.hpp"
#include "report/comparison.hpp"
#include "report/page.hpp"
#include "report/run_files.hpp"
#include "report/run_page.hpp"
#include "report/text_curves.hpp"

namespace bntrain::cli {
namespace {

namespace fs = std::filesystem;

struct ReportOptions {
  std::vector<std::string> runs;
  std::string output;  ///< of the page; "" beside the records
  bool text = false;   ///< curves on stdout instead of the page
  bool csv = false;    ///< rows on stdout instead of the page
  LogOptions log;
};

/// What is shown, and a sentence for each run that is not.
struct Found {
  std::vector<report::RecordedRun> runs;
  std::vector<std::string> problems;
};

/// Whether it was named before, perhaps by another path: runs/* runs/best.
bool is_among(const std::vector<report::RecordedRun>& runs, const report::RecordedRun& run) {
  std::error_code ignored;
  return std::ranges::any_of(runs, [&](const report::RecordedRun& other) {
    return fs::equivalent(run.place, other.place, ignored);
  });
}

/// One that cannot be read leaves out no other, and one that is named twice is one.
Found read_runs(const ReportOptions& options) {
  Found found;
  for (const std::string& named : options.runs) {
    try {
      for (report::RecordedRun& run : report::find_runs(path_of("RUN", named), found.problems))
        if (!is_among(found.runs, run)) found.runs.push_back(std::move(run));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data || options.runs.size() == 1) throw;
      found.problems.push_back(error.message() + "; it is left out");
    }
  }
  report::name_apart(found.runs);
  for (const std::string& problem : found.problems) spdlog::warn("{}", problem);
  if (found.runs.empty()) throw Error(ErrorKind::data, "none of the runs can be shown");
  return found;
}

/// Where the page goes that --output does not name: beside the records of one run; a bench has a report.html
/// of its own.
fs::path page_of(const ReportOptions& options, const std::vector<report::RecordedRun>& runs) {
  if (!options.output.empty()) return options.output;
  const fs::path named = path_of("RUN", options.runs.front());
  if (options.runs.size() > 1) return page_name;
  if (report::holds_many(named)) return named / runs_page_name;
  return runs.front().folder.empty() ? fs::path(page_name) : runs.front().folder / page_name;
}

/// Nobody's file is replaced but a page of this command: --output may name a file of the run by mistake.
void expect_own(const fs::path& file) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored) || fs::file_size(file, ignored) == 0 || report::is_page(file))
    return;
  throw Error(ErrorKind::usage, "output",
              file.string() +
                  " is there and is none of this command's pages; remove it, or name another file with "
                  "--output");
}

std::string title_of(const ReportOptions& options, std::size_t runs) {
  return options.runs.size() == 1 ? fs::path(options.runs.front()).lexically_normal().string()
                                  : std::to_string(runs) + " runs";
}

void write_beside_records(const fs::path& file, const std::string& page) {
  try {
    write_file(file, page);
  } catch (const Error& error) {
    throw Error(error.kind(), error.message() + "; --output FILE.html writes it elsewhere");
  }
}

void write_page(const ReportOptions& options, const Found& found) {
  const auto& [runs, problems] = found;
  const bool to_stdout = options.output == "-";
  const fs::path file = page_of(options, runs);
  if (!to_stdout) expect_own(file);
  const std::string page = runs.size() == 1 && problems.empty()
                               ? report::run_page(runs.front(), settings_record({}))
                               : report::comparison_page(title_of(options, runs.size()), runs, problems);
  if (to_stdout) return print_bytes(page);
  options.output.empty() ? write_beside_records(file, page) : write_file(file, page);
  print_result(printable(file.string(), false));
}

/// Without its last line end, which print_result() writes.
void print_text(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  print_result(text);
}

int run(const ReportOptions& options) {
  adjust_logging(options.log);
  if (static_cast<int>(options.text) + static_cast<int>(options.csv) +
          static_cast<int>(!options.output.empty()) >
      1)
    throw Error(ErrorKind::usage, "--text, --csv and --output exclude each other: name one");
  const Found found = read_runs(options);
  if (options.csv) {
    print_text(report::csv(found.runs));
  } else if (!options.text) {
    write_page(options, found);
  } else if (prints_to_terminal()) {
    print_text(report::text_report(found.runs, output_width()));
  } else {
    print_text(report::epoch_table(found.runs));
  }
  return 0;
}

void bind_flags(CLI::App& app, ReportOptions& options) {
  CLI::App& command = add_command(app, "report", "show runs: curves, statistics and mistakes in a page");
  add_argument(command, "RUN", options.runs,
               "folders of train, bench or reproduce --out, and files or pipes of --metrics")
      ->required();
  in_group(command, "Output", [&] {
    add_path(command, "-o,--output", options.output, "FILE.html",
             "the page, - for stdout; default: report.html in the folder of the run, runs.html in that of a "
             "bench, report.html "
             "here for several");
    add_switch(command, "--text", options.text,
               "curves on stdout instead of a page; rows of numbers where it is no terminal");
    add_switch(command, "--csv", options.csv,
               "everything that was recorded by step and epoch as CSV on stdout");
    add_log_options(command, options.log);
  });
  set_footer(command, {"The page is one file that needs no other and no network; train --out RUN",
                       "keeps RUN/report.html up to date. What the records lack is said on the page",
                       "and is no error.", sources_note(command)});
}

}  // namespace

Run add_report(CLI::App& app) {
  return command<ReportOptions>(app, bind_flags, run);
}

}  // namespace bntrain::cli
