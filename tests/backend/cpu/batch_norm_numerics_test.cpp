// Batch norm where float32 is at its limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <limits>

#include "backend/cpu/batch_norm_case.hpp"
#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

using ::testing::Each;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class BatchNormNumerics : public PerIsa {};
INSTANTIATE_TEST_SUITE_P(, BatchNormNumerics, testing::ValuesIn(available_cpu_isas()), isa_name);

/// Batches around the vector lengths, with and without pixels, in chunks of every kind.
const BatchNormShape kShapes[] = {{2, 2, 1}, {3, 2, 5}, {17, 2, 7}, {96, 2, 49}, {5, 2, 200}};

TEST_P(BatchNormNumerics, MeanMuchLargerThanTheDeviation) {
  // E[x^2] - E[x]^2 in float32 loses 0.1% of the variance at 1e2, 12% at 1e3 and all of it at 1e4.
  for (const double ratio : {1e2, 1e3, 1e4, -1e4})
    for (const BatchNormShape& shape : kShapes) {
      SCOPED_TRACE(testing::Message() << ratio << ", batch " << shape.batch);
      check_training(make_case(shape, ratio), isa());
    }
}

TEST_P(BatchNormNumerics, ConstantChannelsGiveBetaToTheBit) {
  for (const float value : {0.1f, -0.1f, 100.0f, 1e4f, 1e7f, 1e-30f, 1e30f, FLT_MAX})
    for (const double eps : {1e-12, 1e-5, 1e-3, 0.0})
      for (const BatchNormShape& shape : kShapes) {
        SCOPED_TRACE(testing::Message() << value << ", eps " << eps << ", batch " << shape.batch);
        NormCase c = make_case(shape);
        c.options.eps = eps;
        c.x.assign(c.x.size(), value);
        const ForwardResult r = forward_train(c, isa());
        EXPECT_THAT(r.mean, Each(value));
        EXPECT_THAT(r.var, Each(0));
        for (std::size_t i = 0; i < r.y.size(); ++i) EXPECT_EQ(r.y[i], c.beta[c.channel_of(i)]);
        const BackwardResult g = backward(c, r, isa());
        EXPECT_THAT(g.dgamma, Each(0));
        // xhat is 0 exactly, so the gradient, and its error, are those of any constant.
        c.x.assign(c.x.size(), 0);
        const Expected e = expect_training(c);
        EXPECT_TRUE(support::close(g.dx, e.dx, e.bounds.dx));
        EXPECT_TRUE(support::close(g.dbeta, e.dbeta, e.bounds.dbeta));
        if (HasFailure()) return;
      }
}

TEST_P(BatchNormNumerics, OneOutlier) {
  NormCase c = make_case({64, 3, 9});
  c.x[500] = 1e6f;
  check_training(c, isa());
}

TEST_P(BatchNormNumerics, OneHotChannel) {
  NormCase c = make_case({64, 3, 9});
  for (std::size_t i = 0; i < c.x.size(); ++i) c.x[i] = c.channel_of(i) == 1 ? 0.0f : c.x[i];
  c.x[9 * 3 * 20 + 9 + 4] = 1;
  check_training(c, isa());
}

TEST_P(BatchNormNumerics, LargeValuesAreRight) {
  for (const double scale : {1e10, 1e18, -1e18})
    for (const BatchNormShape& shape : kShapes) {
      SCOPED_TRACE(testing::Message() << scale << ", batch " << shape.batch);
      check_training(make_case(shape, scale / 4, scale), isa());
    }
}

TEST_P(BatchNormNumerics, SmallValuesAreRight) {
  for (const double scale : {1e-10, 1e-18, 1e-30})
    for (const double eps : {1e-12, 1e-5})
      for (const BatchNormShape& shape : kShapes) {
        SCOPED_TRACE(testing::Message() << scale << ", eps " << eps << ", batch " << shape.batch);
        NormCase c = make_case(shape, scale, scale);
        c.options.eps = eps;
        check_training(c, isa());
      }
}

TEST_P(BatchNormNumerics, VarianceBeyondFloatGivesBeta) {
  // 3e19 has a square that float32 lacks, while a tenth of it fits: the moving average is infinite too.
  for (const float value : {3e19f, 1e30f, FLT_MAX})
    for (const BatchNormShape& shape : kShapes) {
      SCOPED_TRACE(testing::Message() << value << ", batch " << shape.batch);
      NormCase c = make_case(shape);
      for (std::size_t i = 0; i < c.x.size(); ++i)
        if (c.channel_of(i) == 1) c.x[i] = i % 3 == 0 ? -value : value;
      const std::size_t second = static_cast<std::size_t>(shape.spatial);
      c.x[second] = value, c.x[c.x.size() - 1] = -value;
      const ForwardResult r = forward_train(c, isa());
      EXPECT_EQ(r.var[1], kInfinity);
      EXPECT_EQ(r.running_var[1], kInfinity);
      EXPECT_TRUE(std::isfinite(r.mean[1]) && std::isfinite(r.running_mean[1]));
      for (std::size_t i = second; i < r.y.size(); ++i)
        EXPECT_TRUE(c.channel_of(i) == 0 || r.y[i] == c.beta[1]) << i;
      const BackwardResult g = backward(c, r, isa());
      EXPECT_EQ(g.dgamma[1], 0);
      check_training(c, isa());
      c.running_mean = r.running_mean;
      c.running_var = r.running_var;
      check_inference(c, isa());
      if (HasFailure()) return;
    }
}

