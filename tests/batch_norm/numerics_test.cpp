// Batch norm where float32 is at its limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <limits>

#include "batch_norm/implementation.hpp"
#include "support/nan.hpp"
#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

using ::testing::Each;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
using support::kNan;

class BatchNormNumerics : public BatchNormTest {
 protected:
  /// Runs check(shape) on every shape that the implementation serves, until one fails.
  template <typename Check>
  static void on_shapes(const Shapes& shapes, Check check) {
    for (const BatchNormShape& shape : shapes) {
      if (!GetParam()->serves(shape)) continue;
      SCOPED_TRACE(testing::Message() << shape.batch << "x" << shape.channels << "x" << shape.spatial);
      check(shape);
      if (HasFailure()) return;
    }
  }
  template <typename Check>
  static void on_few_shapes(Check check) {
    on_shapes(GetParam()->few_shapes(), check);
  }
};
INSTANTIATE_TEST_SUITE_P(, BatchNormNumerics,
                         testing::ValuesIn(serving({{64, 3, 9}, {37, 4, 9}, {33, 3, 9}})),
                         implementation_name);

TEST_P(BatchNormNumerics, MeanMuchLargerThanTheDeviation) {
  // E[x^2] - E[x]^2 in float32 loses 0.1% of the variance at 1e2, 12% at 1e3 and all of it at 1e4.
  for (const double ratio : {1e2, 1e3, 1e4, -1e4}) {
    SCOPED_TRACE(ratio);
    on_few_shapes([&](const BatchNormShape& shape) { check_training(make_case(shape, ratio)); });
  }
}

TEST_P(BatchNormNumerics, ConstantChannelsGiveBetaToTheBit) {
  for (const float value : {0.1f, -0.1f, 100.0f, -100.0f, 1e4f, 1e7f, 1e-30f, 1e30f, FLT_MAX})
    for (const double eps : {1e-12, 1e-5, 1e-3, 0.0}) {
      SCOPED_TRACE(testing::Message() << value << ", eps " << eps);
      on_few_shapes([&](const BatchNormShape& shape) {
        NormCase c = make_case(shape);
        c.options.eps = eps;
        c.x.assign(c.x.size(), value);
        const ForwardResult r = forward_train(c);
        EXPECT_THAT(r.mean, Each(value));
        EXPECT_THAT(r.var, Each(0));
        for (std::size_t i = 0; i < r.y.size(); ++i) EXPECT_EQ(r.y[i], c.beta[c.channel_of(i)]);
        const BackwardResult g = backward(c, r);
        EXPECT_THAT(g.dgamma, Each(0));
        // xhat is 0 exactly, so the gradient, and its error, are those of any constant.
        c.x.assign(c.x.size(), 0);
        const Expected e = expect_training(c);
        EXPECT_TRUE(support::close(g.dx, e.dx, e.bounds.dx));
        EXPECT_TRUE(support::close(g.dbeta, e.dbeta, e.bounds.dbeta));
      });
    }
}

TEST_P(BatchNormNumerics, OneOutlier) {
  // In the middle, and where the sums of a thread, of a chunk and of the channel begin.
  for (const std::size_t place : {500u, 0u, 36u}) {
    SCOPED_TRACE(place);
    on_shapes({{64, 3, 9}, {64, 3, 12}, {700, 2, 12}}, [&](const BatchNormShape& shape) {
      NormCase c = make_case(shape);
      c.x[place] = 1e6f;
      check_training(c);
    });
  }
}

TEST_P(BatchNormNumerics, OneHotChannel) {
  NormCase c = make_case({64, 3, 9});
  for (std::size_t i = 0; i < c.x.size(); ++i) c.x[i] = c.channel_of(i) == 1 ? 0.0f : c.x[i];
  c.x[9 * 3 * 20 + 9 + 4] = 1;
  check_training(c);
}

