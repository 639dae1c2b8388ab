// The record file of one finished run, as a RecordWriter writes it, read back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "train/records.hpp"

namespace bntrain::bench {

/// A finished epoch. What was not finite is NaN.
struct EpochRecord {
  std::int64_t epoch = 0, steps = 0;
  double train_loss = 0, train_loss_batch_mean = 0;
  double train_accuracy = 0, train_accuracy_batch_mean = 0;
  double test_loss = 0, test_accuracy = 0, test_accuracy_batch_mean = 0;
};

/// An evaluation on the test set, within an epoch or at its end.
struct EvaluationRecord {
  std::int64_t step = 0;  ///< updates since the start of the run
  double test_loss = 0, test_accuracy = 0;
  double train_seconds = 0;  ///< of training since the start of the run
};

/// The inputs of an activation layer's first unit over a batch: their 15th, 50th and 85th percentiles.
struct InputPercentiles {
  std::int64_t step = 0;
  std::string layer;
  double low = 0, median = 0, high = 0;
};

struct RunRecord {
  Json start;  ///< the first record
  std::vector<EpochRecord> epochs;
  std::vector<EvaluationRecord> evaluations;  ///< all of them, in the order of their steps
  std::vector<InputPercentiles> activations;  ///< where activations were recorded
  std::optional<Divergence> divergence;
  double train_seconds = 0;  ///< of the finished epochs
  /// No other run shared the machine, so that the seconds are meaningful.
  bool alone = true;
};

/// Throws Error(data) that names `where` and the line when anything is missing, out of order or not a number:
/// a damaged file must not be counted, and running it again would hide the damage.
RunRecord read_run_record(std::istream& lines, const std::string& where);
/// Of a file.
RunRecord read_run_record(const std::filesystem::path& path);

}  // namespace bntrain::bench
