// What a bench found out: its runs, arm by arm, and what can be said about them together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/grid.hpp"
#include "bench/run_record.hpp"
#include "bench/statistic.hpp"

namespace bntrain::bench {

/// trained: ended finite and reached the target at some evaluation. chance: never reached 1.5 / classes.
/// below_target: neither. diverged: a loss or a weight was not finite, whatever had been reached before.
enum class Outcome { trained, below_target, chance, diverged };

/// "trained", "below_target", "chance", "diverged"
std::string to_string(Outcome outcome);

struct RunResult {
  std::uint64_t seed = 0;
  Outcome outcome = Outcome::trained;
  std::optional<double> best_test_accuracy;  ///< over all evaluations
  std::optional<std::int64_t> steps_to_target;
  std::optional<double> seconds_to_target;  ///< of training; none unless the run was alone
  RunRecord record;
};

/// Over the seeds that finished the epoch.
struct EpochSummary {
  std::int64_t epoch = 0;
  std::optional<Statistic> test_accuracy, train_loss;
};

struct ArmSummary {
  std::int64_t trained = 0, below_target = 0, chance = 0, diverged = 0;
  std::vector<EpochSummary> epochs;
  std::optional<Statistic> best_test_accuracy;
  std::optional<Statistic> steps_to_target, seconds_to_target;  ///< over the seeds that reached it
};

RunResult judge(std::uint64_t seed, const RunRecord& record, double target, double chance);

/// The best test accuracy below which a run is at chance.
double chance_accuracy(std::int64_t classes);

/// The runs that differ in their seed alone; those that are finished, in the order of their seeds.
struct Arm {
  Norm norm = Norm::batch;
  Init init = Init::tutorial;
  double lr = 0;
  std::vector<RunResult> runs;
  ArmSummary summary;
};

/// The largest learning rate of the grid at which the runs of all seeds trained.
struct LargestRate {
  Norm norm = Norm::batch;
  Init init = Init::tutorial;
  std::optional<double> lr;
};

/// Test accuracy with batch norm minus that without, after an epoch that both runs of a seed finished.
struct Difference {
  Init init = Init::tutorial;
  double lr = 0;
  std::int64_t epoch = 0;
  std::optional<Statistic> test_accuracy;
};

struct Results {
  BenchConfig config;
  double chance = 0;  ///< 1.5 / classes
  std::int64_t runs_planned = 0, runs_finished = 0;
  std::vector<Arm> arms;  ///< by norm, init and learning rate in the order of the configuration
  std::vector<LargestRate> largest_lr;
  std::vector<Difference> differences;  ///< none unless both norms are in the grid
};

/// The arm of the highest mean of best test accuracies, of those in which the runs of all seeds ended with
/// finite numbers; the first of equals, null where there is none.
const Arm* best_arm(const Results& results);

/// `records` belong to runs_of(config), one each; none for a run that is not finished.
Results summarise(const BenchConfig& config, std::int64_t classes,
                  const std::vector<std::optional<RunRecord>>& records);

}  // namespace bntrain::bench
