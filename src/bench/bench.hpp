// A bench from its grid to its results.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <vector>

#include "bench/bench_folder.hpp"
#include "bench/results.hpp"
#include "bench/run_list.hpp"

namespace bntrain::bench {

/// The runs of a bench, those that earlier processes finished and those that are left.
class Bench {
 public:
  /// Reads the finished runs, so that a damaged file shows before the time is spent. `dataset` and `folder`
  /// must outlive this.
  Bench(const BenchConfig& config, const Dataset& dataset, BenchFolder& folder);

  const std::vector<TrainConfig>& runs() const { return runs_; }
  /// Numbers in runs() of those that are not finished.
  const std::vector<std::size_t>& left() const { return left_; }

  /// Is told of the runs by their numbers in runs().
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void on_progress(std::size_t /*run*/, std::int64_t /*steps*/, std::int64_t /*total_steps*/) {}
    virtual void on_run(std::size_t /*run*/, const RunResult&, double /*seconds*/) {}
  };

  /// Runs what is left, see run_list(), and keeps each run in the folder as it ends.
  void run(const Backends& backends, Observer& observer, const std::atomic<bool>& stop);

  /// Of the runs that are finished, from their files.
  Results results() const;

 private:
  std::optional<RunRecord> record_of(const TrainConfig& run) const;

  BenchConfig config_;
  const Dataset& dataset_;
  BenchFolder& folder_;
  std::vector<TrainConfig> runs_;
  std::vector<std::size_t> left_;
};

}  // namespace bntrain::bench
