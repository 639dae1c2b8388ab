// What the benchmark measures, on the host's executor: that results are checked, what is launched how often.
#include "benchmarks/norm_timing.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <set>

namespace bntrain::benchmarks {
namespace {

using kernels::Layout;
using kernels::NormPass;
using testing::HasSubstr;

constexpr NormPass kPasses[] = {NormPass::forward, NormPass::backward};

class NormTiming : public testing::Test {
 protected:
  std::vector<NormRow> rows_of(const NormCase& c, NormPass pass, std::int64_t cache_bytes = 1) {
    const TimingOptions options{.samples = 2, .launches_a_sample = 1, .cache_bytes = cache_bytes};
    return time_norm(NormProblem(c, 7), pass, our_contenders(c, pass, stream), options, stream);
  }

  cuda::DeviceStream stream;
};

TEST_F(NormTiming, EveryVariantThatServesTheShapeIsRightAndTimed) {
  for (const Layout layout : {Layout::channels_first, Layout::channels_last})
    for (const NormPass pass : kPasses) {
      const std::vector<NormRow> rows = rows_of({6, 2, 4, 3, layout}, pass);
      ASSERT_EQ(rows.size(), 4u);
      EXPECT_THAT(rows[0].contender, HasSubstr("automatic ("));
      for (const NormRow& row : rows) {
        EXPECT_TRUE(row.timed()) << row.contender << ": " << row.refusal;
        EXPECT_GT(row.error, 0) << "compared with nothing";
        EXPECT_LT(row.error, 1e-6) << row.contender;
        EXPECT_GT(row.seconds.median, 0);
      }
    }
}

TEST_F(NormTiming, AVariantThatCannotServeSaysWhy) {
  // Planes of 9 values do not consist of 16 bytes.
  const std::vector<NormRow> rows = rows_of({5, 3, 3, 3}, NormPass::forward);
  const auto streamed = std::ranges::find(rows, "streamed", &NormRow::contender);
  ASSERT_NE(streamed, rows.end());
  EXPECT_THAT(streamed->refusal, HasSubstr("cannot share a channel"));
}

/// Counts what it is asked for; the passes are right, but for one value where `spoil` says so.
class Probe final : public NormContender {
 public:
  Probe(const NormProblem& problem, cuda::DeviceStream& stream, float spoil)
      : NormContender("probe", true), problem_(problem), stream_(stream), spoil_(spoil) {}

  void forward(const NormBuffers& b) override {
    note(b, b.y);
    if (launches > 1) return;
    write(b.y, problem_.y);
    write(b.mean, problem_.exact_mean);
    write(b.invstd, std::vector<double>(problem_.invstd.begin(), problem_.invstd.end()));
  }
  void prepare_backward(const NormBuffers&) override { ++prepared; }
  void backward(const NormBuffers& b) override {
    note(b, b.dx);
    if (launches > 1) return;
    write(b.dx, problem_.dx);
    write(b.dgamma, problem_.dgamma);
    write(b.dbeta, problem_.dbeta);
  }

  int launches = 0, prepared = 0;
  std::vector<const float*> outputs;

 private:
  void note(const NormBuffers&, const float* output) {
    ++launches;
    outputs.push_back(output);
  }
  void write(float* to, const std::vector<double>& values) {
    std::vector<float> written(values.begin(), values.end());
    if (values.size() == problem_.y.size()) written.back() += spoil_;
    stream_.upload(to, written.data(), static_cast<std::int64_t>(written.size() * sizeof(float)));
  }

  const NormProblem& problem_;
  cuda::DeviceStream& stream_;
  float spoil_;
};

/// Leaves memory as it finds it.
class Idle final : public NormContender {
 public:
  Idle() : NormContender("idle", false) {}
  void forward(const NormBuffers&) override {}
  void backward(const NormBuffers&) override {}
};

class NormTimingOfProbes : public testing::TestWithParam<NormPass> {
 protected:
  /// One probe's rows; a set of the case has 240 or 360 bytes.
  std::vector<NormRow> run(std::int64_t cache_bytes, std::int64_t launches_a_sample, float spoil = 0) {
    Contenders contenders;
    contenders.push_back(std::make_unique<Probe>(problem, stream, spoil));
    const TimingOptions options{
        .samples = 3, .launches_a_sample = launches_a_sample, .cache_bytes = cache_bytes};
    const std::vector<NormRow> rows = time_norm(problem, GetParam(), contenders, options, stream);
    const auto& probe = static_cast<Probe&>(*contenders[0]);
    launches = probe.launches;
    outputs = probe.outputs;
    EXPECT_EQ(probe.prepared, GetParam() == NormPass::backward ? 1 : 0);
    return rows;
  }

