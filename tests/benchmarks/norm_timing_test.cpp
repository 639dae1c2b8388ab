// What the benchmark measures, on the host's executor: that results are checked, what is launched how often.
#include "benchmarks/norm_timing.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <set>

#include "benchmarks/tuned_norm.hpp"
#include "kernels/batch_norm/measured_tuning.hpp"
#include "support/reference.hpp"

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
    return time_norm(c, pass, 7, our_contenders(c, pass, stream), options, stream);
  }

  cuda::DeviceStream stream;
};

TEST_F(NormTiming, EveryVariantThatServesTheShapeIsRightAndTimed) {
  for (const Layout layout : {Layout::channels_first, Layout::channels_last})
    for (const NormPass pass : kPasses) {
      const std::vector<NormRow> rows = rows_of({6, 2, 4, 3, layout}, pass);
      ASSERT_EQ(rows.size(), 1 + std::size(kVariants));
      EXPECT_THAT(rows[0].contender, HasSubstr("automatic ("));
      for (const NormRow& row : rows) {
        EXPECT_TRUE(row.timed()) << row.contender << ": " << row.refusal;
        EXPECT_GT(row.error, 0) << "compared with nothing";
        EXPECT_LT(row.error, 1e-6) << row.contender;
        EXPECT_GT(row.seconds.median, 0);
      }
    }
}

TEST_F(NormTiming, EveryTuningOfTheResidentKernelsIsRight) {
  for (const NormCase& c : {NormCase{6, 3, 4, 8}, NormCase{70, 12, 1, 1}})
    for (const NormPass pass : kPasses) {
      const TimingOptions options{.samples = 1, .launches_a_sample = 1, .cache_bytes = 1};
      const std::vector<NormRow> rows =
          time_norm(c, pass, 7, tuned_contenders(c, pass, stream), options, stream);
      ASSERT_GT(rows.size(), 8u);
      EXPECT_EQ(rows[0].contender, "tuning rule");
      std::set<std::string> names;
      for (const NormRow& row : rows) {
        names.insert(row.contender);
        EXPECT_TRUE(row.timed()) << row.contender << ": " << row.refusal;
        EXPECT_LT(row.error, 1e-6) << row.contender;
      }
      EXPECT_EQ(names.size(), rows.size());
      EXPECT_EQ(names.count("tuning " + to_string(rule_tuning(c, pass, stream.kernels()))), 1u);
    }
}

TEST_F(NormTiming, TheFusedBlockIsRightAndTimed) {
  for (const NormCase& c : {NormCase{3, 4, 6, 8, Layout::channels_first, 2},
                            NormCase{5, 3, 7, 5, Layout::channels_first, 2},  // pixels outside every window
                            NormCase{4, 2, 6, 7, Layout::channels_first, 3}})
    for (const NormPass pass : kPasses) {
      const std::vector<NormRow> rows = rows_of(c, pass);
      ASSERT_EQ(rows.size(), 1u);
      EXPECT_TRUE(rows[0].timed()) << to_string(c) << " " << to_string(pass) << ": " << rows[0].error;
      EXPECT_GT(rows[0].error, 0) << "compared with nothing";
      EXPECT_LT(rows[0].error, 1e-6);
    }
}

TEST_F(NormTiming, AVariantThatCannotServeSaysWhy) {
  // Planes of 9 values do not consist of 16 bytes.
  const std::vector<NormRow> rows = rows_of({5, 3, 3, 3}, NormPass::forward);
  const auto streamed = std::ranges::find(rows, "streamed", &NormRow::contender);
  ASSERT_NE(streamed, rows.end());
  EXPECT_THAT(streamed->refusal, HasSubstr("cannot share a channel"));
}

/// Counts what it is asked for; the passes are the reference's of tests/support, which knows nothing of the
/// benchmark's, but for one value where `spoil` says so.
class Probe final : public NormContender {
 public:
  Probe(const NormCase& c, cuda::DeviceStream& stream, float spoil)
      : NormContender("probe", true), case_(c), stream_(stream), spoil_(spoil) {}