TEST_P(BatchNormNumerics, FarFromZeroAsExactAsNear) {
  // The values of a channel at -10000 +- 0.001 lie 0.00098 apart: its mean as one float32 would be off by up
  // to half a standard deviation.
  for (const double mean : {-1e4, 1e4, 3e5, 1e-3}) {
    SCOPED_TRACE(mean);
    on_few_shapes([&](const BatchNormShape& shape) {
      NormCase c = make_case(shape, mean, std::abs(mean) * 1e-7);
      c.options.eps = 1e-12 * mean * mean * 1e-4;
      check_training(c);
    });
  }
}

TEST_P(BatchNormNumerics, LargeValuesAreRight) {
  for (const double scale : {1e10, 1e18, -1e18, 4e18}) {
    SCOPED_TRACE(scale);
    on_few_shapes([&](const BatchNormShape& shape) { check_training(make_case(shape, scale / 4, scale)); });
  }
}

TEST_P(BatchNormNumerics, SmallValuesAreRight) {
  for (const double scale : {1e-10, 1e-18, 1e-30})
    for (const double eps : {1e-12, 1e-5}) {
      SCOPED_TRACE(testing::Message() << scale << ", eps " << eps);
      on_few_shapes([&](const BatchNormShape& shape) {
        for (const double mean : {scale, scale / 4}) {
          NormCase c = make_case(shape, mean, scale);
          c.options.eps = eps;
          check_training(c);
        }
      });
    }
}

TEST_P(BatchNormNumerics, VarianceBeyondFloatGivesBeta) {
  // The square of 3e19 overflows float32, a tenth of it does not: the running variance is infinite too.
  for (const float value : {3e19f, 1e30f, FLT_MAX}) {
    SCOPED_TRACE(value);
    on_few_shapes([&](const BatchNormShape& shape) {
      NormCase c = make_case(shape);
      const std::size_t image = c.channels() * static_cast<std::size_t>(shape.spatial);
      const std::size_t second = static_cast<std::size_t>(shape.spatial);
      std::size_t last = 0;
      for (std::size_t i = 0; i < c.x.size(); ++i)
        if (c.channel_of(i) == 1) c.x[last = i] = (i + i / image) % 3 == 0 ? -value : value;
      c.x[second] = value;
      c.x[last] = -value;
      const ForwardResult r = forward_train(c);
      EXPECT_EQ(r.var[1], kInfinity);
      EXPECT_EQ(r.running_var[1], kInfinity);
      EXPECT_TRUE(std::isfinite(r.mean[1]) && std::isfinite(r.running_mean[1]));
      for (std::size_t i = second; i < r.y.size(); ++i)
        EXPECT_TRUE(c.channel_of(i) != 1 || r.y[i] == c.beta[1]) << i;
      const BackwardResult g = backward(c, r);
      EXPECT_EQ(g.dgamma[1], 0);
      check_training(c);
      c.running_mean = r.running_mean;
      c.running_var = r.running_var;
      check_inference(c);
    });
  }
}

TEST_P(BatchNormNumerics, NanAndInfinityStayInTheirChannel) {
  const auto as_expected = [](float dirty, float clean, bool hit) {
    return hit ? std::isnan(dirty) : dirty == clean;
  };
  for (const float poison : {kNan, kInfinity, -kInfinity})
    on_shapes({{37, 4, 9}, {9, 4, 1}, {700, 4, 12}}, [&](const BatchNormShape& shape) {
      const NormCase clean = make_case(shape);
      const ForwardResult s = forward_train(clean);
      const BackwardResult h = backward(clean, s);
      // In channel 2 of the first image: where its sums begin, and further on.
      for (const std::int64_t place : {2 * shape.spatial, 2 * shape.spatial + shape.spatial / 3}) {
        NormCase c = clean;
        c.x[static_cast<std::size_t>(place)] = poison;
        const ForwardResult r = forward_train(c);
        const BackwardResult g = backward(c, r);
        for (std::size_t i = 0; i < c.x.size(); ++i) {
          EXPECT_TRUE(as_expected(r.y[i], s.y[i], c.channel_of(i) == 2)) << i;
          EXPECT_TRUE(as_expected(g.dx[i], h.dx[i], c.channel_of(i) == 2)) << i;
        }
        for (std::size_t k = 0; k < 4; ++k) {
          EXPECT_TRUE(as_expected(r.var[k], s.var[k], k == 2));
          EXPECT_TRUE(as_expected(r.running_var[k], s.running_var[k], k == 2));
          EXPECT_TRUE(as_expected(g.dgamma[k], h.dgamma[k], k == 2));
          EXPECT_EQ(g.dbeta[k], h.dbeta[k]);
        }
      }
    });
}

