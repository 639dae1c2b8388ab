// Outcomes and summaries against values computed by hand.
#include "bench/results.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/results_files.hpp"

namespace bntrain::bench {
namespace {

constexpr std::int64_t classes = 10;

/// A run whose epochs have 100 steps and these test accuracies; `middle`: the accuracies halfway through
/// each.
RunRecord run(const std::vector<double>& accuracies, bool diverged = false,
              const std::vector<double>& middle = {}) {
  RunRecord record;
  record.start = Json{{"network", "fc10"},
                      {"backend", "b"},
                      {"variant", "v"},
                      {"processor", "p"},
                      {"versions", {{"compiler", "c"}}},
                      {"steps_per_epoch", 100}};
  for (std::size_t i = 0; i < accuracies.size(); ++i) {
    const auto epoch = static_cast<std::int64_t>(i);
    const double loss = 1 - accuracies[i];
    if (i < middle.size()) record.evaluations.push_back({100 * epoch + 50, loss, middle[i], 2.0 * epoch + 1});
    record.evaluations.push_back({100 * epoch + 100, loss, accuracies[i], 2.0 * epoch + 2});
    record.epochs.push_back({epoch, 100 * epoch + 100, loss, loss, 0, 0, loss, accuracies[i], accuracies[i]});
    record.train_seconds += 2;
  }
  if (diverged) record.divergence = Divergence{2, 250, 0.2, "1 bn"};
  return record;
}

TEST(JudgeTest, ReachingTheTargetAtAnyEvaluationIsTraining) {
  const RunResult result = judge(3, run({0.5, 0.75, 0.7}, false, {0.3, 0.8, 0.6}), 0.8, 0.15);
  EXPECT_EQ(result.seed, 3U);
  EXPECT_EQ(result.outcome, Outcome::trained);
  EXPECT_EQ(result.best_test_accuracy, 0.8);
  EXPECT_EQ(result.steps_to_target, 150);
  EXPECT_EQ(result.seconds_to_target, 3.0);
}

TEST(JudgeTest, BelowTheTargetAndAtChance) {
  const RunResult below = judge(0, run({0.5, 0.7}), 0.8, 0.15);
  EXPECT_EQ(below.outcome, Outcome::below_target);
  EXPECT_FALSE(below.steps_to_target.has_value());
  EXPECT_FALSE(below.seconds_to_target.has_value());
  EXPECT_EQ(judge(0, run({0.1, 0.149}), 0.8, 0.15).outcome, Outcome::chance);
  EXPECT_EQ(judge(0, run({0.1, 0.15}), 0.8, 0.15).outcome, Outcome::below_target);
}

TEST(JudgeTest, DivergenceCountsWhateverHadBeenReached) {
  const RunResult result = judge(0, run({0.9, 0.9}, true), 0.8, 0.15);
  EXPECT_EQ(result.outcome, Outcome::diverged);
  EXPECT_EQ(result.steps_to_target, 100);
  const RunResult at_once = judge(0, run({}, true), 0.8, 0.15);
  EXPECT_EQ(at_once.outcome, Outcome::diverged);
  EXPECT_FALSE(at_once.best_test_accuracy.has_value());
}

TEST(JudgeTest, SecondsMeanSomethingOnlyForARunThatWasAlone) {
  RunRecord record = run({0.9});
  record.alone = false;
  const RunResult result = judge(0, record, 0.8, 0.15);
  EXPECT_EQ(result.steps_to_target, 100);
  EXPECT_FALSE(result.seconds_to_target.has_value());
}

/// Three seeds, one init, learning rates 0.1 and 1; runs in the order of runs_of(): a seed's four are batch
/// 0.1, none 0.1, batch 1, none 1.
class ResultsTest : public ::testing::Test {
 protected:
  ResultsTest() {
    config.inits = {Init::tutorial};
    config.learning_rates = {0.1, 1};
    config.target = 0.8;
    records = {
        run({0.70, 0.90}), run({0.60, 0.80}), run({0.85, 0.95}), run({0.10, 0.10}),  // seed 0
        run({0.80, 0.86}), run({0.50, 0.84}), run({0.80, 0.90}), run({0.10}, true),  // seed 1
        run({0.60, 0.82}), run({0.55, 0.70}), run({0.75, 0.85}), run({}, true),      // seed 2
    };
    results = summarise(config, classes, records);
  }
  const Arm& arm(Norm norm, double lr) const {
    for (const Arm& candidate : results.arms) {
      if (candidate.norm == norm && candidate.lr == lr) return candidate;
    }
    throw std::out_of_range("no such arm");
  }