  void forward(const NormBuffers& b) override {
    note(b.y);
    if (launches > 1) return;
    const reference::NormForward right =
        reference::norm_forward(of_tensor(b.x), of_channels(b.gamma), of_channels(b.beta), shape(), kEps);
    write_tensor(b.y, right.y);
    write(b.mean, right.mean);
    reference::Values inv_std;
    for (const double var : right.var) inv_std.push_back(1 / std::sqrt(var + kEps));
    write(b.invstd, inv_std);
  }
  void prepare_backward(const NormBuffers&) override { ++prepared; }
  void backward(const NormBuffers& b) override {
    note(b.dx);
    if (launches > 1) return;
    const reference::NormGradients right =
        reference::norm_backward(of_tensor(b.x), of_tensor(b.dy), of_channels(b.gamma), shape(), kEps);
    write_tensor(b.dx, right.x);
    write(b.dgamma, right.gamma);
    write(b.dbeta, right.beta);
  }

  int launches = 0, prepared = 0;
  std::vector<const float*> outputs;

 private:
  reference::NormShape shape() const { return {case_.batch, case_.channels, case_.height * case_.width}; }
  reference::Values read(const float* from, std::int64_t size) const {
    std::vector<float> values(static_cast<std::size_t>(size));
    stream_.download(values.data(), from, size * static_cast<std::int64_t>(sizeof(float)));
    return reference::widen(values);
  }
  reference::Values of_tensor(const float* from) const { return read(from, case_.size()); }
  reference::Values of_channels(const float* from) const { return read(from, case_.channels); }
  void note(const float* output) {
    ++launches;
    outputs.push_back(output);
  }
  void write(float* to, const reference::Values& values) {
    const std::vector<float> written = reference::narrow(values);
    stream_.upload(to, written.data(), static_cast<std::int64_t>(written.size() * sizeof(float)));
  }
  void write_tensor(float* to, reference::Values values) {
    values.back() += static_cast<double>(spoil_);
    write(to, values);
  }

  NormCase case_;
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
    contenders.push_back(std::make_unique<Probe>(kCase, stream, spoil));
    const TimingOptions options{
        .samples = 3, .launches_a_sample = launches_a_sample, .cache_bytes = cache_bytes};
    const std::vector<NormRow> rows = time_norm(kCase, GetParam(), 1, contenders, options, stream);
    const auto& probe = static_cast<Probe&>(*contenders[0]);
    launches = probe.launches;
    outputs = probe.outputs;
    EXPECT_EQ(probe.prepared, GetParam() == NormPass::backward ? 1 : 0);
    return rows;
  }

  cuda::DeviceStream stream;
  static constexpr NormCase kCase{2, 3, 5, 1};
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
  contenders.push_back(std::make_unique<Probe>(kCase, stream, 0.0f));
  contenders.push_back(std::make_unique<Idle>());
  const std::vector<NormRow> rows =
      time_norm(kCase, GetParam(), 1, contenders, {.samples = 1, .cache_bytes = 1}, stream);
  EXPECT_TRUE(rows[0].timed());
  EXPECT_TRUE(rows[1].wrong());
}

TEST_P(NormTimingOfProbes, ColdLaunchesTakeTurnsOnSetsThatFillTheCacheAndHotOnesDoNot) {
  const std::vector<NormRow> rows = run(1000, 1);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].cache, Cache::cold);
  EXPECT_EQ(rows[1].cache, Cache::hot);
  const auto sets = static_cast<std::size_t>(cold_sets(bytes_moved(kCase, GetParam()), 1000));
  ASSERT_GT(sets, 10u);
  const std::set<const float*> cold(outputs.begin() + 1,
                                    outputs.begin() + 1 + static_cast<std::ptrdiff_t>(sets));
  EXPECT_EQ(cold.size(), sets) << "each set once a round";
  EXPECT_EQ(outputs.size(), 1 + sets + 1);
  EXPECT_EQ(outputs.back(), outputs.front());
}

