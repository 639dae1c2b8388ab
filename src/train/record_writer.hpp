// Writes the records of a training run, one JSON object a line.
#pragma once

#include <ostream>
#include <string>

#include "bntrain/train.hpp"
#include "train/records.hpp"

namespace bntrain {

class RecordWriter : public TrainObserver {
 public:
  /// Writes `start` at once. `name` says in messages what is written; `steps`: a record for every step too.
  /// Here and later throws Error(runtime) when `out` takes no more.
  RecordWriter(std::ostream& out, std::string name, bool steps, const Json& start);
  /// Continues after the records that `out` has.
  RecordWriter(std::ostream& out, std::string name, bool steps);

  void on_steps(std::int64_t epoch, std::int64_t first_step, const std::vector<StepMetrics>& steps) override;
  void on_evaluation(const Evaluation& evaluation) override;
  void on_record(const StepRecord& record) override;
  void on_epoch(const EpochResult& epoch) override;
  void on_end(const TrainResult& result);

 private:
  void write(const Json& record);

  std::ostream& out_;
  std::string name_;
  bool steps_;
};

}  // namespace bntrain
