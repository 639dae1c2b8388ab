// Records and evaluation.json of a run, whatever they hold, become a page, curves and CSV.
#include <sstream>

#include "fuzz_input.hpp"
#include "report/comparison.hpp"
#include "report/page_files.hpp"
#include "report/run_page.hpp"
#include "report/text_curves.hpp"

// In place of the program's, which are large.
namespace bntrain::report {
const std::string_view page_css = "", page_js = "", chart_library = "chart", chart_license = "";
}

using namespace bntrain;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = fuzz::text_of(data, size);
  std::istringstream lines(text);
  report::RecordedRun run{.history = report::read_history(lines, "fuzz"), .folder = {}};
  run.state = report::state_of(run.history, true, false);
  const auto evaluation = report::evaluation_of(text);
  report::run_page(run, evaluation, {}, Json::object(), "now");
  report::comparison_page("fuzz", {run, run});
  report::text_report({run, run}, 80);
  report::epoch_table({run});
  report::csv({run});
  return 0;
}
