#include "train/agenda.hpp"

#include <algorithm>

#include "train/evaluation_loop.hpp"

namespace bntrain {
namespace {

// Often enough for a progress bar, seldom enough that the synchronisation costs nothing.
constexpr std::int64_t default_drain_interval = 50;
// Where log_every does not say: five records an epoch of the reference, which cost as many more steps.
constexpr std::int64_t default_record_interval = 50;

}  // namespace

Agenda::Agenda(const TrainConfig& config, std::int64_t steps_per_epoch)
    : steps_per_epoch_(steps_per_epoch),
      total_steps_(config.steps > 0 ? config.steps : config.epochs * steps_per_epoch),
      drain_every_(config.log_every > 0 ? std::min(config.log_every, longest_drain_interval)
                                        : default_drain_interval),
      save_every_(config.save_every),
      eval_every_(config.eval_every),
      record_every_(!config.record.any()   ? 0
                    : config.log_every > 0 ? config.log_every
                                           : default_record_interval) {}

std::int64_t Agenda::end_of_epoch(std::int64_t epoch) const {
  return std::min((epoch + 1) * steps_per_epoch_, total_steps_);
}

Due Agenda::after(std::int64_t made) const {
  const bool within_epoch = made % steps_per_epoch_ != 0 && made < total_steps_;
  const auto is_due = [&](std::int64_t interval) { return interval > 0 && made % interval == 0; };
  Due due{.drain = made % steps_per_epoch_ % drain_every_ == 0,
          .checkpoint = within_epoch && is_due(save_every_),
          .evaluation = within_epoch && is_due(eval_every_),
          .record = is_due(record_every_)};
  // Before a record as well: after a loss that is not finite there is nothing new to see.
  due.drain = due.drain || due.checkpoint || due.evaluation || due.record;
  return due;
}

}  // namespace bntrain
