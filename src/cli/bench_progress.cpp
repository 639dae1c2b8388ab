#include "cli/bench_progress.hpp"

#include <spdlog/spdlog.h>

#include "train/records.hpp"

namespace bntrain::cli {
namespace {

std::string run_text(const TrainConfig& run) {
  return fmt::format("{} {} lr {} seed {}", to_string(run.norm), to_string(run.init), bench::shortest(run.lr),
                     run.seed);
}

}  // namespace

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
  going_on_[run] = steps;
  std::int64_t done = done_steps_;
  for (const auto& [number, made] : going_on_) done += made;
  progress_.update(fmt::format("[{}/{}]", finished_, bench_.runs().size()), done, total_steps_,
                   run_text(bench_.runs()[run]));
}

void BenchProgress::on_run(std::size_t run, const bench::RunResult& result, double seconds) {
  ++finished_;
  progress_.clear();
  spdlog::info("[{}/{}] {}: {} ({:.0f} s)", finished_, bench_.runs().size(), run_text(bench_.runs()[run]),
               outcome_text(result), seconds);
  // A run that diverged leaves the rest of its steps undone.
  done_steps_ += going_on_[run];
  total_steps_ -= result.record.start.at("total_steps").get<std::int64_t>() - going_on_[run];
  going_on_.erase(run);
}

}  // namespace bntrain::cli
