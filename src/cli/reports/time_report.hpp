// The results of bntrain time as a table and as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/executable.hpp"
#include "core/quartiles.hpp"
#include "plan/cost.hpp"
#include "train/records.hpp"

namespace bntrain::cli {

/// One part of the training step: its cost and its time.
struct TimedPart {
  OpCost cost;
  std::string variant;
  Quartiles seconds;
  double share = 0;  ///< of the sum of all parts' medians
};

/// Expects the same parts in the same order from both.
std::vector<TimedPart> timed_parts(const std::vector<OpTiming>& timings, const std::vector<OpCost>& costs);

struct TimeReport {
  std::string dataset, network;
  std::string batch;  ///< its shape
  std::int64_t batch_size = 0;
  std::string backend, variant;
  int repetitions = 0;
  bool fused_blocks = false;  ///< the convolutions do part of the work of the blocks after them
  DevicePeaks peaks;
  Quartiles step;  ///< of Executable::train_step()
  std::vector<TimedPart> parts;
};

/// The setting, what a row holds, a row a part, and the whole step beside the sum of its parts.
std::string time_table(const TimeReport& report);

Json time_record(const TimeReport& report);

}  // namespace bntrain::cli
