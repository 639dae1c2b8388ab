#include "bench/results.hpp"

#include <algorithm>
#include <utility>

#include "bntrain/error.hpp"
#include "core/named.hpp"

namespace bntrain::bench {
namespace {

constexpr Named<Outcome> outcome_names[] = {{"trained", Outcome::trained},
                                            {"below_target", Outcome::below_target},
                                            {"chance", Outcome::chance},
                                            {"diverged", Outcome::diverged}};

std::int64_t epochs_of(const Arm& arm) {
  std::size_t epochs = 0;
  for (const RunResult& run : arm.runs) epochs = std::max(epochs, run.record.epochs.size());
  return static_cast<std::int64_t>(epochs);
}

const EpochRecord* epoch_of(const RunResult& run, std::int64_t epoch) {
  const auto place = static_cast<std::size_t>(epoch);
  return place < run.record.epochs.size() ? &run.record.epochs[place] : nullptr;
}

EpochSummary summarise_epoch(const Arm& arm, std::int64_t epoch) {
  std::vector<double> accuracies, losses;
  for (const RunResult& run : arm.runs) {
    const EpochRecord* record = epoch_of(run, epoch);
    if (record == nullptr) continue;
    accuracies.push_back(record->test_accuracy);
    losses.push_back(record->train_loss);
  }
  return {epoch, describe(accuracies), describe(losses)};
}

std::int64_t count(const Arm& arm, Outcome outcome) {
  return std::count_if(arm.runs.begin(), arm.runs.end(),
                       [&](const RunResult& run) { return run.outcome == outcome; });
}

ArmSummary summarise_arm(const Arm& arm) {
  ArmSummary summary;
  summary.trained = count(arm, Outcome::trained);
  summary.below_target = count(arm, Outcome::below_target);
  summary.chance = count(arm, Outcome::chance);
  summary.diverged = count(arm, Outcome::diverged);
  for (std::int64_t epoch = 0; epoch < epochs_of(arm); ++epoch) {
    summary.epochs.push_back(summarise_epoch(arm, epoch));
  }
  std::vector<double> best, steps, seconds;
  for (const RunResult& run : arm.runs) {
    if (run.best_test_accuracy) best.push_back(*run.best_test_accuracy);
    if (run.steps_to_target) steps.push_back(static_cast<double>(*run.steps_to_target));
    if (run.seconds_to_target) seconds.push_back(*run.seconds_to_target);
  }
  summary.best_test_accuracy = describe(best);
  summary.steps_to_target = describe(steps);
  // A mean over some of the runs that got there would be compared with the steps of all of them.
  if (seconds.size() == steps.size()) summary.seconds_to_target = describe(seconds);
  return summary;
}

LargestRate largest_rate(const Results& results, Norm norm, Init init) {
  LargestRate largest{norm, init, std::nullopt};
  for (const Arm& arm : results.arms) {
    const bool all = arm.summary.trained == results.config.seeds;
    if (arm.norm != norm || arm.init != init || !all) continue;
    largest.lr = std::max(largest.lr.value_or(arm.lr), arm.lr);
  }
  return largest;
}

void add_differences(Results& results, const Arm& with, const Arm& without) {
  for (std::int64_t epoch = 0; epoch < std::max(epochs_of(with), epochs_of(without)); ++epoch) {
    std::vector<double> differences;
    for (const RunResult& a : with.runs) {
      for (const RunResult& b : without.runs) {
        const EpochRecord *after = epoch_of(a, epoch), *before = epoch_of(b, epoch);
        if (a.seed != b.seed || after == nullptr || before == nullptr) continue;
        differences.push_back(after->test_accuracy - before->test_accuracy);
      }
    }
    results.differences.push_back({with.init, with.lr, epoch, describe(differences)});
  }
}

}  // namespace

std::string to_string(Outcome outcome) {
  return name_of(outcome, outcome_names);
}

RunResult judge(std::uint64_t seed, const RunRecord& record, double target, double chance) {
  RunResult run;
  run.seed = seed;
  run.record = record;
  for (const EvaluationRecord& evaluation : record.evaluations) {
    const double accuracy = evaluation.test_accuracy;
    run.best_test_accuracy = std::max(run.best_test_accuracy.value_or(accuracy), accuracy);
    if (accuracy < target || run.steps_to_target) continue;
    run.steps_to_target = evaluation.step;
    if (record.alone) run.seconds_to_target = evaluation.train_seconds;
  }
  run.outcome = record.divergence                  ? Outcome::diverged
                : run.steps_to_target              ? Outcome::trained
                : *run.best_test_accuracy < chance ? Outcome::chance
                                                   : Outcome::below_target;
  return run;
}

double chance_accuracy(std::int64_t classes) {
  return 1.5 / static_cast<double>(classes);
}

const Arm* best_arm(const Results& results) {
  const Arm* best = nullptr;
  for (const Arm& arm : results.arms) {
    const auto& accuracy = arm.summary.best_test_accuracy;
    const auto runs = static_cast<std::int64_t>(arm.runs.size());
    if (runs < results.config.seeds || arm.summary.diverged > 0 || !accuracy) continue;
    if (best == nullptr || accuracy->mean > best->summary.best_test_accuracy->mean) best = &arm;
  }
  return best;
}

Results summarise(const BenchConfig& config, std::int64_t classes,
                  const std::vector<std::optional<RunRecord>>& records) {
  const std::vector<TrainConfig> runs = runs_of(config);
  BNTRAIN_EXPECTS(records.size() == runs.size());
  Results results;
  results.config = config;
  results.chance = chance_accuracy(classes);
  results.runs_planned = static_cast<std::int64_t>(runs.size());
  for (const Norm norm : config.norms) {
    for (const Init init : config.inits) {
      for (const double lr : config.learning_rates) {
        Arm arm{norm, init, lr, {}, {}};
        for (std::size_t i = 0; i < runs.size(); ++i) {
          const TrainConfig& run = runs[i];
          if (run.norm != norm || run.init != init || run.optimizer.lr != lr || !records[i]) continue;
          arm.runs.push_back(judge(run.seed, *records[i], config.target, results.chance));
          ++results.runs_finished;
        }
        arm.summary = summarise_arm(arm);
        results.arms.push_back(std::move(arm));
      }
    }
  }
  for (const Norm norm : config.norms) {
    for (const Init init : config.inits) results.largest_lr.push_back(largest_rate(results, norm, init));
  }
  for (const Arm& with : results.arms) {
    for (const Arm& without : results.arms) {
      const bool pair = with.norm == Norm::batch && without.norm == Norm::none && with.init == without.init &&
                        with.lr == without.lr;
      if (pair) add_differences(results, with, without);
    }
  }
  return results;
}

}  // namespace bntrain::bench
