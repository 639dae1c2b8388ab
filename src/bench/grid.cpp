#include "bench/grid.hpp"

#include "core/number_text.hpp"
#include "train/records.hpp"

namespace bntrain::bench {

std::vector<std::uint64_t> seeds_of(const BenchConfig& config) {
  std::vector<std::uint64_t> seeds;
  for (std::int64_t i = 0; i < config.seeds; ++i) {
    seeds.push_back(config.train.seed + static_cast<std::uint64_t>(i));
  }
  return seeds;
}

std::vector<TrainConfig> runs_of(const BenchConfig& config) {
  std::vector<TrainConfig> runs;
  for (const std::uint64_t seed : seeds_of(config)) {
    for (const Init init : config.inits) {
      for (const double lr : config.learning_rates) {
        for (const Norm norm : config.norms) {
          TrainConfig& run = runs.emplace_back(config.train);
          run.seed = seed;
          run.init = init;
          run.optimizer.lr = lr;
          run.norm = norm;
        }
      }
    }
  }
  return runs;
}

std::string run_name(const TrainConfig& run) {
  return to_string(run.norm) + "-" + to_string(run.init) + "-lr" + shortest_text(run.optimizer.lr) + "-seed" +
         std::to_string(run.seed);
}

}  // namespace bntrain::bench
