// The reference experiment through the real program on the real data, as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/run_program.hpp"

namespace bntrain::test {
namespace {

using testing::MatchesRegex;
using testing::SizeIs;

double best_test_accuracy(const std::vector<nlohmann::json>& records) {
  double best = 0;
  for (const nlohmann::json& record : records)
    if (record.at("event") == "epoch") best = std::max(best, record.at("test_accuracy").get<double>());
  return best;
}

// The bounds hold for every seed, where those of bntrain reproduce hold for means over seeds: seven
// runs of PyTorch ended between .304 and .357 with best accuracies of .859 to .882.
TEST(ReferenceExperiment, LearnsAsTheTutorialDid) {
  const ProgramResult result = run_bntrain({"--epochs", "5", "--lr", "0.2", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::vector<nlohmann::json> records = json_lines(result.out);
  ASSERT_THAT(records, SizeIs(6));
  const double first_loss = records[0].at("train_loss");
  const double last_loss = records[4].at("train_loss");
  EXPECT_GT(first_loss, 1.6);
  EXPECT_LT(first_loss, 2.3);
  EXPECT_GT(last_loss, 0.28);
  EXPECT_LT(last_loss, 0.40);
  EXPECT_GT(best_test_accuracy(records), 0.83);
}

TEST(ReferenceExperiment, WithoutBatchNormStaysAtChanceForAnEpoch) {
  const ProgramResult result = run_bntrain({"--epochs", "1", "--lr", "0.2", "--norm", "none", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json epoch = json_lines(result.out).at(0);
  EXPECT_GT(epoch.at("train_loss").get<double>(), 2.28);
  EXPECT_LT(epoch.at("train_loss").get<double>(), 2.31);
  EXPECT_LT(epoch.at("train_accuracy").get<double>(), 0.15);
}

TEST(ReferenceExperiment, PrintsTheTutorialsLine) {
  const ProgramResult result = run_bntrain({"--epochs", "1", "--init", "gluon"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              MatchesRegex("Epoch 0\\. Loss: 0\\.[0-9]{6}, Train acc 0\\.[0-9]{6}, Test acc 0\\.[0-9]{6} "
                           "\\([0-9.]+ s, [0-9]+ images/s\\)\n"));
}

}  // namespace
}  // namespace bntrain::test
