#include "cli/reports/live_page.hpp"

#include <spdlog/spdlog.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "core/write_file.hpp"
#include "report/page.hpp"
#include "report/run_page.hpp"

namespace bntrain::cli {
namespace {

constexpr int most_share = 100;  // a page is made for at most 1 / this of the time
// Points that are kept of steps, hundreds for each that is drawn: a run may have billions.
constexpr std::size_t most_steps = 1'000'000;

}  // namespace

LivePage::LivePage(const TrainOptions& options, report::RunHistory so_far)
    : run_(report::run_of(options.out, std::move(so_far))),
      file_(run_.folder / page_name),
      defaults_(settings_record({})) {
  run_.state = report::RunState::going_on;
  write();
}

void LivePage::take(const Json& record) {
  std::vector<report::StepPoint>& steps = run_.history.steps;
  run_.history.add(record);
  if (steps.size() <= most_steps) return;
  for (std::size_t i = 0; 2 * i < steps.size(); ++i) steps[i] = steps[2 * i];
  steps.resize((steps.size() + 1) / 2);
}

void LivePage::refresh() {
  if (Clock::now() >= next_) write();
}

void LivePage::finish() {
  run_.state = report::state_of(run_.history, true, false);
  write();
}

void LivePage::write() {
  const Clock::time_point start = Clock::now();
  try {
    write_file(file_, report::run_page(run_, defaults_));
  } catch (const std::exception& error) {
    if (!warned_) spdlog::warn("the report cannot be written: {}; the run goes on without it", error.what());
    warned_ = true;
    // One of before would say for ever that the run goes on.
    std::error_code ignored;
    if (report::is_page(file_)) std::filesystem::remove(file_, ignored);
  }
  const Clock::time_point end = Clock::now();
  next_ = end + most_share * (end - start);
}

}  // namespace bntrain::cli
