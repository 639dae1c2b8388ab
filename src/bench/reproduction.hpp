// Published experiments run again: what was recorded, what was claimed, and the one rule by which our runs
// are judged.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/run_record.hpp"
#include "bench/statistic.hpp"
#include "bntrain/train.hpp"

namespace bntrain::bench {

/// What a source prints about one epoch. Losses and accuracies are means of batch means.
struct RecordedEpoch {
  std::int64_t epoch = 0;  ///< from 0
  double train_loss = 0, train_accuracy = 0, test_accuracy = 0;
};

/// One published run. Its last epoch is the run's last.
struct Recording {
  std::string source;
  std::vector<RecordedEpoch> epochs;
  /// Whether every epoch is printed, so that the best test accuracy is known.
  bool whole = true;
};

/// One way of training that an experiment compares.
struct ExperimentArm {
  std::string name;
  TrainConfig config;  ///< the seed is set for every run
  std::vector<Recording> recordings;
};

/// Whether a claim holds for the runs of one seed, and the figures that say so.
struct ClaimOutcome {
  bool holds = false;
  std::string figures;
};

/// Where a source prints no numbers: an inequality, from the runs of one seed in the order of the arms.
struct Claim {
  std::string text;
  std::function<ClaimOutcome(std::span<const RunRecord>)> check;
};

struct Experiment {
  std::string name;
  std::string title;
  std::string source;
  std::vector<ExperimentArm> arms;
  std::vector<Claim> claims;
};

/// All of them, in the order in which they are listed.
std::vector<Experiment> experiments();

/// The runs of the experiment, seed by seed, the arms of a seed side by side.
std::vector<TrainConfig> runs_of(const Experiment& experiment, std::span<const std::uint64_t> seeds);

/// A recorded number beside our runs.
struct NumberCheck {
  std::string arm, source, quantity;
  double recorded = 0;
  std::optional<Statistic> measured;  ///< none when a run diverged
  double allowed = 0;                 ///< the largest distance of the mean from the recorded number
  bool passed = false;
};

struct ClaimCheck {
  std::string text;
  std::vector<ClaimOutcome> seeds;
  bool passed = false;  ///< for every seed
};

/// What our runs gave after an epoch.
struct MeasuredEpoch {
  std::int64_t epoch = 0;
  std::optional<Statistic> train_loss, train_accuracy, test_accuracy;  ///< over the seeds that finished it
};

/// The inputs of the first unit of the last activation layer over the course of training; nothing where
/// no activations were recorded.
std::vector<InputPercentiles> last_activation_inputs(const RunRecord& run);

struct Judgement {
  std::vector<std::vector<MeasuredEpoch>> epochs;     ///< by arm
  std::vector<std::vector<InputPercentiles>> inputs;  ///< last_activation_inputs() of the first seed, by arm
  std::vector<NumberCheck> numbers;
  std::vector<ClaimCheck> claims;
  bool passed = false;
};

/// The rule. Of each recording, the last epoch's train loss must lie within max(3 standard deviations, 0.03)
/// of our mean, and the best test accuracy, where the whole run is printed, within 0.02 of our mean best.
/// Every claim must hold for every seed. `records` belong to runs_of(), one each.
Judgement judge(const Experiment& experiment, std::span<const RunRecord> records);

}  // namespace bntrain::bench
