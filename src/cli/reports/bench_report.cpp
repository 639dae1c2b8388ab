#include "cli/reports/bench_report.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "cli/reports/tables.hpp"
#include "core/number_text.hpp"
#include "train/records.hpp"

namespace bntrain::cli {
namespace {

using bench::Arm;
using bench::Results;
using bench::Statistic;
using Row = TableRow;

std::string steps_text(const Arm& arm) {
  const auto& steps = arm.summary.steps_to_target;
  if (!steps) return "-";
  const std::string mean = fmt::format("{:.0f}", steps->mean);
  const auto runs = static_cast<std::int64_t>(arm.runs.size());
  // Where only some runs got there the mean is of the fast ones.
  return steps->n < runs ? fmt::format("{} ({} of {})", mean, steps->n, runs) : mean;
}

std::string outcomes(const bench::ArmSummary& summary) {
  std::string text;
  for (const auto& [count, name] : {std::pair{summary.trained, "trained"},
                                    {summary.below_target, "below target"},
                                    {summary.chance, "at chance"},
                                    {summary.diverged, "diverged"}}) {
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, name);
  }
  return text.empty() ? "-" : text;
}

const std::optional<Statistic> none;

const std::optional<Statistic>& accuracy_after(const Arm& arm, std::int64_t epoch) {
  const auto place = static_cast<std::size_t>(epoch);
  return place < arm.summary.epochs.size() ? arm.summary.epochs[place].test_accuracy : none;
}

/// The first epoch and the last one.
std::vector<std::int64_t> shown_epochs(const Results& results) {
  std::int64_t last = 0;
  for (const Arm& arm : results.arms) {
    last = std::max(last, static_cast<std::int64_t>(arm.summary.epochs.size()) - 1);
  }
  return last > 0 ? std::vector<std::int64_t>{0, last} : std::vector<std::int64_t>{0};
}

std::string accuracy_table(const Results& results, Init init) {
  const std::vector<std::int64_t> epochs = shown_epochs(results);
  Row heading{"lr"};
  for (const Norm norm : results.config.norms) {
    for (const std::int64_t epoch : epochs) {
      heading.push_back(fmt::format("{}: epoch {}", to_string(norm), epoch));
    }
    heading.emplace_back("steps");
    heading.emplace_back("outcome");
  }
  std::vector<Row> rows{heading};
  for (const double lr : results.config.learning_rates) {
    Row& row = rows.emplace_back(Row{shortest_text(lr)});
    for (const Norm norm : results.config.norms) {
      const Arm& arm = *std::find_if(results.arms.begin(), results.arms.end(), [&](const Arm& candidate) {
        return candidate.norm == norm && candidate.init == init && candidate.lr == lr;
      });
      for (const std::int64_t epoch : epochs) row.push_back(mean_and_sd(accuracy_after(arm, epoch)));
      row.push_back(steps_text(arm));
      row.push_back(outcomes(arm.summary));
    }
  }
  return text_table(rows);
}

std::string largest_line(const Results& results, Init init) {
  std::string line;
  for (const bench::LargestRate& largest : results.largest_lr) {
    if (largest.init != init) continue;
    line += fmt::format("{}norm {}: {}", line.empty() ? "" : "; ", to_string(largest.norm),
                        largest.lr ? shortest_text(*largest.lr) : "no lr of the grid");
  }
  return "largest lr at which all seeds train: " + line + "\n";
}

std::string difference_table(const Results& results, Init init) {
  const std::vector<std::int64_t> epochs = shown_epochs(results);
  Row heading{"lr"};
  for (const std::int64_t epoch : epochs) heading.push_back(fmt::format("epoch {}", epoch));
  heading.emplace_back("pairs");
  std::vector<Row> rows{heading};
  for (const double lr : results.config.learning_rates) {
    Row row{shortest_text(lr)};
    std::int64_t pairs = 0;
    for (const std::int64_t epoch : epochs) {
      const auto found = std::find_if(
          results.differences.begin(), results.differences.end(), [&](const bench::Difference& difference) {
            return difference.init == init && difference.lr == lr && difference.epoch == epoch;
          });
      const auto& statistic = found == results.differences.end() ? none : found->test_accuracy;
      row.push_back(mean_and_sd(statistic, "{:+.4f}"));
      pairs = statistic ? statistic->n : 0;
    }
    row.push_back(std::to_string(pairs));
    rows.push_back(row);
  }
  return "batch minus none, test accuracy of equal seeds:\n" + text_table(rows);
}

std::string best_line(const Results& results) {
  const Arm* best = bench::best_arm(results);
  if (best == nullptr) return "best setting: none; in every one a run diverged or is missing\n";
  return fmt::format("best setting: norm {}, init {}, lr {}: best test accuracy {}\n", to_string(best->norm),
                     to_string(best->init), shortest_text(best->lr),
                     mean_and_sd(best->summary.best_test_accuracy));
}

std::string run_text(const TrainConfig& run) {
  return fmt::format("{} {} lr {} seed {}", to_string(run.norm), to_string(run.init),
                     shortest_text(run.optimizer.lr), run.seed);
}

}  // namespace

