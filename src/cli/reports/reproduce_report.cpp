#include "cli/reports/reproduce_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <optional>

#include "bench/results_files.hpp"
#include "cli/reports/bench_report.hpp"
#include "cli/reports/tables.hpp"

namespace bntrain::cli {
namespace {

using bench::Experiment;
using bench::Judgement;
using bench::MeasuredEpoch;
using bench::RecordedEpoch;
using bench::Statistic;

const RecordedEpoch* recorded_epoch(const bench::ExperimentArm& arm, std::int64_t epoch) {
  if (arm.recordings.size() != 1) return nullptr;
  const auto& epochs = arm.recordings.front().epochs;
  const auto found = std::find_if(epochs.begin(), epochs.end(),
                                  [&](const RecordedEpoch& candidate) { return candidate.epoch == epoch; });
  return found == epochs.end() ? nullptr : &*found;
}

std::string recorded(const RecordedEpoch* epoch, double RecordedEpoch::*quantity) {
  return epoch != nullptr ? fmt::format("{:.4f}", epoch->*quantity) : "-";
}

/// Long runs are shown by some ten of their epochs, the last among them.
bool is_shown(std::size_t epoch, std::size_t epochs) {
  const std::size_t every = (epochs + 9) / 10;
  return (epochs - 1 - epoch) % every == 0;
}

std::string arm_table(const bench::ExperimentArm& arm, const std::vector<MeasuredEpoch>& measured) {
  const bool compares = arm.recordings.size() == 1;
  std::vector<TableRow> rows{{"epoch"}};
  for (const char* quantity : {"train loss", "train accuracy", "test accuracy"}) {
    if (compares) rows[0].push_back(std::string(quantity) + ": recorded");
    rows[0].push_back(compares ? "measured" : quantity);
  }
  for (std::size_t i = 0; i < measured.size(); ++i) {
    if (!is_shown(i, measured.size())) continue;
    const MeasuredEpoch& epoch = measured[i];
    const RecordedEpoch* there = recorded_epoch(arm, epoch.epoch);
    TableRow& row = rows.emplace_back(TableRow{std::to_string(epoch.epoch)});
    const auto add = [&](double RecordedEpoch::*quantity, const std::optional<Statistic>& ours) {
      if (compares) row.push_back(recorded(there, quantity));
      row.push_back(mean_and_sd(ours));
    };
    add(&RecordedEpoch::train_loss, epoch.train_loss);
    add(&RecordedEpoch::train_accuracy, epoch.train_accuracy);
    add(&RecordedEpoch::test_accuracy, epoch.test_accuracy);
  }
  return arm.name + "\n" + text_table(rows);
}

std::string inputs_table(const std::vector<bench::InputPercentiles>& inputs) {
  std::vector<TableRow> rows{{"step", "15th", "50th", "85th"}};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (i > 0 && !is_shown(i, inputs.size())) continue;
    const bench::InputPercentiles& record = inputs[i];
    rows.push_back({std::to_string(record.step), fmt::format("{:.3f}", record.low),
                    fmt::format("{:.3f}", record.median), fmt::format("{:.3f}", record.high)});
  }
  return wrapped(fmt::format("percentiles over the batch of the inputs of the first unit of {}, seed 0\n",
                             inputs.front().layer)) +
         text_table(rows);
}

std::string verdict(bool passed) {
  return passed ? "pass" : "FAIL";
}

std::string number_line(const bench::NumberCheck& check) {
  return fmt::format("{}: {} {}: recorded {:.4f}, measured {}, allowed distance {:.4f}: {}\n", check.arm,
                     check.source, check.quantity, check.recorded,
                     check.measured ? mean_and_sd(check.measured) : "a run that diverged", check.allowed,
                     verdict(check.passed));
}

std::string claim_lines(const bench::ClaimCheck& check) {
  std::string text = fmt::format("claim {}: {}\n", check.text, verdict(check.passed));
  for (std::size_t seed = 0; seed < check.seeds.size(); ++seed) {
    const bench::ClaimOutcome& outcome = check.seeds[seed];
    text += fmt::format("  seed {}: {}{}\n", seed, outcome.figures, outcome.holds ? "" : ": does not hold");
  }
  return text;
}

}  // namespace

