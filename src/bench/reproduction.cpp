#include "bench/reproduction.hpp"

#include <algorithm>
#include <cmath>

#include "bntrain/error.hpp"

namespace bntrain::bench {
namespace {

constexpr double kLossDeviations = 3, kLeastLossDistance = 0.03, kAccuracyDistance = 0.02;

using Runs = std::vector<const RunRecord*>;

/// Of a finished epoch; what was not finite is left out.
std::optional<Statistic> over_runs(const Runs& runs, std::size_t epoch, double EpochRecord::*quantity) {
  std::vector<double> values;
  for (const RunRecord* run : runs) {
    if (epoch >= run->epochs.size()) continue;
    const double value = run->epochs[epoch].*quantity;
    if (std::isfinite(value)) values.push_back(value);
  }
  return describe(values);
}

std::vector<MeasuredEpoch> measured_epochs(const Runs& runs) {
  std::size_t epochs = 0;
  for (const RunRecord* run : runs) epochs = std::max(epochs, run->epochs.size());
  std::vector<MeasuredEpoch> measured;
  for (std::size_t epoch = 0; epoch < epochs; ++epoch) {
    measured.push_back({static_cast<std::int64_t>(epoch),
                        over_runs(runs, epoch, &EpochRecord::train_loss_batch_mean),
                        over_runs(runs, epoch, &EpochRecord::train_accuracy_batch_mean),
                        over_runs(runs, epoch, &EpochRecord::test_accuracy_batch_mean)});
  }
  return measured;
}

/// Over all runs; none when one of them diverged or its number is not finite.
template <typename Quantity>
std::optional<Statistic> over_all(const Runs& runs, const Quantity& quantity) {
  std::vector<double> values;
  for (const RunRecord* run : runs) {
    if (run->divergence) return std::nullopt;
    const double value = quantity(*run);
    if (!std::isfinite(value)) return std::nullopt;
    values.push_back(value);
  }
  return describe(values);
}

double last_train_loss(const RunRecord& run) {
  return run.epochs.back().train_loss_batch_mean;
}

double best_test_accuracy(const RunRecord& run) {
  double best = 0;
  for (const EpochRecord& epoch : run.epochs) best = std::max(best, epoch.test_accuracy_batch_mean);
  return best;
}

void check_recording(const std::string& arm, const Recording& recording, const Runs& runs,
                     Judgement& judgement) {
  BNTRAIN_EXPECTS(!recording.epochs.empty());
  const auto add = [&](const char* quantity, double recorded, std::optional<Statistic> measured,
                       double allowed) {
    const bool passed = measured && std::abs(measured->mean - recorded) <= allowed;
    judgement.numbers.push_back({arm, recording.source, quantity, recorded, measured, allowed, passed});
  };
  const std::optional<Statistic> loss = over_all(runs, last_train_loss);
  const double deviation = loss ? loss->sd.value_or(0) : 0;
  add("last train loss", recording.epochs.back().train_loss, loss,
      std::max(kLossDeviations * deviation, kLeastLossDistance));
  if (!recording.whole) return;
  double best = 0;
  for (const RecordedEpoch& epoch : recording.epochs) best = std::max(best, epoch.test_accuracy);
  add("best test accuracy", best, over_all(runs, best_test_accuracy), kAccuracyDistance);
}

}  // namespace

std::vector<InputPercentiles> last_activation_inputs(const RunRecord& run) {
  std::vector<InputPercentiles> inputs;
  for (const InputPercentiles& record : run.activations) {
    if (record.layer == run.activations.back().layer) inputs.push_back(record);
  }
  return inputs;
}

std::vector<TrainConfig> runs_of(const Experiment& experiment, std::span<const std::uint64_t> seeds) {
  std::vector<TrainConfig> runs;
  for (const std::uint64_t seed : seeds) {
    for (const ExperimentArm& arm : experiment.arms) {
      runs.push_back(arm.config);
      runs.back().seed = seed;
    }
  }
  return runs;
}

Judgement judge(const Experiment& experiment, std::span<const RunRecord> records) {
  const std::size_t arms = experiment.arms.size();
  BNTRAIN_EXPECTS(arms > 0 && !records.empty() && records.size() % arms == 0);
  Judgement judgement;
  for (std::size_t arm = 0; arm < arms; ++arm) {
    Runs runs;
    for (std::size_t i = arm; i < records.size(); i += arms) runs.push_back(&records[i]);
    judgement.epochs.push_back(measured_epochs(runs));
    judgement.inputs.push_back(last_activation_inputs(records[arm]));
    for (const Recording& recording : experiment.arms[arm].recordings) {
      check_recording(experiment.arms[arm].name, recording, runs, judgement);
    }
  }
  for (const Claim& claim : experiment.claims) {
    ClaimCheck check{claim.text, {}, true};
    for (std::size_t first = 0; first < records.size(); first += arms) {
      check.seeds.push_back(claim.check(records.subspan(first, arms)));
      check.passed = check.passed && check.seeds.back().holds;
    }
    judgement.claims.push_back(std::move(check));
  }
  const auto passed = [](const auto& check) { return check.passed; };
  judgement.passed = std::all_of(judgement.numbers.begin(), judgement.numbers.end(), passed) &&
                     std::all_of(judgement.claims.begin(), judgement.claims.end(), passed);
  return judgement;
}

}  // namespace bntrain::bench
