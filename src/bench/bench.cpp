#include "bench/bench.hpp"

#include "bench/bench_config.hpp"
#include "bntrain/error.hpp"

namespace bntrain::bench {
namespace {

/// Keeps the runs that end and passes them on under their number in the whole bench.
class Keeper : public RunListObserver {
 public:
  Keeper(const BenchConfig& config, const std::vector<TrainConfig>& runs, std::vector<std::size_t> left,
         double chance, BenchFolder& folder, Bench::Observer& observer)
      : config_(config),
        runs_(runs),
        left_(std::move(left)),
        chance_(chance),
        folder_(folder),
        observer_(observer) {}

  void on_progress(std::size_t index, std::int64_t steps, std::int64_t total_steps) override {
    observer_.on_progress(left_[index], steps, total_steps);
  }

  void on_run(const EndedRun& ended) override {
    const std::size_t number = left_[ended.index];
    const TrainConfig& run = runs_[number];
    try {
      folder_.keep(run_name(run), ended.records);
    } catch (const Error& error) {
      // The others are to be kept too.
      problems_ += (problems_.empty() ? "" : "; ") + std::string(error.what());
      return;
    }
    const auto record = folder_.find(run_name(run), run_settings(config_, run));
    BNTRAIN_EXPECTS(record.has_value());
    observer_.on_run(number, judge(run.seed, *record, config_.target, chance_), ended.seconds);
  }

  /// Throws Error(runtime) where the records of a run are not where they belong.
  void expect_kept() const {
    if (!problems_.empty()) throw Error(ErrorKind::runtime, problems_);
  }

 private:
  const BenchConfig& config_;
  const std::vector<TrainConfig>& runs_;
  std::vector<std::size_t> left_;
  double chance_;
  BenchFolder& folder_;
  Bench::Observer& observer_;
  std::string problems_;
};

}  // namespace

Bench::Bench(const BenchConfig& config, const Dataset& dataset, BenchFolder& folder)
    : config_(config), dataset_(dataset), folder_(folder), runs_(runs_of(config)) {
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    if (!record_of(runs_[i])) left_.push_back(i);
  }
}

void Bench::run(const Backends& backends, Observer& observer, const std::atomic<bool>& stop) {
  std::vector<TrainConfig> runs;
  for (const std::size_t number : left_) runs.push_back(runs_[number]);
  Keeper keeper(config_, runs_, left_, chance_accuracy(dataset_.classes), folder_, observer);
  run_list(runs, config_.settings, dataset_, backends, keeper, stop);
  std::erase_if(left_, [&](std::size_t number) { return record_of(runs_[number]).has_value(); });
  keeper.expect_kept();
}

std::optional<RunRecord> Bench::record_of(const TrainConfig& run) const {
  return folder_.find(run_name(run), run_settings(config_, run));
}

Results Bench::results() const {
  std::vector<std::optional<RunRecord>> records;
  for (const TrainConfig& run : runs_) records.push_back(record_of(run));
  return summarise(config_, dataset_.classes, records);
}

}  // namespace bntrain::bench
