// What a training run says while it runs: result lines on stdout, the metrics file, the progress bar.
#pragma once

#include <fstream>
#include <optional>

#include "bntrain/trainer.hpp"
#include "cli/progress.hpp"
#include "cli/train_command.hpp"
#include "train/record_writer.hpp"

namespace bntrain::cli {

class TrainReport : public TrainObserver {
 public:
  /// Opens (and empties) the metrics file and writes `start` as its first line. Throws Error(runtime) here
  /// and later when stdout or the metrics file cannot be written.
  TrainReport(const TrainOptions& options, const Trainer& trainer, const Json& start);

  void on_steps(std::int64_t epoch, std::int64_t first_step, const std::vector<StepMetrics>& steps) override;
  void on_evaluation(const Evaluation& evaluation) override;
  void on_record(const StepRecord& record) override;
  void on_epoch(const EpochResult& epoch) override;
  void on_end(const TrainResult& result);

 private:
  const TrainOptions& options_;
  std::int64_t steps_per_epoch_;
  std::int64_t total_steps_;
  std::ofstream metrics_file_;
  std::optional<RecordWriter> metrics_;
  Progress progress_;
};

/// "Epoch 0. Loss: 2.147481, Train acc 0.178408, Test acc 0.643457 (1.52 s, 39500 images/s)"
std::string epoch_line(const EpochResult& epoch, std::int64_t steps_per_epoch);

/// One line on stdout at once, so that a pipe sees every epoch when it ends. Throws Error(runtime).
void print_result(const std::string& line);

}  // namespace bntrain::cli
