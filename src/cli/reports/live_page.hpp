// RUN/report.html while the run trains.
#pragma once

#include <chrono>
#include <filesystem>

#include "cli/flags/train_options.hpp"
#include "report/run_files.hpp"

namespace bntrain::cli {

/// The page beside the records: what is told is kept, so that no page needs to read the records again. A page
/// that cannot be written is one warning, and there is none until one can; the run goes on.
class LivePage {
 public:
  /// Goes on from `so_far`, what the records of the run's folder say, and writes the first page.
  LivePage(const TrainOptions& options, report::RunHistory so_far);

  void take(const Json& record);
  /// After an epoch: writes the page anew, unless making pages would take more than a hundredth of the time.
  void refresh();
  /// The last page, after the last record.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void write();

  report::RecordedRun run_;
  std::filesystem::path file_;
  Json defaults_;
  Clock::time_point next_ = {};  ///< not before
  bool warned_ = false;
};

/// The name of the page in a run's folder.
inline constexpr const char* page_name = "report.html";

}  // namespace bntrain::cli