  cuda::DeviceStream stream;
  const NormProblem problem{{2, 3, 5, 1}, 1};
  int launches = 0;
  std::vector<const float*> outputs;
};

TEST_P(NormTimingOfProbes, ARightResultIsTimed) {
  const std::vector<NormRow> rows = run(1, 4);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_TRUE(rows[0].timed()) << rows[0].refusal;
  EXPECT_TRUE(rows[0].is_peer);
  EXPECT_EQ(rows[0].cache, Cache::cold);
  EXPECT_EQ(launches, 1 + 4) << "one to check, a graph of four";
}

TEST_P(NormTimingOfProbes, AWrongResultIsNeverTimed) {
  for (const float spoil :
       {0.01f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const std::vector<NormRow> rows = run(1, 4, spoil);
    EXPECT_TRUE(rows[0].wrong());
    EXPECT_FALSE(rows[0].timed());
    EXPECT_EQ(rows[0].refusal, "WRONG RESULT");
    EXPECT_EQ(launches, 1);
  }
}

TEST_P(NormTimingOfProbes, TheResultOfTheContenderBeforeCountsForNobody) {
  Contenders contenders;
  contenders.push_back(std::make_unique<Probe>(problem, stream, 0.0f));
  contenders.push_back(std::make_unique<Idle>());
  const std::vector<NormRow> rows =
      time_norm(problem, GetParam(), contenders, {.samples = 1, .cache_bytes = 1}, stream);
  EXPECT_TRUE(rows[0].timed());
  EXPECT_TRUE(rows[1].wrong());
}

TEST_P(NormTimingOfProbes, ColdLaunchesTakeTurnsOnSetsThatFillTheCacheAndHotOnesDoNot) {
  const std::vector<NormRow> rows = run(1000, 1);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].cache, Cache::cold);
  EXPECT_EQ(rows[1].cache, Cache::hot);
  const auto sets = static_cast<std::size_t>(cold_sets(bytes_moved(problem.norm_case(), GetParam()), 1000));
  ASSERT_GT(sets, 10u);
  const std::set<const float*> cold(outputs.begin() + 1,
                                    outputs.begin() + 1 + static_cast<std::ptrdiff_t>(sets));
  EXPECT_EQ(cold.size(), sets) << "each set once a round";
  EXPECT_EQ(outputs.size(), 1 + sets + 1);
  EXPECT_EQ(outputs.back(), outputs.front());
}

TEST_P(NormTimingOfProbes, EverySetIsUsedEquallyOften) {
  run(200, 5);  // 4 or 3 sets: two rounds of each
  const auto sets = static_cast<std::size_t>(cold_sets(bytes_moved(problem.norm_case(), GetParam()), 200));
  ASSERT_GT(sets, 2u);
  ASSERT_LT(sets, 5u);
  EXPECT_EQ(outputs.size(), 1 + 2 * sets);
}

INSTANTIATE_TEST_SUITE_P(Passes, NormTimingOfProbes, testing::ValuesIn(kPasses),
                         [](const auto& instance) { return std::string(to_string(instance.param)); });

TEST(TimeLaunches, DividesTheTimeOfASampleByItsLaunches) {
  cuda::DeviceStream stream;
  std::vector<std::int64_t> seen;
  const std::vector<double> seconds = time_launches(stream, 3, 4, [&](std::int64_t i) { seen.push_back(i); });
  EXPECT_EQ(seconds.size(), 4u);
  EXPECT_THAT(seen, testing::ElementsAre(0, 1, 2)) << "captured once";
}

TEST(NormProblem, IsOnOtherNumbersWithAnotherSeed) {
  const NormCase c{2, 3, 2, 2};
  EXPECT_EQ(NormProblem(c, 1).x, NormProblem(c, 1).x);
  EXPECT_NE(NormProblem(c, 1).x, NormProblem(c, 5).x);
}

}  // namespace
}  // namespace bntrain::benchmarks
