// What a training run does besides its steps, and when.
#pragma once

#include <cstdint>

#include "bntrain/train.hpp"

namespace bntrain {

/// What is due between two steps, in this order.
struct Due {
  bool drain = false;  ///< read the metrics of the steps so far; whatever else is due needs them
  bool checkpoint = false;
  bool evaluation = false;
  bool record = false;  ///< of the next step, before it is made
};

/// The plan of a run, from its configuration. Steps are counted from the start of the run. The end of an
/// epoch, with its evaluation and its checkpoint, is no part of it.
class Agenda {
 public:
  Agenda(const TrainConfig& config, std::int64_t steps_per_epoch);

  std::int64_t total_steps() const { return total_steps_; }
  /// How many steps have been made when that epoch (from 0), or the run within it, ends.
  std::int64_t end_of_epoch(std::int64_t epoch) const;
  /// What is due once `made` steps have been made.
  Due after(std::int64_t made) const;

 private:
  std::int64_t steps_per_epoch_;
  std::int64_t total_steps_;
  std::int64_t drain_every_;
  std::int64_t save_every_;
  std::int64_t eval_every_;
  std::int64_t record_every_;  ///< 0: never
};

}  // namespace bntrain
