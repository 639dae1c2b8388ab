// Batch norm, an activation and max pooling in one against the three one after the other.
#include <algorithm>
#include <limits>
#include <stdexcept>

#include "kernels/batch_norm/maxpool_problem.hpp"
#include "support/nan.hpp"

namespace bntrain {
namespace {

using kernels::PoolShape;
using reference::Values;
using simt_host::Settings;
using support::bound;
using support::close;
using support::kFloatEps;

using support::kNan;

/// A device with more multiprocessors than channels, so that clusters hold them; and one without clusters,
/// where blocks do or nobody.
const Settings kClusters{.device = {132, 90, 227 * 1024, 1024 * 1024}};
const Settings kBlocks{.device = {132, 80, 99 * 1024, 1024 * 1024}};

/// How far the mean of a training pass may be off, in deviations.
constexpr double kMeanError = kFloatEps;

/// Every output of a run against the reference, within a few roundings of the terms that it is made of.
/// mean_error: of the statistics, in deviations.
void expect_right(const MaxPoolProblem& p, const MaxPoolRun& run, double mean_error = 0) {
  const MaxPoolReference r = p.reference();
  const auto channels = at(p.shape.channels);
  const auto n = static_cast<double>(p.values_per_channel());
  const auto inv_std = [&](std::size_t c) { return 1 / std::sqrt(r.var[c] + p.eps); };
  // How far xhat reaches. The rounding of the mean to two floats is nothing beside it.
  const auto reach = [&](std::size_t i, std::size_t c) {
    return std::abs(static_cast<double>(p.x[i]) - r.mean[c]) * inv_std(c);
  };
  // The error of the norm's output, of the activation and of its gradient, which rounding moves by at most
  // its second derivative.
  const auto normed_error = [&](std::size_t i, std::size_t c) {
    const double gamma = std::abs(static_cast<double>(p.gamma[c]));
    return p.norm ? gamma * mean_error +
                        bound(kFloatEps, 1, reach(i, c) * gamma + std::abs(static_cast<double>(p.beta[c])))
                  : 0;
  };
  const auto own_error = [&](double v) {
    return p.piecewise_linear() ? 0.5 * kFloatEps : (10 + v * v) * kFloatEps;
  };

  Values allowed;
  for (std::size_t o = 0; o < r.y.size(); ++o) {
    const std::size_t i = at(r.argmax[o]), c = p.channel_of(r.argmax[o]);
    allowed.push_back(1.2 * normed_error(i, c) + own_error(r.normed[i]) * std::abs(r.y[o]));
  }
  ASSERT_TRUE(close(run.y, r.y, allowed));

  Values g_error(p.x.size());
  for (std::size_t i = 0; i < p.x.size(); ++i) {
    const std::size_t c = p.channel_of(static_cast<std::int64_t>(i));
    const double curvature = p.piecewise_linear() ? 0 : 0.8 * normed_error(i, c) + own_error(r.normed[i]);
    g_error[i] = std::abs(r.argmax_dy[i]) * (curvature + 0.5 * kFloatEps);
  }
  if (!p.norm) {
    ASSERT_TRUE(close(run.dx, r.dx, g_error));
    return;
  }
  Values sum(channels), sum_xhat(channels), error(channels), error_xhat(channels);
  for (std::size_t i = 0; i < p.x.size(); ++i) {
    const std::size_t c = p.channel_of(static_cast<std::int64_t>(i));
    sum[c] += std::abs(r.g[i]);
    sum_xhat[c] += std::abs(r.g[i]) * reach(i, c);
    error[c] += g_error[i];
    error_xhat[c] += g_error[i] * reach(i, c);
  }
  for (std::size_t c = 0; c < channels; ++c) {
    error[c] += bound(kFloatEps, 4, sum[c]);
    error_xhat[c] += bound(kFloatEps, 4, sum_xhat[c]);
    EXPECT_NEAR(run.dbeta[c], r.dbeta[c], error[c]) << "channel " << c;
    EXPECT_NEAR(run.dgamma[c], r.dgamma[c], error_xhat[c]) << "channel " << c;
  }
  allowed.clear();
  for (std::size_t i = 0; i < p.x.size(); ++i) {
    const std::size_t c = p.channel_of(static_cast<std::int64_t>(i));
    const double scale = std::abs(static_cast<double>(p.gamma[c])) * inv_std(c);
    const double through = (sum[c] + reach(i, c) * sum_xhat[c]) / n;
    const double through_error = (error[c] + reach(i, c) * error_xhat[c]) / n;
    allowed.push_back(scale * (g_error[i] + through_error + bound(kFloatEps, 4, std::abs(r.g[i]) + through)));
  }
  ASSERT_TRUE(close(run.dx, r.dx, allowed));
}

/// The statistics of a training pass, within what the deviation explains, however large the mean is.
void expect_right_statistics(const MaxPoolProblem& p, const MaxPoolProblem::Statistics& s) {
  const MaxPoolReference r = p.reference();
  const std::size_t channels = r.mean.size();
  for (std::size_t c = 0; c < channels; ++c) {
    const double mean = static_cast<double>(s.mean[c]) + static_cast<double>(s.mean[channels + c]);
    EXPECT_NEAR(mean, r.mean[c], kMeanError * std::sqrt(r.var[c]) + 1e-13 * std::abs(r.mean[c])) << c;
    EXPECT_EQ(s.mean[c], static_cast<float>(mean)) << c;
    EXPECT_NEAR(s.var[c], r.var[c], bound(kFloatEps, 1, r.var[c])) << c;
    EXPECT_NEAR(s.inv_std[c], 1 / std::sqrt(r.var[c] + p.eps),
                bound(kFloatEps, 1, 1 / std::sqrt(r.var[c] + p.eps)))
        << c;
  }
}

void expect_right_training(const MaxPoolProblem& p, const kernels::Stream& stream = {},
                           std::size_t offset = 0) {
  SCOPED_TRACE(p.name() + ", offset " + std::to_string(offset));
  const MaxPoolRun run = train(p, stream, offset);
  expect_right_statistics(p, run.statistics);
  expect_right(p, run, kMeanError);
}

TEST(BatchNormMaxPool, AgreesWithTheReference) {
  for (const MaxPoolProblem& p : problems()) {
    SCOPED_TRACE(p.name());
    expect_right(p, MaxPoolRun(p));
    if (p.norm) expect_right_training(p);
    if (testing::Test::HasFailure()) return;
  }
}

/// Channels of several warps, blocks or chunks: of windows, of parts of them, of single pixels and of four.
std::vector<MaxPoolProblem> long_problems() {
  return {make_problem({70, 2, 16, 16, 2}, kRelu, true),   make_problem({23, 2, 31, 9, 2}, kLeaky, true),
          make_problem({11, 2, 15, 15, 1}, kSilu, true),   make_problem({257, 1, 5, 7, 2}, kNone, true),
          make_problem({17, 20, 24, 24, 2}, kRelu, true),  make_problem({96, 3, 11, 11, 3}, kSigmoid, true),
          make_problem({65, 2, 12, 12, 1}, kGelu, true),   make_problem({300, 3, 1, 1, 1}, kRelu, true),
          make_problem({9, 1, 51, 52, 2}, kSigmoid, true), make_problem({5, 2, 40, 41, 4}, kRelu, true)};
}

TEST(BatchNormMaxPool, AgreesWithTheReferenceWithAndWithoutClusters) {
  for (const MaxPoolProblem& p : long_problems())
    for (const Settings& settings : {kClusters, kBlocks})
      for (const std::size_t offset : {std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
        simt_host::Executor executor(settings);
        expect_right_training(p, executor.stream(), offset);
        if (testing::Test::HasFailure()) return;
      }
}

/// Channels that no block holds.
std::vector<MaxPoolProblem> huge_problems() {
  return {make_problem({110, 1, 16, 16, 2}, kRelu, true), make_problem({110, 1, 16, 16, 1}, kSigmoid, true),
          make_problem({36, 1, 29, 29, 1}, kGelu, true), make_problem({36, 1, 33, 31, 2}, kLeaky, true)};
}

TEST(BatchNormMaxPool, AgreesWithTheReferenceWhereChannelsAreTooLarge) {
  for (const MaxPoolProblem& p : huge_problems())
    for (const std::size_t offset : {std::size_t{0}, std::size_t{1}}) {
      simt_host::Executor executor(kBlocks);
      expect_right_training(p, executor.stream(), offset);
      if (kernels::device_limits(executor.stream()).compute_capability < 90) {
        EXPECT_GT(executor.launches().size(), 2);
      }
      if (testing::Test::HasFailure()) return;
    }
}

TEST(BatchNormMaxPool, TheWorkspaceHoldsAsManySumsAsThereCanBe) {
  simt_host::Executor executor(kBlocks);
  expect_right_training(make_problem({1, 1, 513, 511, 1}, kRelu, true), executor.stream());
}

TEST(BatchNormMaxPool, EachTrainingPassIsOneLaunch) {
  struct Case {
    PoolShape shape;
    int cluster, threads;
  };
  // The reference network's blocks at batch 256, with a tenth of the channels and of the multiprocessors; a
  // block without pooling, odd planes, features.
  for (const Case& c : {Case{{256, 2, 24, 24, 2}, 16, 256},
                        {{256, 5, 10, 10, 2}, 4, 320},
                        {{256, 5, 10, 10, 1}, 4, 320},
                        {{32, 51, 7, 7, 1}, 1, 224},
                        {{256, 12, 1, 1, 1}, 1, 32}}) {
    const MaxPoolProblem p = make_problem(c.shape, kRelu, true);
    SCOPED_TRACE(p.name());
    simt_host::Executor executor({.device = {13, 90, 227 * 1024, 1024 * 1024}});
    const MaxPoolRun run = train(p, executor.stream());
    ASSERT_EQ(executor.launches().size(), 2);
    if (kernels::device_limits(executor.stream()).multiprocessors != 13) continue;  // a GPU has its own
    for (const kernels::LaunchConfig& launch : executor.launches()) {
      EXPECT_EQ(launch.cluster, c.cluster);
      EXPECT_EQ(launch.block, c.threads);
      EXPECT_EQ(launch.grid, c.cluster * c.shape.channels);
    }
  }
}

TEST(BatchNormMaxPool, EachTrainingPassReadsAndWritesEveryTensorOnce) {
  for (const std::int64_t pool : {1, 2})
    for (const std::int64_t width : {24, 9}) {
      const MaxPoolProblem p = make_problem({64, 2, 24, width, pool}, kRelu, true);
      SCOPED_TRACE(p.name());
      Settings settings = kClusters;
      settings.count = true;
      simt_host::Executor executor(settings);
      train(p, executor.stream());
      if (executor.counts().empty()) GTEST_SKIP() << "a GPU does not count";
      ASSERT_EQ(executor.counts().size(), 2);
      const simt_host::LaunchCounts &forward = executor.counts()[0], &backward = executor.counts()[1];
      const std::int64_t in = 4 * p.size(), out = 4 * p.out_size();
      EXPECT_EQ(forward.reads.bytes, in);
      EXPECT_EQ(forward.writes.bytes, out);
      EXPECT_EQ(backward.reads.bytes, in + out);
      EXPECT_EQ(backward.writes.bytes, in);
      for (const simt_host::LaunchCounts& counts : {forward, backward}) {
        EXPECT_LE(counts.cluster_barriers, 2 * executor.launches()[0].grid);
        if (width % 8 != 0) continue;
        EXPECT_EQ(counts.reads.sectors, counts.reads.fewest_sectors);
        EXPECT_EQ(counts.writes.sectors, counts.writes.fewest_sectors);
      }
    }
}

TEST(BatchNormMaxPool, BitsDependOnNeitherScheduleNorGrid) {
  for (const MaxPoolProblem& p :
       {make_problem({40, 2, 16, 16, 2}, kRelu, true), make_problem({2, 7, 7, 9, 3}, kNone, true),
        make_problem({2, 3, 7, 9, 4}, kSigmoid, true), make_problem({4, 3, 8, 8, 1}, kSilu, true),
        make_problem({30, 3, 8, 8, 2}, kRelu, false)}) {
    SCOPED_TRACE(p.name());
    const auto statistics = p.statistics();
    const MaxPoolRun expected(p, statistics);
    on_every_schedule_and_grid([&](const kernels::Stream& stream) {
      EXPECT_TRUE(same_results(MaxPoolRun(p, statistics, stream), expected));
      if (p.norm) {
        EXPECT_TRUE(same_results(train(p, stream), train(p)));
      }
    });
  }
}

TEST(BatchNormMaxPool, BitsOfAClusterDependOnNeitherScheduleNorGrid) {
  const MaxPoolProblem p = make_problem({20, 2, 16, 16, 2}, kRelu, true);
  std::vector<MaxPoolRun> runs;
  for (Settings settings : simt_host::all_schedules())
    for (const int blocks : {0, 1, 17}) {
      settings.device.multiprocessors = 132;
      simt_host::Executor executor(settings);
      runs.push_back(train(p, executor.stream(blocks)));
      EXPECT_TRUE(same_results(runs.front(), runs.back())) << to_string(settings.schedule) << blocks;
    }
}

TEST(BatchNormMaxPool, FusedForwardIsUnfused) {
  for (const MaxPoolProblem& p : problems()) {
    SCOPED_TRACE(p.name());
    const auto statistics = p.statistics();
    MaxPoolProblem norm = p, activation = p, pool = p;
    norm.shape.pool = activation.shape.pool = 1;
    norm.activation = pool.activation = kNone;
    activation.norm = pool.norm = false;
    norm.dy.assign(p.x.size(), 0);
    activation.dy.assign(p.x.size(), 0);
    activation.x = p.norm ? MaxPoolRun(norm, statistics).y : p.x;
    pool.x = MaxPoolRun(activation, {}).y;
    EXPECT_TRUE(same_bits(MaxPoolRun(p, statistics).y, MaxPoolRun(pool, {}).y));
    if (testing::Test::HasFailure()) return;
  }
}

TEST(BatchNormMaxPool, TiesGoToTheFirst) {
  for (const std::int64_t pool : {2, 3, 4})
    for (const std::int64_t width : {16, 9})
      for (const float gamma : {2.0f, -2.0f, 0.0f})
        for (const bool norm : {true, false}) {
          MaxPoolProblem p = make_problem({2, 1, 2 * pool, width, pool}, kNone, norm);
          SCOPED_TRACE(p.name() + ", gamma " + std::to_string(gamma));
          p.gamma = {gamma};
          p.beta = {1};
          for (float& value : p.x) value = std::floor(value);  // few values, many ties
          expect_right(p, MaxPoolRun(p));
          if (norm) expect_right(p, train(p));
        }
}

TEST(BatchNormMaxPool, WindowsWithoutAPositiveValueGiveZeroAndNoGradient) {
  for (const std::int64_t pool : {1, 2, 3, 4}) {
    MaxPoolProblem p = make_problem({1, 2, 6, 8, pool}, kRelu, false);
    for (float& value : p.x) value = -std::abs(value);
    p.x[0] = 0;
    const MaxPoolRun run(p);
    for (const float value : run.y) ASSERT_EQ(value, 0);
    for (const float value : run.dx) ASSERT_EQ(value, 0);

    MaxPoolProblem normed = make_problem({1, 2, 6, 8, pool}, kRelu, true);
    normed.beta = {-100, -100};
    const MaxPoolRun dead = train(normed);
    for (const float value : dead.y) ASSERT_EQ(value, 0);
    for (const float value : dead.dx) ASSERT_EQ(value, 0);
    for (const float value : dead.dbeta) ASSERT_EQ(value, 0);
    for (const float value : dead.dgamma) ASSERT_EQ(value, 0);
  }
}

TEST(BatchNormMaxPool, NanPassesActivationAndPoolWherever) {
  for (const std::int64_t pool : {1, 2, 3, 4})
    for (const float gamma : {1.0f, -1.0f, 0.0f})
      for (std::int64_t i = 0; i < pool * pool; ++i)
        for (const Activation& activation : {kRelu, kLeaky, kSigmoid})
          for (const bool norm : {false, true}) {
            MaxPoolProblem p = make_problem({1, 1, pool, 8 * pool, pool}, activation, norm);
            SCOPED_TRACE(p.name() + ", gamma " + std::to_string(gamma) + ", position " + std::to_string(i));
            p.gamma = {gamma};
            p.beta = {9};  // so that the ReLU lets everything through
            p.x.assign(p.x.size(), 3);
            p.x[at(i / pool * 8 * pool + i % pool)] = kNan;
            // Statistics that know nothing of it, as in inference.
            const MaxPoolRun run(p, {{1, 0}, {4}, {0.5f}});
            for (std::size_t o = 0; o < run.y.size(); ++o) EXPECT_EQ(std::isnan(run.y[o]), o == 0) << o;
            if (!norm && activation.kind == ActivationKind::relu) {
              EXPECT_EQ(run.dx[at(i / pool * 8 * pool + i % pool)], p.dy[0]);
            }
          }
}

TEST(BatchNormMaxPool, NanAndInfinityStayInTheirChannel) {
  for (const std::int64_t pool : {1, 2, 3, 4})
    for (const float value : {kNan, std::numeric_limits<float>::infinity()})
      for (const bool training : {false, true}) {
        const MaxPoolProblem clean = make_problem({2, 3, 8, 8, pool}, kRelu, true);
        MaxPoolProblem spoiled = clean;
        spoiled.x[at(clean.spatial())] = value;
        SCOPED_TRACE(clean.name() + ", " + std::to_string(value));
        const MaxPoolRun a = training ? train(clean) : MaxPoolRun(clean),
                         b = training ? train(spoiled) : MaxPoolRun(spoiled);
        for (std::size_t i = 0; i < a.dx.size(); ++i) {
          const bool poisoned = clean.channel_of(static_cast<std::int64_t>(i)) == 1;
          ASSERT_TRUE(poisoned ? std::isnan(b.dx[i]) : a.dx[i] == b.dx[i]) << i;
        }
        for (std::size_t o = 0; o < a.y.size(); ++o) {
          const bool poisoned = o / at(clean.shape.out_height() * clean.shape.out_width()) % 3 == 1;
          ASSERT_TRUE(poisoned ? std::isnan(b.y[o]) : a.y[o] == b.y[o]) << o;
        }
        for (std::size_t c = 0; c < 3; ++c) {
          EXPECT_EQ(std::isnan(b.dgamma[c]), c == 1);
          EXPECT_TRUE(std::isfinite(b.dbeta[c]));  // a sum of dy alone
          EXPECT_EQ(std::isnan(b.statistics.inv_std[c]), c == 1);
        }
      }
}

TEST(BatchNormMaxPool, AConstantChannelHasNoVarianceAndIsBeta) {
  for (const std::int64_t pool : {1, 2, 3, 4})
    for (const float value : {0.1f, 1e7f, -3e38f})
      for (const Settings& settings : {kClusters, kBlocks}) {
        MaxPoolProblem p = make_problem({120, 1, 9, 9, pool}, kNone, true);
        SCOPED_TRACE(p.name() + ", " + std::to_string(value));
        p.x.assign(p.x.size(), value);
        simt_host::Executor executor(settings);
        const MaxPoolRun run = train(p, executor.stream());
        EXPECT_EQ(run.statistics.var[0], 0);
        EXPECT_EQ(run.statistics.mean[0], value);
        EXPECT_EQ(run.statistics.mean[1], 0);
        for (const float y : run.y) ASSERT_EQ(y, p.beta[0]);
      }
}

TEST(BatchNormMaxPool, ADegenerateChannelIsBetaWithoutGradient) {
  for (const std::int64_t pool : {1, 2, 3, 4})
    for (const bool huge : {false, true}) {  // a variance beyond float32; var + eps = 0
      MaxPoolProblem p = make_problem({3, 1, 8, 8, pool}, kNone, true);
      SCOPED_TRACE(p.name() + (huge ? ", huge" : ", constant"));
      for (float& value : p.x) value = huge ? std::copysign(3e38f, value) : 2.0f;
      p.eps = 0;
      p.beta = {0.25f};
      p.dy.assign(p.dy.size(), 1);
      const MaxPoolRun run = train(p);
      EXPECT_EQ(run.statistics.inv_std[0], 0);
      EXPECT_EQ(run.statistics.var[0], huge ? std::numeric_limits<float>::infinity() : 0);
      for (const float value : run.y) ASSERT_EQ(value, 0.25f);
      for (const float value : run.dx) ASSERT_EQ(value, 0);
      EXPECT_EQ(run.dbeta[0], static_cast<float>(p.out_size()));
      EXPECT_EQ(run.dgamma[0], 0);
    }
}

TEST(BatchNormMaxPool, LargeAndSmallValuesAreNormalised) {
  for (const std::int64_t pool : {1, 2})
    for (const float scale : {1e18f, 8e18f, 1e-18f}) {  // the squares of 8e18 overflow only as a sum
      MaxPoolProblem p = make_problem({30, 1, 8, 8, pool}, kNone, true);
      SCOPED_TRACE(p.name() + ", " + std::to_string(scale));
      for (float& value : p.x) value *= scale;
      p.eps = 0;
      expect_right_training(p);
    }
}

TEST(BatchNormMaxPool, OneValuePerChannelIsBetaWithoutGradient) {
  MaxPoolProblem p = make_problem({1, 5, 1, 1, 1}, kNone, true);
  p.x[3] = 0.1f;
  const MaxPoolRun run = train(p);
  EXPECT_EQ(run.y, p.beta);
  for (const float value : run.dx) EXPECT_EQ(value, 0);
}

TEST(BatchNormMaxPool, APlaneSmallerThanTheWindowHasStatisticsAndNoOutput) {
  for (const std::int64_t pool : {3, 4}) {
    const MaxPoolProblem p = make_problem({2, 3, 2, 8, pool}, kRelu, true);
    const MaxPoolRun run = train(p);
    expect_right_statistics(p, run.statistics);
    EXPECT_TRUE(run.y.empty());
    for (const float value : run.dx) EXPECT_EQ(value, 0);
    for (const float value : run.dgamma) EXPECT_EQ(value, 0);
    for (const float value : run.dbeta) EXPECT_EQ(value, 0);
    for (const float value : MaxPoolRun(make_problem(p.shape, kRelu, false)).dx) EXPECT_EQ(value, 0);
  }
}

TEST(BatchNormMaxPool, GradientsOfGammaAndBetaAlone) {
  for (const std::int64_t pool : {1, 2, 4}) {
    const MaxPoolProblem p = make_problem({20, 2, 16, 16, pool}, kRelu, true);
    const auto statistics = p.statistics();
    const MaxPoolRun expected(p, statistics);
    using support::Guarded;
    Guarded dgamma(2), dbeta(2),
        workspace(at(kernels::batch_norm_maxpool_workspace(p.shape)) / sizeof(float));
    kernels::batch_norm_maxpool_backward(p.shape, p.activation, Guarded(p.x).data(), Guarded(p.dy).data(),
                                         {Guarded(statistics.mean).data(), Guarded(statistics.inv_std).data(),
                                          Guarded(p.gamma).data(), Guarded(p.beta).data()},
                                         nullptr, dgamma.data(), dbeta.data(), workspace.data(), {});
    EXPECT_TRUE(same_bits(dgamma.values(), expected.dgamma));
    EXPECT_TRUE(same_bits(dbeta.values(), expected.dbeta));
  }
}

TEST(BatchNormMaxPool, LaunchesNothingForAnEmptyBatch) {
  simt_host::Executor executor;
  for (const PoolShape& shape : {PoolShape{0, 3, 4, 4, 2}, {2, 0, 4, 4, 2}, {2, 3, 0, 4, 2}}) {
    kernels::batch_norm_maxpool_forward(shape, kRelu, 1e-5, nullptr, nullptr, nullptr, nullptr, nullptr,
                                        nullptr, nullptr, nullptr, executor.stream());
    kernels::batch_norm_maxpool_inference(shape, kRelu, nullptr, {}, nullptr, executor.stream());
    kernels::batch_norm_maxpool_backward(shape, kRelu, nullptr, nullptr, {}, nullptr, nullptr, nullptr,
                                         nullptr, executor.stream());
  }
  EXPECT_TRUE(executor.launches().empty());
}

TEST(BatchNormMaxPool, RefusesWhatMakesNoSense) {
  float x[64] = {}, y[64] = {};
  const auto inference = [&](const PoolShape& shape, const Activation& activation,
                             const kernels::ChannelNorm& norm) {
    kernels::batch_norm_maxpool_inference(shape, activation, x, norm, y, {});
  };
  EXPECT_THROW(inference({-1, 1, 4, 4, 2}, kRelu, {}), std::invalid_argument);
  EXPECT_THROW(inference({1, 1, 4, -4, 2}, kRelu, {}), std::invalid_argument);
  EXPECT_THROW(inference({1, 1, 4, 4, 0}, kRelu, {}), std::invalid_argument);
  EXPECT_THROW(inference({1, 1, 4, 4, 2}, kRelu, {x, nullptr, nullptr, nullptr}), std::invalid_argument);
  EXPECT_THROW(inference({1, 1, 4, 4, 2}, kGelu, {}), std::invalid_argument);
  EXPECT_THROW(inference({1, 1, 4, 4, 2}, {ActivationKind::leaky_relu, -1}, {}), std::invalid_argument);
  EXPECT_THROW(inference({std::int64_t{1} << 20, 1 << 12, 1, 1, 1}, kRelu, {x, x, x, x}),
               std::invalid_argument);
  EXPECT_THROW(inference({std::int64_t{1} << 21, 1, 64, 64, 1}, kRelu, {x, x, x, x}), std::invalid_argument);
  for (void* workspace : {static_cast<void*>(nullptr), static_cast<void*>(y + 1)}) {
    EXPECT_THROW(kernels::batch_norm_maxpool_backward({1, 1, 4, 4, 2}, kRelu, x, x, {x, x, x, x}, y, y, y,
                                                      workspace, {}),
                 std::invalid_argument);
    EXPECT_THROW(
        kernels::batch_norm_maxpool_forward({1, 1, 4, 4, 2}, kRelu, 1e-5, x, x, x, y, y, y, y, workspace, {}),
        std::invalid_argument);
  }
}

}  // namespace
}  // namespace bntrain
