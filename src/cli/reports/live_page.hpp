// RUN/report.html while the run trains.
#pragma once

#include <chrono>
#include <filesystem>

#include "cli/flags/train_options.hpp"
#include "report/run_files.hpp"
#include "train/record_writer.hpp"

namespace bntrain::cli {

/// The page beside the records: what is told is kept, so that no page needs to read the records again. A page
/// that cannot be written is one warning; the run goes on.
class LivePage : public RecordMaker {
 public:
  /// Takes up the records that the run's folder has, those of a run that is resumed, and writes the first
  /// page.
  LivePage(const TrainOptions& options, const Json& start);

  /// Writes the page anew, unless making pages would take more than a hundredth of the time.
  void on_epoch(const EpochResult& epoch) override;
  /// The last page.
  void on_end(const TrainResult& result) override;

 protected:
  void take(const Json& record) override;

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