  BenchConfig config;
  std::vector<std::optional<RunRecord>> records;
  Results results;
};

TEST_F(ResultsTest, TheBestArmHasTheHighestMeanWithoutARunThatDiverged) {
  const Arm* best = best_arm(results);
  ASSERT_NE(best, nullptr);
  EXPECT_EQ(best->norm, Norm::batch);
  EXPECT_EQ(best->lr, 1);  // 0.90 on average, against 0.86 at 0.1
  records[6] = run({0.99}, true);
  const Results diverged = summarise(config, classes, records);
  ASSERT_NE(best_arm(diverged), nullptr);
  EXPECT_EQ(best_arm(diverged)->lr, 0.1);
  EXPECT_EQ(best_arm(diverged)->norm, Norm::batch);
}

TEST_F(ResultsTest, WhereEveryArmLacksARunThereIsNoBest) {
  for (std::size_t i = 8; i < records.size(); ++i) records[i].reset();
  EXPECT_EQ(best_arm(summarise(config, classes, records)), nullptr);
}

TEST_F(ResultsTest, CountsOutcomesOfAnArm) {
  ASSERT_EQ(results.arms.size(), 4U);
  EXPECT_EQ(results.runs_planned, 12);
  EXPECT_EQ(results.runs_finished, 12);
  EXPECT_EQ(arm(Norm::batch, 0.1).summary.trained, 3);
  EXPECT_EQ(arm(Norm::none, 0.1).summary.trained, 2);
  EXPECT_EQ(arm(Norm::none, 0.1).summary.below_target, 1);
  EXPECT_EQ(arm(Norm::none, 1).summary.chance, 1);
  EXPECT_EQ(arm(Norm::none, 1).summary.diverged, 2);
}

TEST_F(ResultsTest, SummarisesTheSeedsThatFinishedAnEpoch) {
  const ArmSummary& batch = arm(Norm::batch, 0.1).summary;
  ASSERT_EQ(batch.epochs.size(), 2U);
  // 0.7, 0.8, 0.6: mean 0.7, sd 0.1
  EXPECT_NEAR(batch.epochs[0].test_accuracy->mean, 0.7, 1e-12);
  EXPECT_NEAR(batch.epochs[0].test_accuracy->sd.value(), 0.1, 1e-12);
  EXPECT_EQ(batch.epochs[0].test_accuracy->min, 0.6);
  EXPECT_EQ(batch.epochs[0].test_accuracy->max, 0.8);
  EXPECT_NEAR(batch.epochs[0].train_loss->mean, 0.3, 1e-12);
  // The second epoch of batch, lr 0.1: reached after 200, 100 and 200 steps.
  EXPECT_NEAR(batch.steps_to_target->mean, 500.0 / 3, 1e-9);
  EXPECT_EQ(batch.steps_to_target->n, 3);
  EXPECT_NEAR(batch.seconds_to_target->mean, 10.0 / 3, 1e-9);

  const ArmSummary& none = arm(Norm::none, 1).summary;
  ASSERT_EQ(none.epochs.size(), 2U);
  EXPECT_EQ(none.epochs[0].test_accuracy->n, 2);
  EXPECT_EQ(none.epochs[1].test_accuracy->n, 1);
  EXPECT_FALSE(none.epochs[1].test_accuracy->sd.has_value());
  EXPECT_FALSE(none.steps_to_target.has_value());
}

TEST_F(ResultsTest, TheLargestRateNeedsAllSeeds) {
  ASSERT_EQ(results.largest_lr.size(), 2U);
  EXPECT_EQ(results.largest_lr[0].norm, Norm::batch);
  EXPECT_EQ(results.largest_lr[0].lr, 1.0);
  EXPECT_FALSE(results.largest_lr[1].lr.has_value());  // at 0.1 two of three seeds

  records[8] = std::nullopt;  // seed 2 of batch, lr 0.1
  records[10] = std::nullopt;
  EXPECT_FALSE(summarise(config, classes, records).largest_lr[0].lr.has_value());
}

TEST_F(ResultsTest, DifferencesArePairedBySeed) {
  ASSERT_EQ(results.differences.size(), 4U);
  const Difference& first = results.differences[0];
  EXPECT_EQ(first.lr, 0.1);
  EXPECT_EQ(first.epoch, 0);
  // 0.1, 0.3, 0.05: mean 0.15, squares 0.0025 + 0.0225 + 0.01 = 0.035, sd sqrt(0.0175)
  EXPECT_NEAR(first.test_accuracy->mean, 0.15, 1e-12);
  EXPECT_NEAR(first.test_accuracy->sd.value(), std::sqrt(0.0175), 1e-12);
  // At lr 1 only seed 0 finished epoch 1 both ways.
  const Difference& last = results.differences[3];
  EXPECT_EQ(last.lr, 1);
  EXPECT_EQ(last.epoch, 1);
  EXPECT_EQ(last.test_accuracy->n, 1);
  EXPECT_NEAR(last.test_accuracy->mean, 0.85, 1e-12);
}

TEST_F(ResultsTest, OneNormAloneHasNoDifferences) {
  config.norms = {Norm::none};
  config.learning_rates = {0.1};
  const Results alone = summarise(config, classes, {run({0.5}), run({0.6}), std::nullopt});
  EXPECT_TRUE(alone.differences.empty());
  EXPECT_EQ(alone.runs_finished, 2);
}

Dataset dataset() {
  return make_synthetic({.shape = {1, 2, 2, false}, .classes = classes, .train = 20, .test = 20});
}

TEST_F(ResultsTest, JsonHoldsWhatTheSchemaSays) {
  const Json json = results_json(results, dataset());
  EXPECT_EQ(json.at("schema"), "bntrain-bench");
  EXPECT_EQ(json.at("schema_version"), 1);
  EXPECT_EQ(json.at("config").at("norm"), Json({"batch", "none"}));
  EXPECT_EQ(json.at("config").at("lr"), Json({0.1, 1.0}));
  EXPECT_EQ(json.at("config").at("seeds"), Json({0, 1, 2}));
  EXPECT_EQ(json.at("target"), 0.8);
  EXPECT_EQ(json.at("chance"), 0.15);
  EXPECT_EQ(json.at("dataset").at("classes"), classes);
  EXPECT_EQ(json.at("environment").at("variant"), "v");
  EXPECT_EQ(json.at("steps_per_epoch"), 100);
  const Json& none = json.at("arms").at(3);
  EXPECT_EQ(none.at("norm"), "none");
  EXPECT_EQ(none.at("lr"), 1);
  EXPECT_EQ(none.at("summary").at("diverged"), 2);
  EXPECT_TRUE(none.at("summary").at("steps_to_target").is_null());
  EXPECT_TRUE(none.at("summary").at("epochs").at(1).at("test_accuracy").at("sd").is_null());
  const Json& last = none.at("runs").at(2);
  EXPECT_EQ(last.at("outcome"), "diverged");
  EXPECT_EQ(last.at("divergence").at("layer"), "1 bn");
  EXPECT_TRUE(last.at("epochs").empty());
  EXPECT_TRUE(last.at("best_test_accuracy").is_null());
  EXPECT_EQ(json.at("largest_lr").at(0).at("lr"), 1);
  EXPECT_TRUE(json.at("largest_lr").at(1).at("lr").is_null());
  EXPECT_EQ(json.at("differences").size(), 4U);
}

TEST_F(ResultsTest, CsvHasARowForEveryEpochOfEveryRun) {
  const std::string csv = results_csv(results);
  EXPECT_THAT(csv, ::testing::StartsWith("norm,init,lr,seed,outcome,epoch,steps,train_loss,"));
  EXPECT_THAT(csv, ::testing::HasSubstr("\nbatch,tutorial,0.1,0,trained,0,100,"));
  EXPECT_THAT(csv, ::testing::HasSubstr("\nnone,tutorial,1,2,diverged,,,,,,\n"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 21 + 1);  // heading, epochs, the run without any
}

}  // namespace
}  // namespace bntrain::bench
