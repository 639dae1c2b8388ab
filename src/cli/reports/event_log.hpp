// What a training run shows in TensorBoard: --tensorboard.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bntrain/train.hpp"
#include "cli/flags/train_options.hpp"
#include "core/folder_lock.hpp"
#include "formats/event_file.hpp"
#include "train/records.hpp"

namespace bntrain::cli {

/// Before anything is read: throws Error of "tensorboard" where the folder is none or holds event files that
/// the run does not continue, or this build cannot write them.
void expect_event_folder(const TrainOptions& options);

/// Every member throws Error where the file cannot be written.
class EventLog : public TrainObserver {
 public:
  /// Creates the folder and takes it for this process. A resumed run makes void what was written after its
  /// checkpoint. `start` is the record of the start.
  EventLog(const TrainOptions& options, const Json& start);

  void on_steps(std::int64_t epoch, std::int64_t first_step, const std::vector<StepMetrics>& steps) override;
  void on_evaluation(const Evaluation& evaluation) override;
  void on_record(const StepRecord& record) override;
  bool wants_answers() const override { return true; }
  void on_answers(const Trainer& trainer, const EpochResult& epoch,
                  const std::vector<float>& logits) override;
  void on_epoch(const EpochResult& epoch) override;
  void on_end(const TrainResult& result);

 private:
  std::unique_ptr<FolderLock> lock_;  ///< null where the run's folder, which has one, is the same
  std::int64_t begun_;                ///< the step that this process began with
  EventFile file_;
  bool every_step_;
};

}  // namespace bntrain::cli
