// The learning rate of every training step.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace bntrain {

struct ScheduleOptions {
  std::string text = "constant";  ///< see Schedule
  std::int64_t warmup = 0;        ///< steps
  std::int64_t steps = 0;         ///< how long the schedule is; 0: as long as the run
};

/// A schedule's text is one of these, with L the learning rate, t the step from 0 and T the schedule's steps
/// (warm-up left out of both), as torch.optim.lr_scheduler has them when stepped every training step:
///   constant              L
///   step:EPOCHS:GAMMA     L * GAMMA^(epoch / EPOCHS), rounded down (StepLR)
///   cosine[:MIN]          MIN + (L - MIN) * (1 + cos(pi t / T)) / 2 (CosineAnnealingLR)
///   onecycle              from L / 25 to L in the first 30% of the steps, then to L / 250,000, along cosines
///                         (OneCycleLR; momentum is not cycled)
///   linear:STEP=FACTOR,...  L times the factor that is interpolated between these points, constant before
///   the
///                         first and after the last
/// In the first `warmup` steps the rate is that of t = 0 times (step + 1) / warmup. Beyond T it stays what it
/// was in the last step.
class Schedule {
 public:
  /// `steps`: of the whole run, warm-up included. Throws Error(usage) for a text that is none of these.
  Schedule(const ScheduleOptions& options, double lr, std::int64_t steps, std::int64_t steps_per_epoch);

  double lr(std::int64_t step) const;
  /// How many steps it was made for, warm-up included.
  std::int64_t steps() const { return steps_; }

 private:
  std::int64_t warmup_, steps_;
  std::function<double(std::int64_t)> rate_;  ///< by t
};

/// Throws Error(usage) that says what is wrong and what is allowed.
void check_schedule(const std::string& text);

}  // namespace bntrain
