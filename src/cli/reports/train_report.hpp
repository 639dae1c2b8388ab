// What a training run prints and writes while it runs: result lines on stdout, the metrics file, the progress
// bar.
#pragma once

#include <exception>
#include <fstream>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <utility>

#include "bntrain/train.hpp"
#include "cli/flags/train_options.hpp"
#include "cli/reports/event_log.hpp"
#include "cli/reports/live_page.hpp"
#include "cli/reports/output.hpp"
#include "cli/reports/run_folder.hpp"
#include "report/run_history.hpp"
#include "train/record_writer.hpp"

namespace bntrain::cli {

/// A file of the records of a training run, which a resumed run continues.
class RecordFile {
 public:
  /// Begins the file with the record `start`. With `resumed`, a file that is there keeps the records before
  /// that checkpoint and loses the later ones, which come again; `start` replaces its first one. `flag`
  /// names the file in messages. Throws Error(data) where the file holds something else, Error(runtime) where
  /// it cannot be written.
  RecordFile(const std::string& flag, const std::string& path, const TrainConfig& config, const Json& start,
             const TrainProgress* resumed);

  void take(const Json& record) { writer_->take(record); }
  /// What the file held when it was begun, `start` included; once.
  report::RunHistory take_history() { return std::move(history_); }
  /// Takes away what was written of a record that did not fit, and writes no more.
  void end_at_last_line();

 private:
  std::string path_;
  std::ofstream file_;
  report::RunHistory history_;
  std::optional<RecordWriter> writer_;
};

class TrainReport : public TrainObserver {
 public:
  /// Begins the metrics files with `start`, or continues those of a run that is resumed. `folder` is null
  /// where the run has none. Throws Error(runtime) where a metrics file cannot be written. Later that is a
  /// warning, and a run that writes files goes on without stdout too: they are what it is for.
  TrainReport(const TrainOptions& options, const Trainer& trainer, const Json& start, RunFolder* folder);

  void on_steps(std::int64_t epoch, std::int64_t first_step, const std::vector<StepMetrics>& steps) override;
  void on_evaluation(const Evaluation& evaluation) override;
  void on_record(const StepRecord& record) override;
  bool wants_answers() const override { return folder_ != nullptr || events_; }
  void on_answers(const Trainer& trainer, const EpochResult& epoch,
                  const std::vector<float>& logits) override;
  void on_epoch(const EpochResult& epoch) override;
  void on_best(const EpochResult& epoch, const ModelState& model) override;
  void on_checkpoint(const Trainer& trainer) override;
  void on_end(const TrainResult& result);
  /// Throws what print_result() did where a line could not be printed.
  void expect_printed() const;

 private:
  /// Makes each record once, for the files and the page.
  class Records : public RecordMaker {
   public:
    Records(TrainReport& report, bool steps) : RecordMaker(steps), report_(report) {}
    void take(const Json& record) override { report_.take(record); }

   private:
    TrainReport& report_;
  };

  void print(const std::string& line);
  void take(const Json& record);
  /// Tells it to the page, where there is one.
  void show(const std::function<void(LivePage&)>& tell_page);
  /// Tells it to TensorBoard's event file, where there is one.
  void tell(const std::function<void(EventLog&)>& write);

  const TrainOptions& options_;
  std::int64_t steps_per_epoch_;
  std::int64_t total_steps_;
  RunFolder* folder_;
  Records records_;
  std::list<RecordFile> metrics_;
  std::optional<EventLog> events_;
  std::optional<LivePage> page_;
  Progress progress_;
  std::string interrupted_epoch_;  ///< is printed when the run's files are written
  std::exception_ptr unprinted_;
};

/// "Epoch 0. Loss: 2.147481, Train acc 0.178408, Test acc 0.643457 (1.52 s, 39500 images/s)"
std::string epoch_line(const EpochResult& epoch, std::int64_t steps_per_epoch);

/// "Test. Loss: 0.332836, Test acc 0.878400 (weights of epoch 3, the best by validation accuracy)"
std::string test_line(const TrainResult& result);

}  // namespace bntrain::cli
