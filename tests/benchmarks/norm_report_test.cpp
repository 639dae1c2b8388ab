#include "benchmarks/norm_report.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace bntrain::benchmarks {
namespace {

using kernels::NormPass;
using testing::HasSubstr;
using testing::Not;

constexpr NormCase kSmall{2, 3}, kLarge{1000, 1000};
constexpr std::int64_t kCache = 100'000;  // kLarge's forward pass moves 80 times as much

NormRow row(const NormCase& c, const std::string& contender, double seconds) {
  return {.norm_case = c,
          .contender = contender,
          .is_peer = contender.starts_with("cudnn"),
          .error = 1e-7,
          .seconds = {seconds, seconds, 1.1 * seconds}};
}

NormReport report(std::vector<NormRow> rows) {
  return {.device = "a device",
          .versions = "CUDA 0.0",
          .seed = 3,
          .options = {.cache_bytes = kCache},
          .copy_bytes_per_second = 1e9,
          .rows = std::move(rows)};
}

TEST(NormReport, ComparesWithTheBetterModeOfThePeer) {
  const std::vector<NormRow> rows{row(kSmall, "plain", 2), row(kSmall, "cudnn spatial", 5),
                                  row(kSmall, "cudnn persistent", 3)};
  EXPECT_DOUBLE_EQ(against_peer(rows[0], rows).value(), 1.5);
  EXPECT_DOUBLE_EQ(against_peer(rows[1], rows).value(), 0.6);
}

TEST(NormReport, ComparesOnlyWhatRacedTheSameRace) {
  std::vector<NormRow> rows{row(kSmall, "plain", 2), row(kLarge, "cudnn spatial", 1),
                            row(kSmall, "cudnn spatial", 1), row(kSmall, "cudnn spatial", 1),
                            row(kSmall, "cudnn persistent", 1)};
  rows[2].pass = NormPass::backward;
  rows[3].cache = Cache::hot;
  rows[4].refusal = "not supported";
  EXPECT_FALSE(against_peer(rows[0], rows).has_value());
  EXPECT_FALSE(against_peer(rows[4], rows).has_value()) << "was not timed itself";
}

TEST(NormReport, ShowsRatesAndShares) {
  // 8 MB in 10 ms is 0.8 GB/s of a copy of 1 GB/s.
  const std::string table =
      norm_table(report({row(kLarge, "automatic (plain)", 0.01), row(kLarge, "cudnn spatial", 0.02)}));
  EXPECT_THAT(table, testing::ContainsRegex(
                         "1000x1000 +channels first +forward +cold +automatic \\(plain\\) +10000.00 "
                         "+10% +8.00 +1 +80% +2.00 +1e-07\n"));
  EXPECT_THAT(table, testing::ContainsRegex("cudnn spatial +20000.00 +10% +8.00 +0 +40% +1.00 +1e-07\n"));
  EXPECT_THAT(table, HasSubstr("device  a device\n"));
}

TEST(NormReport, SaysWhyARowHasNoTime) {
  NormRow refused = row(kSmall, "cluster", 1);
  refused.refusal = "too large";
  EXPECT_THAT(norm_table(report({refused})),
              testing::ContainsRegex("cluster +- +- +0.00 +- +- +- +-  too large\n"));
}

TEST(NormReport, SaysWhichTargetsAreReached) {
  const std::string table =
      norm_table(report({row(kLarge, "automatic (plain)", 0.0106), row(kLarge, "cudnn spatial", 0.0107)}));
  EXPECT_THAT(
      table,
      HasSubstr("75% of the copy where one launch's tensors are 4 times the cache: reached by all 1\n"));
  EXPECT_THAT(table, HasSubstr("not slower than cuDNN's better mode: reached by all 1\n"));
}

TEST(NormReport, NamesTheRowsThatMissATarget) {
  const std::string table =
      norm_table(report({row(kLarge, "automatic (plain)", 0.016), row(kLarge, "cudnn spatial", 0.012)}));
  EXPECT_THAT(table, HasSubstr("cache: MISSED by 1 of 1:\n  1000x1000 channels first forward cold, 50%\n"));
  EXPECT_THAT(table, HasSubstr("mode: MISSED by 1 of 1:\n  1000x1000 channels first forward cold, 0.75\n"));
}

TEST(NormReport, JudgesTheAutomaticChoiceAloneAndBandwidthOnlyBeyondTheCache) {
  const std::string table = norm_table(report(
      {row(kLarge, "plain", 100), row(kSmall, "automatic (plain)", 1), row(kLarge, "cudnn spatial", 1)}));
  EXPECT_THAT(table, Not(HasSubstr("MISSED")));
  EXPECT_THAT(table, HasSubstr("cache: not judged"));
  EXPECT_THAT(table, HasSubstr("mode: not judged"));
}

TEST(NormReport, KnowsWhetherAResultWasWrong) {
  NormReport r = report({row(kSmall, "plain", 1)});
  EXPECT_FALSE(any_wrong(r));
  r.rows[0].error = 2e-4;
  EXPECT_TRUE(any_wrong(r));
  r.rows[0].error = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(any_wrong(r));
}

TEST(NormReport, RecordsTheSameFigures) {
  NormRow refused = row(kSmall, "cluster", 1);
  refused.refusal = "too large";
  const auto record = norm_record(
      report({row(kLarge, "automatic (plain)", 0.01), row(kLarge, "cudnn spatial", 0.02), refused}));
  EXPECT_EQ(record["copy_bytes_per_second"], 1e9);
  const auto& first = record["rows"][0];
  EXPECT_EQ(first["shape"], "1000x1000");
  EXPECT_EQ(first["seconds"]["median"], 0.01);
  EXPECT_DOUBLE_EQ(first["copy_share"].get<double>(), 0.8);
  EXPECT_DOUBLE_EQ(first["times_cudnn"].get<double>(), 2);
  EXPECT_EQ(record["rows"][2]["refusal"], "too large");
  EXPECT_FALSE(record["rows"][2].contains("seconds"));
}

}  // namespace
}  // namespace bntrain::benchmarks
