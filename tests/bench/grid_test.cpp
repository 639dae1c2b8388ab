#include "bench/grid.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace bntrain::bench {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> names(const BenchConfig& config) {
  std::vector<std::string> result;
  for (const TrainConfig& run : runs_of(config)) result.push_back(run_name(run));
  return result;
}

TEST(GridTest, TheDefaultGridHas72Runs) {
  const std::vector<std::string> all = names({});
  EXPECT_EQ(all.size(), 72U);
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 72U);
}

TEST(GridTest, TheNormsOfARateFollowEachOtherAndTheSeedsComeLast) {
  BenchConfig config;
  config.inits = {Init::tutorial};
  config.learning_rates = {0.05, 1};
  config.seeds = 2;
  EXPECT_THAT(names(config), ElementsAre("batch-tutorial-lr0.05-seed0", "none-tutorial-lr0.05-seed0",
                                         "batch-tutorial-lr1-seed0", "none-tutorial-lr1-seed0",
                                         "batch-tutorial-lr0.05-seed1", "none-tutorial-lr0.05-seed1",
                                         "batch-tutorial-lr1-seed1", "none-tutorial-lr1-seed1"));
}

TEST(GridTest, RunsShareEverythingElse) {
  BenchConfig config;
  config.train.epochs = 7;
  config.train.network = "mlp-bn";
  config.train.seed = 5;
  config.seeds = 3;
  EXPECT_THAT(seeds_of(config), ElementsAre(5, 6, 7));
  for (const TrainConfig& run : runs_of(config)) {
    EXPECT_EQ(run.epochs, 7);
    EXPECT_EQ(run.network, "mlp-bn");
    EXPECT_GE(run.seed, 5U);
  }
}

}  // namespace
}  // namespace bntrain::bench
