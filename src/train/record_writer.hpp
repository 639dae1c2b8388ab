// Makes the records of a training run, and writes them, one JSON object a line.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "bntrain/train.hpp"
#include "train/records.hpp"

namespace bntrain {

/// What is told becomes records.
class RecordMaker : public TrainObserver {
 public:
  /// `steps`: a record for every step too.
  explicit RecordMaker(bool steps) : steps_(steps) {}

  void on_steps(std::int64_t epoch, std::int64_t first_step, const std::vector<StepMetrics>& steps) override;
  void on_evaluation(const Evaluation& evaluation) override;
  void on_record(const StepRecord& record) override;
  void on_epoch(const EpochResult& epoch) override;
  /// Where the run diverged the record has the last steps too, which may be in no other.
  virtual void on_end(const TrainResult& result);

  virtual void take(const Json& record) = 0;

 private:
  bool steps_;
  std::vector<std::pair<std::int64_t, StepMetrics>> last_steps_;  ///< by number
};

class RecordWriter : public RecordMaker {
 public:
  /// Writes `start` at once. `name` says in messages what is written; `steps`: a record for every step too.
  /// Here and later throws Error(runtime) when `out` takes no more.
  RecordWriter(std::ostream& out, std::string name, bool steps, const Json& start);
  /// Continues after the records that `out` has.
  RecordWriter(std::ostream& out, std::string name, bool steps);

  void take(const Json& record) override;

 private:
  std::ostream& out_;
  std::string name_;
};

}  // namespace bntrain
