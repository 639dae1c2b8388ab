// Batch norm, ReLU and max pooling in one against the three one after the other.
#include <algorithm>
#include <limits>
#include <stdexcept>

#include "kernels/batch_norm/relu_maxpool_problem.hpp"

namespace bntrain {
namespace {

using kernels::PoolShape;
using reference::Values;
using support::bound;
using support::close;
using support::kFloatEps;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Every output of a run against the reference, within a few roundings of the terms that it is made of.
void expect_right(const ReluPoolProblem& p, const ReluPoolRun& run) {
  const ReluPoolReference r = p.reference();
  const auto channels = at(p.shape.channels);
  const auto inv_std = [&](std::size_t c) { return 1 / std::sqrt(r.var[c] + p.eps); };
  // How far xhat reaches. The rounding of the mean to two floats is nothing beside it.
  const auto reach = [&](std::size_t i, std::size_t c) { return std::abs(p.x[i] - r.mean[c]) * inv_std(c); };
  Values allowed;
  for (std::size_t o = 0; o < r.y.size(); ++o) {
    const std::size_t c = p.channel_of(r.argmax[o]);
    allowed.push_back(
        p.norm ? bound(kFloatEps, 1, reach(at(r.argmax[o]), c) * std::abs(p.gamma[c]) + std::abs(p.beta[c]))
               : 0);
    // Where the ReLU cuts everything off, every pixel is as good.
    if (r.y[o] > 0 || !p.shape.relu) {
      EXPECT_EQ(run.argmax_values[o], p.x[at(r.argmax[o])]) << o;
    }
  }
  EXPECT_TRUE(close(run.y, r.y, allowed));
  if (!p.norm) {
    EXPECT_TRUE(close(run.dx, r.dx, 0));
    return;
  }

  Values sum(channels), sum_xhat(channels);
  for (std::size_t i = 0; i < p.x.size(); ++i) {
    const std::size_t c = p.channel_of(static_cast<std::int64_t>(i));
    sum[c] += std::abs(r.argmax_dy[i]);
    sum_xhat[c] += std::abs(r.argmax_dy[i]) * reach(i, c);
  }
  for (std::size_t c = 0; c < channels; ++c) {
    EXPECT_NEAR(run.dbeta[c], r.dbeta[c], bound(kFloatEps, 4, sum[c])) << "channel " << c;
    EXPECT_NEAR(run.dgamma[c], r.dgamma[c], bound(kFloatEps, 4, sum_xhat[c])) << "channel " << c;
  }
  allowed.clear();
  for (std::size_t i = 0; i < p.x.size(); ++i) {
    const std::size_t c = p.channel_of(static_cast<std::int64_t>(i));
    const double through = (sum[c] + reach(i, c) * sum_xhat[c]) / static_cast<double>(p.values_per_channel());
    allowed.push_back(
        bound(kFloatEps, 4, std::abs(p.gamma[c]) * inv_std(c) * (std::abs(r.argmax_dy[i]) + through)));
  }
  EXPECT_TRUE(close(run.dx, r.dx, allowed));
}

TEST(BatchNormReluMaxpool, AgreesWithTheReference) {
  for (const ReluPoolProblem& p : problems()) {
    SCOPED_TRACE(p.name());
    expect_right(p, ReluPoolRun(p));
    if (testing::Test::HasFailure()) return;
  }
}

/// Several chunks per channel, of four windows at a time and of single ones.
std::vector<ReluPoolProblem> long_problems() {
  return {make_problem({70, 2, 16, 16, 2, true}, true),  make_problem({23, 2, 31, 9, 2, true}, true),
          make_problem({11, 2, 15, 15, 1, true}, true),  make_problem({257, 1, 5, 7, 2, false}, true),
          make_problem({17, 20, 24, 24, 2, true}, true), make_problem({96, 50, 11, 11, 2, true}, true)};
}

TEST(BatchNormReluMaxpool, AgreesWithTheReferenceInManyChunks) {
  for (const ReluPoolProblem& p : long_problems()) {
    SCOPED_TRACE(p.name());
    expect_right(p, ReluPoolRun(p));
  }
}

TEST(BatchNormReluMaxpool, BitsDependOnNeitherAlignmentNorKeptWinners) {
  std::vector<ReluPoolProblem> all = long_problems();
  for (const ReluPoolProblem& p : problems(2))
    if (p.norm) all.push_back(p);
  for (const ReluPoolProblem& p : all) {
    SCOPED_TRACE(p.name());
    const auto statistics = p.statistics();
    const ReluPoolRun expected(p, statistics);
    for (const ReluPoolCall& call : {ReluPoolCall{false, 0}, {true, 1}, {false, 1}}) {
      SCOPED_TRACE("argmax_values " + std::to_string(call.argmax_values) + ", offset " +
                   std::to_string(call.offset));
      EXPECT_TRUE(same_gradients(ReluPoolRun(p, statistics, {}, call), expected));
    }
    if (testing::Test::HasFailure()) return;
  }
}

TEST(BatchNormReluMaxpool, BitsDependOnNeitherScheduleNorGrid) {
  for (const ReluPoolProblem& p :
       {make_problem({70, 2, 16, 16, 2, true}, true), make_problem({2, 7, 7, 9, 3, false}, true),
        make_problem({30, 3, 8, 8, 2, true}, false)}) {
    SCOPED_TRACE(p.name());
    const auto statistics = p.statistics();
    const ReluPoolRun expected(p, statistics);
    on_every_schedule_and_grid([&](const kernels::Stream& stream) {
      EXPECT_TRUE(same_gradients(ReluPoolRun(p, statistics, stream), expected));
    });
  }
}

TEST(BatchNormReluMaxpool, FusedForwardIsUnfused) {
  for (const ReluPoolProblem& p : problems()) {
    SCOPED_TRACE(p.name());
    const auto statistics = p.statistics();
    ReluPoolProblem norm = p, relu = p, pool = p;
    norm.shape.pool = relu.shape.pool = 1;
    norm.shape.relu = pool.shape.relu = false;
    relu.norm = pool.norm = false;
    norm.dy.assign(p.x.size(), 0);
    relu.dy.assign(p.x.size(), 0);
    relu.x = p.norm ? ReluPoolRun(norm, statistics).y : p.x;
    pool.x = p.shape.relu ? ReluPoolRun(relu, {}).y : relu.x;
    EXPECT_TRUE(same_bits(ReluPoolRun(p, statistics).y, ReluPoolRun(pool, {}).y));
    if (testing::Test::HasFailure()) return;
  }
}

TEST(BatchNormReluMaxpool, TiesGoToTheFirst) {
  for (const std::int64_t pool : {2, 3})
    for (const std::int64_t width : {16, 7})
      for (const float gamma : {2.0f, -2.0f, 0.0f})
        for (const bool norm : {true, false}) {
          ReluPoolProblem p = make_problem({2, 1, 2 * pool, width, pool, false}, norm);
          SCOPED_TRACE(p.name() + ", gamma " + std::to_string(gamma));
          p.gamma = {gamma};
          p.beta = {1};
          for (float& value : p.x) value = std::floor(value);  // few values, many ties
          expect_right(p, ReluPoolRun(p));
        }
}

TEST(BatchNormReluMaxpool, WindowsWithoutAPositiveValueGiveZeroAndNoGradient) {
  for (const std::int64_t pool : {1, 2, 3}) {
    ReluPoolProblem p = make_problem({1, 2, 6, 8, pool, true}, false);
    for (float& value : p.x) value = -std::abs(value);
    p.x[0] = 0;
    const ReluPoolRun run(p);
    for (const float value : run.y) ASSERT_EQ(value, 0);
    for (const float value : run.dx) ASSERT_EQ(value, 0);

    ReluPoolProblem normed = make_problem({1, 2, 6, 8, pool, true}, true);
    normed.beta = {-100, -100};
    const ReluPoolRun dead(normed);
    for (const float value : dead.y) ASSERT_EQ(value, 0);
    for (const float value : dead.dx) ASSERT_EQ(value, 0);
    for (const float value : dead.dbeta) ASSERT_EQ(value, 0);
    for (const float value : dead.dgamma) ASSERT_EQ(value, 0);
  }
}

TEST(BatchNormReluMaxpool, NanPassesReluAndPoolWherever) {
  for (const std::int64_t pool : {1, 2, 3})
    for (const float gamma : {1.0f, -1.0f, 0.0f})
      for (std::int64_t i = 0; i < pool * pool; ++i)
        for (const bool norm : {false, true}) {
          ReluPoolProblem p = make_problem({1, 1, pool, 8 * pool, pool, true}, norm);
          SCOPED_TRACE(p.name() + ", gamma " + std::to_string(gamma) + ", position " + std::to_string(i));
          p.gamma = {gamma};
          p.beta = {9};  // so that the ReLU lets everything through
          p.x.assign(p.x.size(), 3);
          p.x[at(i / pool * 8 * pool + i % pool)] = kNan;
          // Statistics that know nothing of it, as in inference.
          const ReluPoolRun run(p, {{1}, {0.5f}});
          for (std::size_t o = 0; o < run.y.size(); ++o) EXPECT_EQ(std::isnan(run.y[o]), o == 0) << o;
          EXPECT_TRUE(std::isnan(run.argmax_values[0]));
          if (!norm) {
            EXPECT_EQ(run.dx[at(i / pool * 8 * pool + i % pool)], p.dy[0]);
          }
        }
}

TEST(BatchNormReluMaxpool, NanStaysInItsChannel) {
  const ReluPoolProblem clean = make_problem({2, 3, 6, 8, 2, true}, true);
  ReluPoolProblem spoiled = clean;
  spoiled.x[at(clean.spatial())] = kNan;
  const ReluPoolRun a(clean), b(spoiled);
  for (std::size_t i = 0; i < a.dx.size(); ++i) {
    const bool poisoned = clean.channel_of(static_cast<std::int64_t>(i)) == 1;
    EXPECT_TRUE(poisoned ? std::isnan(b.dx[i]) : a.dx[i] == b.dx[i]) << i;
  }
  for (std::size_t o = 0; o < a.y.size(); ++o) {
    const bool poisoned = o / 12 % 3 == 1;
    EXPECT_TRUE(poisoned ? std::isnan(b.y[o]) : a.y[o] == b.y[o]) << o;
  }
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(std::isnan(b.dgamma[c]), c == 1);
    EXPECT_TRUE(std::isfinite(b.dbeta[c]));  // a sum of dy alone
  }
}

TEST(BatchNormReluMaxpool, ADegenerateChannelIsBetaWithoutGradient) {
  for (const std::int64_t pool : {1, 2, 3}) {
    ReluPoolProblem p = make_problem({1, 1, 6, 8, pool, false}, true);
    p.x.assign(p.x.size(), std::numeric_limits<float>::infinity());
    p.beta = {0.25f};
    p.dy.assign(p.dy.size(), 1);
    const ReluPoolRun run(p, {{1}, {0}});
    for (const float value : run.y) ASSERT_EQ(value, 0.25f);
    for (const float value : run.dx) ASSERT_EQ(value, 0);
    EXPECT_EQ(run.dbeta[0], static_cast<float>(p.out_size()));
    EXPECT_EQ(run.dgamma[0], 0);
  }
}

TEST(BatchNormReluMaxpool, OneValuePerChannelIsBetaWithoutGradient) {
  const ReluPoolProblem p = make_problem({1, 5, 1, 1, 1, false}, true);
  const ReluPoolRun run(p, {{p.x.begin(), p.x.end()}, std::vector<float>(5, 300.0f)});
  EXPECT_EQ(run.y, p.beta);
  for (const float value : run.dx) EXPECT_EQ(value, 0);
}

TEST(BatchNormReluMaxpool, APlaneSmallerThanTheWindowHasNoOutput) {
  for (const bool norm : {false, true}) {
    const ReluPoolRun run(make_problem({2, 3, 2, 8, 3, true}, norm));
    EXPECT_TRUE(run.y.empty());
    for (const float value : run.dx) EXPECT_EQ(value, 0);
    for (const float value : run.dgamma) EXPECT_EQ(value, 0);
    for (const float value : run.dbeta) EXPECT_EQ(value, 0);
  }
}

TEST(BatchNormReluMaxpool, GradientsOfGammaAndBetaAlone) {
  const ReluPoolProblem p = make_problem({70, 2, 16, 16, 2, true}, true);
  const auto statistics = p.statistics();
  const ReluPoolRun expected(p, statistics);
  using support::Guarded;
  Guarded dgamma(2), dbeta(2),
      workspace(at(kernels::batch_norm_relu_maxpool_backward_workspace(p.shape)) / sizeof(float));
  kernels::batch_norm_relu_maxpool_backward(
      p.shape, Guarded(p.x).data(), nullptr, Guarded(p.dy).data(),
      {Guarded(statistics.mean).data(), Guarded(statistics.inv_std).data(), Guarded(p.gamma).data(),
       Guarded(p.beta).data()},
      dgamma.data(), dbeta.data(), nullptr, workspace.data(), {});
  EXPECT_TRUE(same_bits(dgamma.values(), expected.dgamma));
  EXPECT_TRUE(same_bits(dbeta.values(), expected.dbeta));
}

TEST(BatchNormReluMaxpool, LaunchesNothingForAnEmptyBatch) {
  simt_host::Executor executor;
  for (const PoolShape& shape :
       {PoolShape{0, 3, 4, 4, 2, true}, {2, 0, 4, 4, 2, true}, {2, 3, 0, 4, 2, true}}) {
    kernels::batch_norm_relu_maxpool_forward(shape, nullptr, {}, nullptr, nullptr, executor.stream());
    kernels::batch_norm_relu_maxpool_backward(shape, nullptr, nullptr, nullptr, {}, nullptr, nullptr, nullptr,
                                              nullptr, executor.stream());
  }
  EXPECT_TRUE(executor.launches().empty());
}

TEST(BatchNormReluMaxpool, RefusesWhatMakesNoSense) {
  float x[64] = {}, y[64] = {};
  const auto forward = [&](const PoolShape& shape, const kernels::ChannelNorm& norm) {
    kernels::batch_norm_relu_maxpool_forward(shape, x, norm, y, nullptr, {});
  };
  EXPECT_THROW(forward({-1, 1, 4, 4, 2, true}, {}), std::invalid_argument);
  EXPECT_THROW(forward({1, 1, 4, -4, 2, true}, {}), std::invalid_argument);
  EXPECT_THROW(forward({1, 1, 4, 4, 0, true}, {}), std::invalid_argument);
  EXPECT_THROW(forward({1, 1, 4, 4, 2, true}, {x, nullptr, nullptr, nullptr}), std::invalid_argument);
  for (void* workspace : {static_cast<void*>(nullptr), static_cast<void*>(y + 1)})
    EXPECT_THROW(kernels::batch_norm_relu_maxpool_backward({1, 1, 4, 4, 2, true}, x, nullptr, x, {x, x, x, x},
                                                           y, y, y, workspace, {}),
                 std::invalid_argument);
}

}  // namespace
}  // namespace bntrain