TEST_P(BatchNormNumerics, NanAndInfinityStayInTheirChannel) {
  for (const float poison : {kNan, kInfinity, -kInfinity}) {
    const NormCase clean = make_case({37, 4, 9});
    NormCase c = clean;
    c.x[9 * 2 + 3] = poison;  // image 0, channel 2
    const ForwardResult r = forward_train(c, isa()), s = forward_train(clean, isa());
    const BackwardResult g = backward(c, r, isa()), h = backward(clean, s, isa());
    for (std::size_t i = 0; i < c.x.size(); ++i) {
      const bool hit = c.channel_of(i) == 2;
      EXPECT_TRUE(hit ? std::isnan(r.y[i]) : r.y[i] == s.y[i]) << i;
      EXPECT_TRUE(hit ? std::isnan(g.dx[i]) : g.dx[i] == h.dx[i]) << i;
    }
    for (std::size_t k = 0; k < 4; ++k) {
      EXPECT_TRUE(k == 2 ? std::isnan(r.var[k]) : r.var[k] == s.var[k]);
      EXPECT_TRUE(k == 2 ? std::isnan(r.running_var[k]) : r.running_var[k] == s.running_var[k]);
      EXPECT_TRUE(k == 2 ? std::isnan(g.dgamma[k]) : g.dgamma[k] == h.dgamma[k]);
      EXPECT_EQ(g.dbeta[k], h.dbeta[k]);
    }
  }
}

TEST_P(BatchNormNumerics, NanInTheOutputGradientStaysInItsChannel) {
  const NormCase clean = make_case({37, 4, 9});
  NormCase c = clean;
  c.dy[9 * 2 + 3] = kNan;
  const ForwardResult r = forward_train(c, isa());
  const BackwardResult g = backward(c, r, isa()), h = backward(clean, r, isa());
  for (std::size_t i = 0; i < c.x.size(); ++i)
    EXPECT_TRUE(c.channel_of(i) == 2 ? std::isnan(g.dx[i]) : g.dx[i] == h.dx[i]) << i;
  EXPECT_TRUE(std::isnan(g.dbeta[2]) && std::isnan(g.dgamma[2]));
}

TEST_P(BatchNormNumerics, InferencePassesNonFiniteValuesAlone) {
  NormCase c = make_case({37, 4, 9});
  const Floats y = inference(c, isa());
  const BackwardResult g = inference_backward(c, isa());
  for (const float poison : {kNan, kInfinity}) {
    c.x[21] = poison;
    const Floats z = inference(c, isa());
    for (std::size_t i = 0; i < y.size(); ++i)
      EXPECT_TRUE(i == 21 ? !std::isfinite(z[i]) : z[i] == y[i]) << i;
    EXPECT_TRUE(same_bits(inference_backward(c, isa()).dx, g.dx)) << "dx does not depend on x";
  }
}

TEST_P(BatchNormNumerics, EpsilonOfEverySize) {
  for (const double eps : {0.0, 1e-12, 1e-8, 1e-5, 1e-3})
    for (const double deviation : {1e-3, 1.0}) {
      SCOPED_TRACE(testing::Message() << eps << ", deviation " << deviation);
      NormCase c = make_case({33, 3, 9}, 0.1, deviation);
      c.options.eps = eps;
      check_training(c, isa());
      check_inference(c, isa());
    }
}

TEST_P(BatchNormNumerics, EpsilonZeroAtRunningVarianceZero) {
  NormCase c = make_case({5, 2, 3});
  c.options.eps = 0;
  c.running_var[1] = 0;
  check_inference(c, isa());
}

TEST_P(BatchNormNumerics, GammaOfEverySize) {
  for (const float gamma : {0.0f, -0.0f, -2.0f, 1e-20f, -1e-20f, 1e20f}) {
    SCOPED_TRACE(gamma);
    NormCase c = make_case({33, 3, 9});
    c.gamma[1] = gamma;
    c.beta[1] = 0;  // or it would hide a small gamma
    check_training(c, isa());
    check_inference(c, isa());
    const ForwardResult r = forward_train(c, isa());
    const BackwardResult g = backward(c, r, isa());
    if (gamma != 0) continue;
    for (std::size_t i = 0; i < c.x.size(); ++i)
      EXPECT_TRUE(c.channel_of(i) != 1 || (r.y[i] == 0 && g.dx[i] == 0)) << i;
    EXPECT_NE(g.dgamma[1], 0);  // it can grow again
  }
}

}  // namespace
}  // namespace bntrain::test
