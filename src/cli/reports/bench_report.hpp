// What a bench prints: its progress while it runs and its results as tables.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "bench/bench.hpp"
#include "bench/results.hpp"
#include "cli/reports/output.hpp"

namespace bntrain::cli {

/// A line for every finished run and a progress bar over all of them.
class BenchProgress : public bench::Bench::Observer {
 public:
  /// Every run has `steps` steps unless it diverges.
  BenchProgress(const bench::Bench& bench, std::int64_t steps, bool draws);

  void on_progress(std::size_t run, std::int64_t steps, std::int64_t total_steps) override;
  void on_run(std::size_t run, const bench::RunResult& result, double seconds) override;
  void clear() { progress_.clear(); }

 private:
  const bench::Bench& bench_;
  std::int64_t finished_;
  std::int64_t total_steps_;                     ///< of what was left at the start
  std::int64_t done_steps_ = 0;                  ///< of the runs that ended
  std::map<std::size_t, std::int64_t> running_;  ///< steps by run
  Progress progress_;
};

/// "0.8761 ± 0.0012", "-" for none. `form` is the mean's.
std::string mean_and_sd(const std::optional<bench::Statistic>& statistic, const char* form = "{:.4f}");

/// "0.8761 trained", "diverged in epoch 0 at step 12"
std::string outcome_text(const bench::RunResult& result);

/// For every init: a row a learning rate with what each norm reached, the largest learning rates, and what
/// batch norm makes of a seed's test accuracy.
std::string bench_table(const bench::Results& results);

}  // namespace bntrain::cli
