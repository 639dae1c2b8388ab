// The rule that judges a reproduction, on runs made by hand.
#include "bench/reproduction.hpp"
#include "support/nan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace bntrain::bench {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using support::kNan;

/// A run of two epochs with these last values.
RunRecord run(double loss, double best, double last) {
  RunRecord record;
  record.epochs.resize(2);
  record.epochs[0] = {.epoch = 0, .steps = 10, .train_loss_batch_mean = 2, .test_accuracy_batch_mean = best};
  record.epochs[1] = {.epoch = 1,
                      .steps = 20,
                      .train_loss_batch_mean = loss,
                      .train_accuracy_batch_mean = .5,
                      .test_accuracy_batch_mean = last};
  return record;
}

RunRecord diverged() {
  RunRecord record;
  record.divergence = Divergence{0, 3, 0.2, "0 conv4x3"};
  return record;
}

Experiment recorded(double loss, double accuracy) {
  Experiment experiment;
  ExperimentArm& arm = experiment.arms.emplace_back();
  arm.name = "BN";
  arm.recordings.push_back({"paper", {{0, 2.0, .1, .2}, {1, loss, .5, accuracy}}});
  return experiment;
}

bool passes(const Experiment& experiment, const std::vector<RunRecord>& runs) {
  return judge(experiment, runs).passed;
}

TEST(Reproduction, TheLossMayLieThreeStandardDeviationsAway) {
  // Mean 0.4, standard deviation 0.1 (n - 1): allowed are 0.1 to 0.7.
  const std::vector<RunRecord> runs = {run(.3, .8, .8), run(.4, .8, .8), run(.5, .8, .8)};
  EXPECT_TRUE(passes(recorded(.699, .8), runs));
  EXPECT_TRUE(passes(recorded(.101, .8), runs));
  EXPECT_FALSE(passes(recorded(.701, .8), runs));
  EXPECT_FALSE(passes(recorded(.099, .8), runs));
  const Judgement judgement = judge(recorded(.699, .8), runs);
  ASSERT_THAT(judgement.numbers, SizeIs(2));
  EXPECT_EQ(judgement.numbers[0].quantity, "last train loss");
  EXPECT_THAT(judgement.numbers[0].allowed, DoubleNear(.3, 1e-12));
  EXPECT_THAT(judgement.numbers[0].measured->mean, DoubleNear(.4, 1e-12));
}

TEST(Reproduction, AndAtLeastThreeHundredths) {
  const std::vector<RunRecord> runs = {run(.4, .8, .8), run(.4, .8, .8)};
  EXPECT_TRUE(passes(recorded(.4299, .8), runs));
  EXPECT_FALSE(passes(recorded(.4301, .8), runs));
}

TEST(Reproduction, TheBestAccuracyCountsNotTheLast) {
  // Best 0.8 and 0.84 in other epochs than the last: mean 0.82.
  const std::vector<RunRecord> runs = {run(.4, .8, .5), run(.4, .84, .5)};
  EXPECT_TRUE(passes(recorded(.4, .839), runs));
  EXPECT_TRUE(passes(recorded(.4, .801), runs));
  EXPECT_FALSE(passes(recorded(.4, .841), runs));
  EXPECT_FALSE(passes(recorded(.4, .799), runs));
}

TEST(Reproduction, ARecordingThatIsNotWholeIsJudgedByItsLossAlone) {
  Experiment experiment = recorded(.4, .1);
  const std::vector<RunRecord> runs = {run(.4, .8, .8), run(.4, .8, .8)};
  EXPECT_FALSE(passes(experiment, runs));
  experiment.arms[0].recordings[0].whole = false;
  EXPECT_TRUE(passes(experiment, runs));
  EXPECT_THAT(judge(experiment, runs).numbers, SizeIs(1));
}

TEST(Reproduction, EveryRecordingIsJudged) {
  Experiment experiment = recorded(.4, .8);
  experiment.arms[0].recordings.push_back({"another", {{1, .5, .5, .8}}});
  const Judgement judgement = judge(experiment, std::vector<RunRecord>{run(.4, .8, .8), run(.4, .8, .8)});
  ASSERT_THAT(judgement.numbers, SizeIs(4));
  EXPECT_TRUE(judgement.numbers[0].passed);
  EXPECT_FALSE(judgement.numbers[2].passed);
  EXPECT_FALSE(judgement.passed);
}

TEST(Reproduction, ARunThatDivergedReproducesNoNumber) {
  const Judgement judgement = judge(recorded(.4, .8), std::vector<RunRecord>{run(.4, .8, .8), diverged()});
  EXPECT_FALSE(judgement.passed);
  EXPECT_FALSE(judgement.numbers[0].measured.has_value());
  // The epochs that were finished are shown.
  ASSERT_THAT(judgement.epochs, SizeIs(1));
  ASSERT_THAT(judgement.epochs[0], SizeIs(2));
  EXPECT_EQ(judgement.epochs[0][1].train_loss->n, 1);
}

TEST(Reproduction, ALossThatIsNotFiniteReproducesNothing) {
  EXPECT_FALSE(passes(recorded(.4, .8), {run(kNan, .8, .8), run(kNan, .8, .8)}));
}

