#include "bench/results_files.hpp"

#include <cmath>

#include "bench/bench_config.hpp"
#include "core/number_text.hpp"

namespace bntrain::bench {
namespace {

constexpr int results_version = 1;

template <class Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json epoch_json(const EpochRecord& epoch) {
  return {{"epoch", epoch.epoch},
          {"steps", epoch.steps},
          {"train_loss", epoch.train_loss},
          {"train_loss_batch_mean", epoch.train_loss_batch_mean},
          {"train_accuracy", epoch.train_accuracy},
          {"train_accuracy_batch_mean", epoch.train_accuracy_batch_mean},
          {"test_loss", epoch.test_loss},
          {"test_accuracy", epoch.test_accuracy},
          {"test_accuracy_batch_mean", epoch.test_accuracy_batch_mean}};
}

Json run_json(const RunResult& run) {
  Json divergence = nullptr;
  if (const auto& found = run.record.divergence) {
    divergence = {{"epoch", found->epoch}, {"step", found->step}, {"layer", found->layer}};
  }
  Json epochs = Json::array(), evaluations = Json::array();
  for (const EpochRecord& epoch : run.record.epochs) epochs.push_back(epoch_json(epoch));
  for (const EvaluationRecord& evaluation : run.record.evaluations) {
    evaluations.push_back({{"step", evaluation.step},
                           {"test_loss", evaluation.test_loss},
                           {"test_accuracy", evaluation.test_accuracy}});
  }
  return {{"seed", run.seed},
          {"outcome", to_string(run.outcome)},
          {"divergence", divergence},
          {"best_test_accuracy", or_null(run.best_test_accuracy)},
          {"steps_to_target", or_null(run.steps_to_target)},
          {"seconds_to_target", or_null(run.seconds_to_target)},
          {"train_seconds", run.record.alone ? Json(run.record.train_seconds) : Json(nullptr)},
          {"epochs", epochs},
          {"evaluations", evaluations}};
}

Json summary_json(const ArmSummary& summary) {
  Json epochs = Json::array();
  for (const EpochSummary& epoch : summary.epochs) {
    epochs.push_back({{"epoch", epoch.epoch},
                      {"test_accuracy", statistic_record(epoch.test_accuracy)},
                      {"train_loss", statistic_record(epoch.train_loss)}});
  }
  return {{"trained", summary.trained},
          {"below_target", summary.below_target},
          {"chance", summary.chance},
          {"diverged", summary.diverged},
          {"epochs", epochs},
          {"best_test_accuracy", statistic_record(summary.best_test_accuracy)},
          {"steps_to_target", statistic_record(summary.steps_to_target)},
          {"seconds_to_target", statistic_record(summary.seconds_to_target)}};
}

/// Of the first run that is there; null when none is.
Json start_of(const Results& results) {
  for (const Arm& arm : results.arms) {
    if (!arm.runs.empty()) return arm.runs.front().record.start;
  }
  return nullptr;
}

Json arm_json(const Arm& arm) {
  Json runs = Json::array();
  for (const RunResult& run : arm.runs) runs.push_back(run_json(run));
  return {{"norm", to_string(arm.norm)},
          {"init", to_string(arm.init)},
          {"lr", arm.lr},
          {"network", arm.runs.empty() ? Json(nullptr) : arm.runs.front().record.start["network"]},
          {"runs", runs},
          {"summary", summary_json(arm.summary)}};
}

std::string cell(double value) {
  return std::isfinite(value) ? shortest_text(value) : "";
}

}  // namespace

Json statistic_record(const std::optional<Statistic>& statistic) {
  if (!statistic) return nullptr;
  return {{"n", statistic->n},
          {"mean", statistic->mean},
          {"sd", or_null(statistic->sd)},
          {"min", statistic->min},
          {"max", statistic->max}};
}

Json results_json(const Results& results, const Dataset& dataset) {
  const Json start = start_of(results);
  Json environment = {
      {"backend", nullptr}, {"variant", nullptr}, {"processor", nullptr}, {"compiler", nullptr}};
  if (!start.is_null()) {
    for (const char* name : {"backend", "variant", "processor"}) environment[name] = start.at(name);
    environment["compiler"] = start.at("versions").value("compiler", "");
  }
  Json arms = Json::array(), largest = Json::array(), differences = Json::array();
  for (const Arm& arm : results.arms) arms.push_back(arm_json(arm));
  for (const LargestRate& rate : results.largest_lr) {
    largest.push_back(
        {{"norm", to_string(rate.norm)}, {"init", to_string(rate.init)}, {"lr", or_null(rate.lr)}});
  }
  for (const Difference& difference : results.differences) {
    differences.push_back({{"init", to_string(difference.init)},
                           {"lr", difference.lr},
                           {"epoch", difference.epoch},
                           {"test_accuracy", statistic_record(difference.test_accuracy)}});
  }
  return {{"schema", "bntrain-bench"},
          {"schema_version", results_version},
          {"bntrain", BNTRAIN_VERSION},
          {"config", settings_of(results.config)},
          {"environment", environment},
          {"dataset", dataset_record(dataset)},
          {"steps_per_epoch", start.is_null() ? Json(nullptr) : start.at("steps_per_epoch")},
          {"target", results.config.target},
          {"chance", results.chance},
          {"runs_planned", results.runs_planned},
          {"runs_finished", results.runs_finished},
          {"arms", arms},
          {"largest_lr", largest},
          {"differences", differences}};
}

std::string results_csv(const Results& results) {
  std::string csv =
      "norm,init,lr,seed,outcome,epoch,steps,train_loss,train_accuracy,test_loss,test_accuracy\n";
  for (const Arm& arm : results.arms) {
    for (const RunResult& run : arm.runs) {
      const std::string head = to_string(arm.norm) + "," + to_string(arm.init) + "," + shortest_text(arm.lr) +
                               "," + std::to_string(run.seed) + "," + to_string(run.outcome) + ",";
      if (run.record.epochs.empty()) csv += head + ",,,,,\n";
      for (const EpochRecord& epoch : run.record.epochs) {
        csv += head + std::to_string(epoch.epoch) + "," + std::to_string(epoch.steps) + "," +
               cell(epoch.train_loss) + "," + cell(epoch.train_accuracy) + "," + cell(epoch.test_loss) + "," +
               cell(epoch.test_accuracy) + "\n";
      }
    }
  }
  return csv;
}

}  // namespace bntrain::bench
