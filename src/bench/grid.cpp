#include "bench/grid.hpp"

#include <array>
#include <charconv>

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
  return to_string(run.norm) + "-" + to_string(run.init) + "-lr" + shortest(run.optimizer.lr) + "-seed" +
         std::to_string(run.seed);
}

std::string shortest(double value) {
  std::array<char, 32> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), end};
}

}  // namespace bntrain::bench