std::string mean_and_sd(const std::optional<Statistic>& statistic, const char* form) {
  if (!statistic) return "-";
  const std::string mean = fmt::format(fmt::runtime(form), statistic->mean);
  return statistic->sd ? fmt::format("{} ± {:.4f}", mean, *statistic->sd) : mean;
}

std::string bench_table(const Results& results) {
  const bench::BenchConfig& config = results.config;
  std::string text;
  if (results.runs_finished < results.runs_planned) {
    text += fmt::format("{} of {} runs are finished\n\n", results.runs_finished, results.runs_planned);
  }
  for (const Init init : config.inits) {
    text +=
        wrapped(fmt::format("init {}: test accuracy, mean ± standard deviation over {} seed{}; steps to {}\n",
                            to_string(init), config.seeds, config.seeds == 1 ? "" : "s", config.target));
    text += accuracy_table(results, init) + wrapped(largest_line(results, init));
    if (!results.differences.empty()) text += difference_table(results, init);
    text += "\n";
  }
  text += wrapped(best_line(results));
  text.resize(text.find_last_not_of('\n') + 1);
  return text;
}

std::string outcome_text(const bench::RunResult& result) {
  if (const auto& divergence = result.record.divergence) {
    return fmt::format("diverged in epoch {} at step {}", divergence->epoch, divergence->step);
  }
  const double accuracy = result.best_test_accuracy.value_or(0);
  switch (result.outcome) {
    case bench::Outcome::trained:
      return fmt::format("{:.4f} trained", accuracy);
    case bench::Outcome::below_target:
      return fmt::format("{:.4f} below the target", accuracy);
    case bench::Outcome::chance:
      return fmt::format("{:.4f} at chance", accuracy);
    case bench::Outcome::diverged:
      break;
  }
  return "diverged";
}

BenchProgress::BenchProgress(const bench::Bench& bench, std::int64_t steps, bool draws)
    : bench_(bench),
      finished_(static_cast<std::int64_t>(bench.runs().size() - bench.left().size())),
      total_steps_(static_cast<std::int64_t>(bench.left().size()) * steps),
      progress_(draws) {}

void BenchProgress::on_progress(std::size_t run, std::int64_t steps, std::int64_t /*total_steps*/) {
  running_[run] = steps;
  std::int64_t done = done_steps_;
  for (const auto& [number, made] : running_) done += made;
  progress_.update(fmt::format("[{}/{}]", finished_, bench_.runs().size()), done, total_steps_,
                   run_text(bench_.runs()[run]));
}

void BenchProgress::on_run(std::size_t run, const bench::RunResult& result, double seconds) {
  ++finished_;
  progress_.clear();
  spdlog::info("[{}/{}] {}: {} ({:.0f} s)", finished_, bench_.runs().size(), run_text(bench_.runs()[run]),
               outcome_text(result), seconds);
  // A run that diverged leaves the rest of its steps undone.
  done_steps_ += running_[run];
  total_steps_ -= result.record.start.at("total_steps").get<std::int64_t>() - running_[run];
  running_.erase(run);
}

}  // namespace bntrain::cli