TEST_P(NormTimingOfProbes, EverySetIsUsedEquallyOften) {
  run(200, 5);  // 4 or 3 sets: two rounds of each
  const auto sets = static_cast<std::size_t>(cold_sets(bytes_moved(kCase, GetParam()), 200));
  ASSERT_GT(sets, 2u);
  ASSERT_LT(sets, 5u);
  EXPECT_EQ(outputs.size(), 1 + 2 * sets);
}

INSTANTIATE_TEST_SUITE_P(Passes, NormTimingOfProbes, testing::ValuesIn(kPasses),
                         [](const auto& instance) { return std::string(to_string(instance.param)); });

TEST(MeasuredTuning, IsFoundByCardShapeAndPass) {
  using kernels::NormShape;
  const kernels::ResidentTuning tuning{5, 320, 4, 1};
  const std::initializer_list<kernels::MeasuredTuning> table{
      {132, 90, {256, 50, 100, Layout::channels_first}, NormPass::forward, tuning},
      {132, 90, {256, 128, 1, Layout::channels_first}, NormPass::backward, tuning}};
  const kernels::DeviceLimits card{.multiprocessors = 132, .compute_capability = 90},
      older{.multiprocessors = 132, .compute_capability = 80},
      smaller{.multiprocessors = 114, .compute_capability = 90};
  const auto finds = [&](NormPass pass, const NormShape& shape, const kernels::DeviceLimits& device) {
    return kernels::measured_tuning(pass, shape, device, table) == tuning;
  };
  const NormShape shape{256, 50, 100, Layout::channels_first};
  EXPECT_TRUE(finds(NormPass::forward, shape, card));
  EXPECT_FALSE(finds(NormPass::backward, shape, card));
  EXPECT_FALSE(finds(NormPass::forward, shape, older));
  EXPECT_FALSE(finds(NormPass::forward, shape, smaller));
  EXPECT_FALSE(finds(NormPass::forward, {256, 50, 100, Layout::channels_last}, card));
  EXPECT_FALSE(finds(NormPass::forward, {255, 50, 100, Layout::channels_first}, card));
  EXPECT_TRUE(finds(NormPass::backward, {256, 128, 1, Layout::channels_last}, card)) << "one layout";
}

TEST(TimeLaunches, DividesTheTimeOfASampleByItsLaunches) {
  cuda::DeviceStream stream;
  std::vector<std::int64_t> seen;
  const std::vector<double> seconds =
      time_launches(stream, 3, {.samples = 4}, [&](std::int64_t i) { seen.push_back(i); });
  EXPECT_EQ(seconds.size(), 4u);
  EXPECT_THAT(seen, testing::ElementsAre(0, 1, 2)) << "captured once";
}

TEST(TimeLaunches, TakesTheFewestSamplesOfWhatIsSlow) {
  cuda::DeviceStream stream;
  EXPECT_EQ(time_launches(stream, 1, {.samples = 9, .row_seconds = 0}, [](std::int64_t) {}).size(),
            static_cast<std::size_t>(kFewestSamples));
}

TEST(NormMemory, IsOnOtherNumbersWithAnotherSeed) {
  cuda::DeviceStream stream;
  const auto first_of = [&](std::uint64_t seed, std::int64_t set) {
    const NormMemory memory({2, 3, 2, 2}, NormPass::forward, seed, 2, stream);
    float value = 0;
    stream.download(&value, memory.buffers(set).x, sizeof value);
    return value;
  };
  EXPECT_EQ(first_of(1, 0), first_of(1, 0));
  EXPECT_EQ(first_of(1, 0), first_of(1, 1)) << "all sets alike";
  EXPECT_NE(first_of(1, 0), first_of(5, 0));
}

}  // namespace
}  // namespace bntrain::benchmarks
