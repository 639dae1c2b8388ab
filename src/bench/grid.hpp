// What a bench compares, and the training runs that it consists of.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bntrain/train.hpp"
#include "train/records.hpp"

namespace bntrain::bench {

/// The settings of a run by name, as the records of the run and of the bench state them.
using SettingsRecord = std::function<Json(const TrainConfig&)>;

/// One training run for every norm, init, learning rate and seed.
struct BenchConfig {
  TrainConfig train;  ///< what the runs share; its norm, init and lr are ignored, its seed is the first
  std::vector<Norm> norms = {Norm::batch, Norm::none};
  std::vector<Init> inits = {Init::tutorial, Init::torch};
  std::vector<double> learning_rates = {0.05, 0.1, 0.2, 0.5, 1, 2};
  std::int64_t seeds = 3;
  SettingsRecord settings = [](const TrainConfig&) { return Json::object(); };
  double target = 0.85;  ///< the test accuracy that a run must reach to count as trained
};

/// The seeds: `seeds` numbers from `train.seed` on.
std::vector<std::uint64_t> seeds_of(const BenchConfig& config);

/// All runs, seed by seed, and within a seed the norms of a learning rate side by side: a bench that is cut
/// short has compared something.
std::vector<TrainConfig> runs_of(const BenchConfig& config);

/// "batch-tutorial-lr0.2-seed0"
std::string run_name(const TrainConfig& run);

}  // namespace bntrain::bench