std::string experiment_list(const std::vector<Experiment>& experiments, std::int64_t seeds,
                            const Dataset& dataset) {
  std::string text;
  for (const Experiment& experiment : experiments) {
    std::int64_t steps = 0, images = 0;
    for (const bench::ExperimentArm& arm : experiment.arms) {
      const std::int64_t batch = arm.config.batch_size;
      const std::int64_t epoch = (dataset.train.count + batch - 1) / batch;
      const std::int64_t run = arm.config.steps > 0 ? arm.config.steps : arm.config.epochs * epoch;
      steps += seeds * run;
      images += seeds * (run * dataset.train.count / epoch);
    }
    text += fmt::format("{}\n  {}; from {}\n  costs {} runs, {} steps, {:.1f} million images\n",
                        experiment.name, experiment.title, experiment.source,
                        seeds * static_cast<std::int64_t>(experiment.arms.size()), steps,
                        static_cast<double>(images) / 1e6);
    for (const bench::ExperimentArm& arm : experiment.arms) {
      for (const bench::Recording& recording : arm.recordings) {
        text +=
            fmt::format("  recorded by {}: last train loss {:.4f}, test accuracy {:.4f}\n", recording.source,
                        recording.epochs.back().train_loss, recording.epochs.back().test_accuracy);
      }
    }
    for (const bench::Claim& claim : experiment.claims) text += "  claims: " + claim.text + "\n";
  }
  text.pop_back();
  return text;
}

std::string reproduction_table(const Experiment& experiment, const Judgement& judgement) {
  std::string text =
      wrapped(fmt::format("{}: {}\nfrom {}\n\n", experiment.name, experiment.title, experiment.source));
  for (std::size_t arm = 0; arm < experiment.arms.size(); ++arm) {
    text += arm_table(experiment.arms[arm], judgement.epochs[arm]);
    if (!judgement.inputs[arm].empty()) text += inputs_table(judgement.inputs[arm]);
    text += "\n";
  }
  for (const bench::NumberCheck& check : judgement.numbers) text += wrapped(number_line(check));
  for (const bench::ClaimCheck& check : judgement.claims) text += wrapped(claim_lines(check));
  return text + experiment.name + (judgement.passed ? ": reproduced\n" : ": NOT reproduced\n");
}

Json reproduction_record(const Experiment& experiment, const Judgement& judgement) {
  Json record = {{"name", experiment.name},
                 {"passed", judgement.passed},
                 {"arms", Json::array()},
                 {"numbers", Json::array()},
                 {"claims", Json::array()}};
  for (std::size_t i = 0; i < experiment.arms.size(); ++i) {
    Json arm = {{"name", experiment.arms[i].name}, {"epochs", Json::array()}};
    for (const MeasuredEpoch& epoch : judgement.epochs[i]) {
      arm["epochs"].push_back({{"epoch", epoch.epoch},
                               {"train_loss_batch_mean", bench::statistic_record(epoch.train_loss)},
                               {"train_accuracy_batch_mean", bench::statistic_record(epoch.train_accuracy)},
                               {"test_accuracy_batch_mean", bench::statistic_record(epoch.test_accuracy)}});
    }
    for (const bench::InputPercentiles& inputs : judgement.inputs[i]) {
      arm["inputs"].push_back(
          {{"step", inputs.step},
           {"layer", inputs.layer},
           {"percentiles", {{"15", inputs.low}, {"50", inputs.median}, {"85", inputs.high}}}});
    }
    record["arms"].push_back(std::move(arm));
  }
  for (const bench::NumberCheck& check : judgement.numbers) {
    record["numbers"].push_back({{"arm", check.arm},
                                 {"source", check.source},
                                 {"quantity", check.quantity},
                                 {"recorded", check.recorded},
                                 {"measured", bench::statistic_record(check.measured)},
                                 {"allowed_distance", check.allowed},
                                 {"passed", check.passed}});
  }
  for (const bench::ClaimCheck& check : judgement.claims) {
    Json seeds = Json::array();
    for (const bench::ClaimOutcome& outcome : check.seeds) {
      seeds.push_back({{"holds", outcome.holds}, {"figures", outcome.figures}});
    }
    record["claims"].push_back(
        {{"claim", check.text}, {"passed", check.passed}, {"seeds", std::move(seeds)}});
  }
  return record;
}

}  // namespace bntrain::cli
