// Batch norm, activation and pooling in one against the three one after the other, in double and in float.
#include <algorithm>
#include <limits>

#include "backend/cpu/block_problem.hpp"
#include "support/nan.hpp"

namespace bntrain::cpu {
namespace {

using support::bound;
using support::close;
using support::Guarded;
using support::kFloatEps;

using support::kNan;

class BlockTest : public KernelTest {
 protected:
  /// Channels with gamma positive, negative, 0, tiny and positive again, mean far from 0 included.
  BlockProblem problem(const BlockCase& c, int valid) {
    BlockProblem p;
    p.valid = valid;
    p.shape = block_shape(5, c);
    p.gamma = {1.5f, -0.7f, 0.0f, 1e-20f, 0.9f};
    p.beta = {0.3f, -0.2f, 0.4f, 0.0f, 0.1f};         // beside 1e-20 a beta would make every y tie
    if (is_smooth(c.activation)) p.gamma[3] = 0.05f;  // so would the 0.5 of a sigmoid
    p.x = random(valid * p.input().size(), 0.5f);
    for (std::size_t i = 0; i < p.x.size(); ++i)
      if (p.channel_of(i) == 4) p.x[i] += 100;
    p.dy = random(valid * p.output().size());
    return p;
  }

  template <class Check>
  void for_each_case(Check check) {
    int i = 0;
    for (const BlockCase& c : block_cases()) {
      const int valid = i % 3 == 0 ? k.lanes : 1 + i % k.lanes;
      ++i;
      SCOPED_TRACE(c.name() + ", " + std::to_string(valid) + " images");
      const BlockProblem p = problem(c, valid);
      check(p, p.reference());
      if (HasFailure()) return;
    }
  }
};

TEST_P(BlockTest, MomentsAreTwoPassWhateverTheMean) {
  for_each_case([this](const BlockProblem& p, const BlockReference& r) {
    if (!p.shape.norm) return;
    const BlockRun run(k, p);
    for (std::size_t c = 0; c < run.moments.size(); ++c) {
      const double n = static_cast<double>(p.values_per_channel());
      // A mean of 100 does not appear in these bounds.
      const double deviation = std::sqrt(r.var[c]);
      EXPECT_NEAR(run.moments[c].mean, r.mean[c], bound(kFloatEps, 128, deviation)) << "channel " << c;
      EXPECT_NEAR(run.moments[c].m2, n * r.var[c], bound(kFloatEps, 128, n * r.var[c])) << "channel " << c;
    }
  });
}

TEST_P(BlockTest, MomentsOfDataFarFromZero) {
  BlockProblem p;
  p.valid = std::max(1, k.lanes - 1);
  p.shape = block_shape(3, {24, 24, 1, true});
  p.gamma = p.beta = {1, 1, 1};
  p.x = random(p.valid * p.input().size());
  for (std::size_t i = 0; i < p.x.size(); ++i) p.x[i] += static_cast<float>(std::pow(100, p.channel_of(i)));
  p.dy = random(p.valid * p.output().size());
  const BlockReference r = p.reference();
  const BlockRun run(k, p);
  const double n = static_cast<double>(p.values_per_channel());
  for (std::size_t c = 0; c < 3; ++c)
    EXPECT_NEAR(run.moments[c].m2 / n, r.var[c], bound(kFloatEps, 128, r.var[c])) << "channel " << c;
}

TEST_P(BlockTest, AConstantHasNoVariance) {
  for (const float value : {0.1f, 100.0f, 1e4f, 1e7f}) {
    const BlockShape shape = block_shape(1, {9, 37, 1, true});
    const std::vector<float> x(at(k.lanes * 9 * 37), value);
    const Guarded group(x);
    Moments m{-1, -1};
    k.block_reduce(shape, group.data(), nullptr, k.lanes, &m, nullptr);
    EXPECT_NEAR(m.mean, value, 1e-12 * value);
    EXPECT_NEAR(m.m2, 0, 1e-20 * value * value * static_cast<double>(x.size()));
  }
}

/// How far each normed value may reach: its terms, the rounding of the mean included.
reference::Values normed_magnitudes(const BlockProblem& p, const BlockReference& r) {
  reference::Values magnitudes;
  for (std::size_t i = 0; i < p.x.size(); ++i) {
    const std::size_t c = at(p.channel_of(i));
    const double gain = std::abs(p.gamma[c]) / std::sqrt(r.var[c] + p.eps);
    magnitudes.push_back(p.shape.norm ? (std::abs(p.x[i] - r.mean[c]) + std::abs(r.mean[c])) * gain +
                                            std::abs(p.beta[c])
                                      : std::abs(p.x[i]));
  }
  return magnitudes;
}

TEST_P(BlockTest, ForwardIsNormThenActivationThenPool) {
  for_each_case([this](const BlockProblem& p, const BlockReference& r) {
    const BlockRun run(k, p);
    const bool smooth = is_smooth(p.shape.activation);
    reference::Values magnitudes = normed_magnitudes(p, r), allowed;
    if (averages(p.shape)) {
      magnitudes = reference::avgpool_forward(
          magnitudes, {p.valid, p.shape.channels, p.shape.in_height, p.shape.in_width, p.shape.pool});
    } else {
      reference::Values chosen;
      for (const std::int64_t index : r.argmax) chosen.push_back(magnitudes[at(index)]);
      magnitudes = chosen;
    }
    const bool rounds = p.shape.norm || smooth || averages(p.shape);
    for (const double magnitude : magnitudes)
      allowed.push_back(rounds ? bound(kFloatEps, p.shape.pool * p.shape.pool, magnitude + (smooth ? 1 : 0))
                               : 0);
    EXPECT_TRUE(close(run.y, r.y, allowed));
  });
}

TEST_P(BlockTest, BackwardSumsAndInputGradient) {
  for_each_case([this](const BlockProblem& p, const BlockReference& r) {
    const BlockRun run(k, p);
    for (const float value : run.dead_dx) ASSERT_EQ(value, 0);
    // The derivative of a smooth activation feels the rounding of what it is taken at.
    const reference::Values normed = normed_magnitudes(p, r);
    reference::Values through_activation(p.x.size());
    for (std::size_t i = 0; i < p.x.size(); ++i)
      through_activation[i] = is_smooth(p.shape.activation)
                                  ? std::abs(r.activation_dy[i]) *
                                        (1 + (p.shape.norm || p.shape.activation != kSigmoid ? normed[i] : 0))
                                  : std::abs(r.norm_dy[i]);
    if (!p.shape.norm) {
      const bool rounds = is_smooth(p.shape.activation) || averages(p.shape);
      EXPECT_TRUE(
          close(run.dx, r.dx, rounds ? bounds(1, through_activation) : reference::Values(p.x.size())));
      return;
    }
    const std::int64_t n = p.values_per_channel();
    const auto channels = at(p.shape.channels);
    reference::Values sum(channels), sum_xhat(channels), gain(channels);
    const auto inv_std = [&](std::size_t c) { return 1 / std::sqrt(r.var[c] + p.eps); };
    // How far xhat reaches, the rounding of the mean included.
    const auto reach = [&](std::size_t i, std::size_t c) {
      return (std::abs(p.x[i] - r.mean[c]) + std::abs(r.mean[c])) * inv_std(c);
    };
    for (std::size_t i = 0; i < p.x.size(); ++i) {
      const std::size_t c = at(p.channel_of(i));
      sum[c] += through_activation[i];
      sum_xhat[c] += through_activation[i] * reach(i, c);
    }
    for (std::size_t c = 0; c < channels; ++c) {
      EXPECT_NEAR(run.sums[2 * c], r.dbeta[c], bound(kFloatEps, 64, sum[c])) << "channel " << c;
      EXPECT_NEAR(run.sums[2 * c + 1], r.dgamma[c], bound(kFloatEps, 64, sum_xhat[c])) << "channel " << c;
    }
    reference::Values allowed;
    for (std::size_t i = 0; i < p.x.size(); ++i) {
      const std::size_t c = at(p.channel_of(i));
      const double through_statistics = (sum[c] + reach(i, c) * sum_xhat[c]) / static_cast<double>(n);
      allowed.push_back(bound(
          kFloatEps, 64, std::abs(p.gamma[c]) * inv_std(c) * (through_activation[i] + through_statistics)));
    }
    EXPECT_TRUE(close(run.dx, r.dx, allowed));
  });
}

TEST_P(BlockTest, FusedIsUnfused) {
  for_each_case([this](const BlockProblem& p, const BlockReference&) {
    const BlockRun fused(k, p);
    const std::int64_t height = p.shape.in_height, width = p.shape.in_width;
    BlockProblem norm = p, activation = p, pool = p;
    norm.shape = block_shape(5, {height, width, 1, p.shape.norm});
    norm.dy.assign(p.x.size(), 0);
    activation.shape = block_shape(5, {height, width, 1, false, p.shape.activation});
    activation.dy.assign(p.x.size(), 0);
    pool.shape = block_shape(5, {height, width, p.shape.pool, false, kNoActivation, p.shape.average});
    activation.x = BlockRun(k, norm, &fused).y;  // the chunks of the statistics differ, and their last bits
    pool.x = BlockRun(k, activation).y;
    const BlockRun pooled(k, pool);
    const ActivationKind kind = p.shape.activation.kind;
    if ((kind == ActivationKind::gelu || kind == ActivationKind::silu) && averages(p.shape)) {
      // The product that they end with is added to the average by a multiply-add.
      const double largest = support::largest(reference::widen(pool.x));
      EXPECT_TRUE(close(fused.y, reference::widen(pooled.y), bound(kFloatEps, 4, largest)));
    } else {
      EXPECT_EQ(fused.y, pooled.y);  // the same rounding at the same places
    }
    activation.dy = pooled.dx;
    norm.dy = BlockRun(k, activation).dx;
    const BlockRun unfused(k, norm, &fused);
    // The sums run in another order. With few values per channel what is left of dy is next to nothing.
    const reference::Values expected = reference::widen(unfused.dx);
    double gain = 0;
    for (std::size_t c = 0; c < fused.inv_std.size(); ++c)
      gain = std::max(gain, static_cast<double>(std::abs(p.gamma[c]) * fused.inv_std[c]));
    const double magnitude =
        std::max(100 * support::largest(expected), gain * support::largest(reference::widen(p.dy)));
    EXPECT_TRUE(close(fused.dx, expected, p.shape.norm ? bound(kFloatEps, 64, magnitude) : 0));
  });
}

TEST_P(BlockTest, AnAverageIsSharedEvenlyAndADroppedPixelGetsNothing) {
  BlockProblem p;
  p.valid = 1;
  p.shape = block_shape(1, {3, 5, 2, false, kNoActivation, true});
  p.x = {1, 2, -4, -3, 9,  //
         3, 4, -2, 7,  9,  //
         9, 9, 9,  9,  9};
  p.dy = {2, 4};
  const BlockRun run(k, p);
  EXPECT_EQ(run.y, (std::vector<float>{2.5f, -0.5f}));
  EXPECT_EQ(run.dx, (std::vector<float>{0.5f, 0.5f, 1, 1, 0, 0.5f, 0.5f, 1, 1, 0, 0, 0, 0, 0, 0}));
}

TEST_P(BlockTest, TiesGoToTheFirst) {
  for (const std::int64_t pool : {2, 3})
    for (const float gamma : {2.0f, -2.0f, 0.0f})
      for (const bool norm : {true, false}) {
        SCOPED_TRACE("pool " + std::to_string(pool) + ", gamma " + std::to_string(gamma));
        BlockProblem p;
        p.valid = k.lanes;
        p.shape = block_shape(1, {2 * pool, 2 * pool + 1, pool, norm});
        p.gamma = {gamma};
        p.beta = {1};
        p.x = random(p.valid * p.input().size());
        for (float& value : p.x) value = std::floor(value);  // few values, many ties
        p.dy = random(p.valid * p.output().size());
        const BlockReference r = p.reference();
        // Statistics that change nothing, so that dx alone shows who won.
        BlockRun run(k, p);
        std::vector<std::int64_t> argmax_values;
        for (std::size_t o = 0; o < r.argmax.size(); ++o) argmax_values.push_back(r.argmax[o]);
        const float scale = norm ? gamma * run.inv_std[0] : 1;
        reference::Values allowed(p.x.size(), 0.0);
        if (norm)
          allowed.assign(p.x.size(), bound(kFloatEps, 64, 8 * std::abs(scale) * support::largest(r.norm_dy)));
        EXPECT_TRUE(close(run.dx, r.dx, allowed));
      }
}

TEST_P(BlockTest, WindowsWithoutAPositiveValueGiveZeroAndNoGradient) {
  for (const std::int64_t pool : {1, 2, 3}) {
    BlockProblem p;
    p.valid = k.lanes;
    p.shape = block_shape(2, {6, 6, pool, false, kRelu});
    p.x = random(p.valid * p.input().size());
    for (float& value : p.x) value = -std::abs(value);
    p.x[0] = 0;
    p.dy = random(p.valid * p.output().size());
    const BlockRun run(k, p);
    for (const float value : run.y) ASSERT_EQ(value, 0);
    for (const float value : run.dx) ASSERT_EQ(value, 0);
  }
}

TEST_P(BlockTest, NanPassesActivationAndPoolWherever) {
  for (const BlockCase& c : block_cases()) {
    if (c.height != 6 || c.norm) continue;
    SCOPED_TRACE(c.name());
    for (std::int64_t i = 0; i < c.pool * c.pool; ++i) {
      BlockShape shape = block_shape(1, {c.pool, 2 * c.pool, c.pool, false, c.activation, c.average});
      std::vector<float> x(at(2 * c.pool * c.pool * k.lanes), 3.0f);
      const int lane = static_cast<int>(i) % k.lanes;
      x[at((i / c.pool * 2 * c.pool + i % c.pool) * k.lanes + lane)] = kNan;
      const Guarded in(x);
      Guarded pooled(at(2 * k.lanes)), y(at(shape.out_height * shape.out_width * k.lanes));
      k.block_reduce(shape, in.data(), nullptr, k.lanes, nullptr, pooled.data());
      k.block_forward(shape, pools_raw(shape) ? pooled.data() : in.data(), {}, y.data());
      const double expected = reference::activation_forward(c.activation, {3.0})[0];
      for (std::int64_t o = 0; o < 2; ++o)
        for (int l = 0; l < k.lanes; ++l) {
          const float value = y.data()[o * k.lanes + l];
          if (o == 0 && l == lane)
            EXPECT_TRUE(std::isnan(value)) << "position " << i;
          else
            EXPECT_NEAR(value, expected, 4 * kFloatEps * expected) << "position " << i;
        }
    }
  }
}

TEST_P(BlockTest, NanStaysInItsChannel) {
  const BlockCase c{6, 6, 2, true, kRelu};
  BlockProblem clean = problem(c, k.lanes), spoiled = clean;
  for (std::size_t i = 0; i < spoiled.x.size(); ++i)
    if (spoiled.channel_of(i) == 1) {
      spoiled.x[i] = kNan;
      break;
    }
  const BlockRun a(k, clean), b(k, spoiled);
  for (std::size_t i = 0; i < a.dx.size(); ++i) {
    const bool poisoned = clean.channel_of(i) == 1;
    EXPECT_TRUE(poisoned ? std::isnan(b.dx[i]) : a.dx[i] == b.dx[i]) << i;
  }
  for (std::size_t i = 0; i < a.y.size(); ++i) {
    const bool poisoned = i / 9 % 5 == 1;
    EXPECT_TRUE(poisoned ? std::isnan(b.y[i]) : a.y[i] == b.y[i]) << i;
  }
}

TEST_P(BlockTest, ADegenerateChannelIsBetaWithoutGradient) {
  for (const BlockCase& c : block_cases()) {
    if (c.height != 6 || !c.norm) continue;
    SCOPED_TRACE(c.name());
    const BlockShape shape = block_shape(1, c);
    const float mean = 1, inv_std = 0, gamma = 2, beta = 0.25f, dbeta_mean = 1, dgamma_mean = kNan;
    const NormCoefficients n{&mean, &inv_std, &gamma, &beta, &dbeta_mean, &dgamma_mean};
    std::vector<float> x(at(36 * k.lanes), std::numeric_limits<float>::max());
    const auto outputs = at(shape.out_height * shape.out_width * k.lanes);
    const Guarded in(x), dy(std::vector<float>(outputs, 1.0f));
    Guarded y(outputs), dx(x.size());
    k.block_forward(shape, in.data(), n, y.data());
    const double active = reference::activation_forward(c.activation, {0.25})[0];
    for (const float value : y.values())
      ASSERT_NEAR(value, active, is_smooth(c.activation) ? 3 * kFloatEps : 0);
    double sums[2];
    k.block_backward_sums(shape, in.data(), y.data(), dy.data(), n, sums);
    const double slope = reference::activation_backward(c.activation, {0.25}, {1.0})[0];
    EXPECT_NEAR(
        sums[0], slope * static_cast<double>(outputs),
        c.activation == kNoActivation && !c.average ? 0 : 4 * kFloatEps * static_cast<double>(outputs));
    EXPECT_EQ(sums[1], 0);
    k.block_backward_input(shape, in.data(), in.data(), y.data(), dy.data(), n, k.lanes, dense({1, 6, 6}),
                           dx.data());
    for (const float value : dx.values()) ASSERT_EQ(value, 0);
  }
}

TEST_P(BlockTest, TheGapsOfASpreadGradientAreLeftAlone) {
  for_each_case([this](const BlockProblem& p, const BlockReference&) {
    const Planes planes = p.input();
    const BlockRun run(k, p);
    const Guarded x = to_lanes(p.x, planes.size(), k.lanes, 1e3f);
    const Guarded dy = to_lanes(p.dy, p.output().size(), k.lanes);
    Guarded pooled(at(p.output().size() * k.lanes)), y(at(p.output().size() * k.lanes));
    const NormCoefficients n{run.mean.data(), run.inv_std.data(),    p.gamma.data(),
                             p.beta.data(),   run.dbeta_mean.data(), run.dgamma_mean.data()};
    k.block_reduce(p.shape, x.data(), p.gamma.data(), p.valid, nullptr, pooled.data());
    const float* raw = pools_raw(p.shape) ? pooled.data() : x.data();
    k.block_forward(p.shape, raw, n, y.data());

    const GradientLayout layout{planes.height * (2 * planes.width + 3), 2 * planes.width + 3, 2, 2};
    const std::int64_t vectors = planes.channels * layout.channel;
    Guarded dx(std::vector<float>(at(vectors * k.lanes), 7.0f));
    k.block_backward_input(p.shape, x.data(), raw, y.data(), dy.data(), n, p.valid, layout, dx.data());
    const Guarded dense_dx = to_lanes(run.dx, planes.size(), k.lanes);
    const std::vector<float> expected = spread(dense_dx.values(), planes, layout, vectors, k.lanes, 7.0f);
    EXPECT_TRUE(std::ranges::equal(dx.values(), expected));
    EXPECT_TRUE(dx.intact());
  });
}

BNTRAIN_FOR_EVERY_TABLE(BlockTest);

}  // namespace
}  // namespace bntrain::cpu