TEST(Reproduction, AClaimMustHoldForEverySeed) {
  Experiment experiment;
  experiment.arms.resize(2);
  experiment.claims.push_back({"the first arm has the smaller loss", [](std::span<const RunRecord> runs) {
                                 const double first = runs[0].epochs[1].train_loss_batch_mean;
                                 const double second = runs[1].epochs[1].train_loss_batch_mean;
                                 return ClaimOutcome{first < second, std::to_string(first)};
                               }});
  std::vector<RunRecord> runs = {run(.1, 0, 0), run(.2, 0, 0), run(.3, 0, 0), run(.4, 0, 0)};
  EXPECT_TRUE(passes(experiment, runs));
  std::swap(runs[2], runs[3]);
  const Judgement judgement = judge(experiment, runs);
  EXPECT_FALSE(judgement.passed);
  ASSERT_THAT(judgement.claims, SizeIs(1));
  ASSERT_THAT(judgement.claims[0].seeds, SizeIs(2));
  EXPECT_TRUE(judgement.claims[0].seeds[0].holds);
  EXPECT_FALSE(judgement.claims[0].seeds[1].holds);
}

TEST(Reproduction, RunsAreSeedBySeedTheArmsSideBySide) {
  Experiment experiment;
  experiment.arms.resize(2);
  experiment.arms[1].config.norm = Norm::none;
  const std::vector<std::uint64_t> seeds = {3, 4};
  const std::vector<TrainConfig> runs = runs_of(experiment, seeds);
  ASSERT_THAT(runs, SizeIs(4));
  EXPECT_EQ(runs[1].seed, 3U);
  EXPECT_EQ(runs[1].norm, Norm::none);
  EXPECT_EQ(runs[2].seed, 4U);
  EXPECT_EQ(runs[2].norm, Norm::batch);
}

// The experiments themselves.

const Experiment& named(const std::string& name) {
  static const std::vector<Experiment> all = experiments();
  for (const Experiment& experiment : all) {
    if (experiment.name == name) return experiment;
  }
  throw std::logic_error("no experiment " + name);
}

TEST(Experiments, EachHasANameArmsAndSomethingToBeJudgedBy) {
  std::set<std::string> names;
  for (const Experiment& experiment : experiments()) {
    EXPECT_TRUE(names.insert(experiment.name).second) << experiment.name;
    EXPECT_THAT(experiment.source, Not(IsEmpty()));
    EXPECT_THAT(experiment.arms, Not(IsEmpty()));
    bool judged = !experiment.claims.empty();
    for (const ExperimentArm& arm : experiment.arms) {
      judged |= !arm.recordings.empty();
      // The last epoch that is recorded must be the last that is run.
      for (const Recording& recording : arm.recordings) {
        EXPECT_EQ(recording.epochs.back().epoch + 1, arm.config.epochs) << experiment.name;
      }
      EXPECT_NO_THROW(Network::parse(arm.config.network, {1, 28, 28, false}, 10, arm.config.norm))
          << experiment.name;
    }
    EXPECT_TRUE(judged) << experiment.name;
  }
}

RunRecord trained_to(double accuracy) {
  RunRecord record;
  record.evaluations.push_back({.step = 1, .test_accuracy = accuracy});
  return record;
}

TEST(Experiments, TheLargerRateIsTheLargestThatTrains) {
  const Claim& claim = named("larger-lr").claims.at(0);
  // 0.2, 0.5, 1 with batch norm, then without.
  std::vector<RunRecord> runs = {trained_to(.88), trained_to(.87), trained_to(.85),
                                 trained_to(.82), trained_to(.81), trained_to(.10)};
  EXPECT_TRUE(claim.check(runs).holds);
  EXPECT_EQ(claim.check(runs).figures, "with 1, without 0.5");
  runs[2].divergence = Divergence{};
  EXPECT_FALSE(claim.check(runs).holds) << "equally large is not larger";
  runs[4] = trained_to(.79);
  runs[5] = trained_to(.79);
  EXPECT_EQ(claim.check(runs).figures, "with 0.5, without 0.2");
  runs[3] = trained_to(.1);
  EXPECT_EQ(claim.check(runs).figures, "with 0.5, without none");
}

TEST(Experiments, FigureOneComparesAccuracySpeedAndDrift) {
  const std::vector<Claim>& claims = named("ioffe-fig1").claims;
  ASSERT_THAT(claims, SizeIs(3));
  const auto run_of = [](std::vector<double> accuracies, std::vector<double> medians) {
    RunRecord record;
    for (const double accuracy : accuracies) record.evaluations.push_back({.test_accuracy = accuracy});
    // The last layer counts; the other one moves far.
    for (const double median : medians) {
      record.activations.push_back({0, "first", 100 * median - 1, 100 * median, 100 * median + 1});
      record.activations.push_back({0, "last", median - 1, median, median + 1});
    }
    return record;
  };
  std::vector<RunRecord> runs = {run_of({.6, .8}, {0, .5}), run_of({.5, .7}, {0, -3})};
  for (const Claim& claim : claims) EXPECT_TRUE(claim.check(runs).holds) << claim.text;
  EXPECT_EQ(claims[2].check(runs).figures, "with 0.25, without 1.5");
  const Judgement judgement = judge(named("ioffe-fig1"), runs);
  ASSERT_THAT(judgement.inputs, SizeIs(2));
  ASSERT_THAT(judgement.inputs[1], SizeIs(2));
  EXPECT_EQ(judgement.inputs[1][1].layer, "last");
  EXPECT_EQ(judgement.inputs[1][1].median, -3);
  std::swap(runs[0], runs[1]);
  for (const Claim& claim : claims) EXPECT_FALSE(claim.check(runs).holds) << claim.text;
  // Higher at the end and later.
  runs = {run_of({.1, .8}, {0, .5}), run_of({.7, .7}, {0, -3})};
  EXPECT_TRUE(claims[0].check(runs).holds);
  EXPECT_FALSE(claims[1].check(runs).holds);
}

}  // namespace
}  // namespace bntrain::bench