TEST_P(BatchNormNumerics, NanInTheOutputGradientStaysInItsChannel) {
  const NormCase clean = make_case({37, 4, 9});
  NormCase c = clean;
  c.dy[9 * 2 + 3] = kNan;
  const ForwardResult r = forward_train(c);
  const BackwardResult g = backward(c, r), h = backward(clean, r);
  for (std::size_t i = 0; i < c.x.size(); ++i)
    EXPECT_TRUE(c.channel_of(i) == 2 ? std::isnan(g.dx[i]) : g.dx[i] == h.dx[i]) << i;
  EXPECT_TRUE(std::isnan(g.dbeta[2]) && std::isnan(g.dgamma[2]));
}

TEST_P(BatchNormNumerics, InferencePassesNonFiniteValuesAlone) {
  NormCase c = make_case({37, 4, 9});
  const Floats y = inference(c);
  const BackwardResult g = inference_backward(c);
  for (const float poison : {kNan, kInfinity}) {
    c.x[21] = poison;
    const Floats z = inference(c);
    for (std::size_t i = 0; i < y.size(); ++i)
      EXPECT_TRUE(i == 21 ? !std::isfinite(z[i]) : z[i] == y[i]) << i;
    EXPECT_TRUE(same_bits(inference_backward(c).dx, g.dx)) << "dx does not depend on x";
  }
}

TEST_P(BatchNormNumerics, EpsilonOfEverySize) {
  for (const double eps : {0.0, 1e-12, 1e-8, 1e-5, 1e-3})
    for (const double deviation : {1e-3, 1.0}) {
      SCOPED_TRACE(testing::Message() << eps << ", deviation " << deviation);
      for (NormCase c : {make_case({33, 3, 9}, 0.1, deviation), make_case({64, 3, 12}, 0.5, deviation)}) {
        c.options.eps = eps;
        check_training(c);
        check_inference(c);
      }
    }
}

TEST_P(BatchNormNumerics, EpsilonZeroAtRunningVarianceZero) {
  NormCase c = make_case({5, 2, 3});
  c.options.eps = 0;
  c.running_var[1] = 0;
  check_inference(c);
}

TEST_P(BatchNormNumerics, RunningVarianceOfExactlyEpsilon) {
  NormCase c = make_case({5, 2, 3});
  c.options.eps = c.running_var[1] = 0.25;
  check_inference(c);
}

TEST_P(BatchNormNumerics, GammaOfEverySize) {
  for (const float gamma : {0.0f, -0.0f, -2.0f, 1e-20f, -1e-20f, 1e20f}) {
    SCOPED_TRACE(gamma);
    NormCase c = make_case({33, 3, 9});
    c.gamma[1] = gamma;
    c.beta[1] = 0;  // or it would hide a small gamma
    check_training(c);
    check_inference(c);
    const ForwardResult r = forward_train(c);
    const BackwardResult g = backward(c, r);
    if (gamma != 0) continue;
    for (std::size_t i = 0; i < c.x.size(); ++i)
      EXPECT_TRUE(c.channel_of(i) != 1 || (r.y[i] == 0 && g.dx[i] == 0)) << i;
    EXPECT_NE(g.dgamma[1], 0);  // it can grow again
  }
}

}  // namespace
}  // namespace bntrain::test
