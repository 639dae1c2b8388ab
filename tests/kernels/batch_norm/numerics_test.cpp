// The batch norm kernels where float32 is at its limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <limits>

#include "kernels/batch_norm/run.hpp"
#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

using ::testing::Each;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Packs of every kind in every kind of chunk: one run, several, several chunks.
const BatchNormShape kShapes[] = {{2, 2, 1}, {3, 2, 5}, {96, 4, 49}, {700, 2, 12}, {300, 36, 1}};

/// Runs `check` on every shape in every way.
template <typename Check>
void on_every_shape(Check check) {
  for (const BatchNormShape& shape : kShapes)
    for (const Way& way : every_way(shape)) {
      SCOPED_TRACE(testing::Message() << "batch " << shape.batch << ", " << to_string(way));
      check(shape, way);
      if (testing::Test::HasFailure()) return;
    }
}

TEST(NormKernelNumerics, MeanMuchLargerThanTheDeviation) {
  // E[x^2] - E[x]^2 in float32 loses 0.1% of the variance at 1e2, 12% at 1e3 and all of it at 1e4.
  for (const double ratio : {1e2, 1e3, 1e4, -1e4}) {
    SCOPED_TRACE(ratio);
    on_every_shape([&](const BatchNormShape& shape, const Way& way) {
      check_kernel_training(make_case(shape, ratio), way);
    });
  }
}

TEST(NormKernelNumerics, ConstantChannelsGiveBetaToTheBit) {
  for (const double eps : {1e-5, 0.0})
    for (const float value : {0.1f, -100.0f, 1e7f, 1e-30f, 1e30f, FLT_MAX}) {
      SCOPED_TRACE(testing::Message() << value << ", eps " << eps);
      on_every_shape([&](const BatchNormShape& shape, const Way& way) {
        NormCase c = make_case(shape);
        c.options.eps = eps;
        c.x.assign(c.x.size(), value);
        const KernelForward r = kernel_forward(c, way);
        EXPECT_THAT(r.mean, Each(value));
        EXPECT_THAT(r.var, Each(0));
        for (std::size_t i = 0; i < r.y.size(); ++i) EXPECT_EQ(r.y[i], c.beta[c.channel_of(i)]);
        const BackwardResult g = kernel_backward(c, r, way);
        EXPECT_THAT(g.dgamma, Each(0));
        // xhat is 0 exactly, so the gradient, and its error, are those of any constant.
        c.x.assign(c.x.size(), 0);
        const Expected e = expect_training(c);
        EXPECT_TRUE(support::close(g.dx, e.dx, e.bounds.dx));
        EXPECT_TRUE(support::close(g.dbeta, e.dbeta, e.bounds.dbeta));
      });
    }
}

TEST(NormKernelNumerics, OneOutlier) {
  // In the middle, and where the sums of the run, the chunk and the channel have their origin.
  for (const std::size_t place : {500u, 0u, 36u})
    for (const BatchNormShape& shape : {BatchNormShape{64, 3, 12}, {700, 2, 12}})
      for (const Way& way : every_way(shape)) {
        SCOPED_TRACE(place);
        NormCase c = make_case(shape);
        c.x[place] = 1e6f;
        check_kernel_training(c, way);
      }
}

TEST(NormKernelNumerics, OneHotChannel) {
  NormCase c = make_case({64, 3, 9});
  for (std::size_t i = 0; i < c.x.size(); ++i) c.x[i] = c.channel_of(i) == 1 ? 0.0f : c.x[i];
  c.x[9 * 3 * 20 + 9 + 4] = 1;
  for (const Way& way : every_way(c.shape)) check_kernel_training(c, way);
}

TEST(NormKernelNumerics, LargeAndSmallValuesAreRight) {
  for (const double scale : {1e10, -1e18, 4e18, 1e-10, 1e-18, 1e-30}) {
    SCOPED_TRACE(scale);
    on_every_shape([&](const BatchNormShape& shape, const Way& way) {
      NormCase c = make_case(shape, scale / 4, std::abs(scale));
      if (scale == 1e-10) c.options.eps = 1e-12;
      check_kernel_training(c, way);
    });
  }
}

TEST(NormKernelNumerics, VarianceBeyondFloatGivesBeta) {
  // 3e19 has a square that float32 lacks, while a tenth of it fits: the moving average is infinite too.
  for (const float value : {3e19f, 1e30f, FLT_MAX}) {
    SCOPED_TRACE(value);
    on_every_shape([&](const BatchNormShape& shape, const Way& way) {
      NormCase c = make_case(shape);
      const std::size_t image = c.channels() * static_cast<std::size_t>(shape.spatial);
      for (std::size_t i = 0; i < c.x.size(); ++i)
        if (c.channel_of(i) == 1) c.x[i] = (i + i / image) % 3 == 0 ? -value : value;
      const std::size_t second = static_cast<std::size_t>(shape.spatial);
      c.x[second] = value;
      for (std::size_t i = c.x.size(); i-- > 0;)
        if (c.channel_of(i) == 1) {
          c.x[i] = -value;
          break;
        }
      const KernelForward r = kernel_forward(c, way);
      EXPECT_EQ(r.var[1], kInfinity);
      EXPECT_EQ(r.running_var[1], kInfinity);
      EXPECT_TRUE(std::isfinite(r.mean[1]) && std::isfinite(r.running_mean[1]));
      for (std::size_t i = second; i < r.y.size(); ++i)
        EXPECT_TRUE(c.channel_of(i) != 1 || r.y[i] == c.beta[1]) << i;
      const BackwardResult g = kernel_backward(c, r, way);
      EXPECT_EQ(g.dgamma[1], 0);
      check_kernel_training(c, way);
      c.running_mean = r.running_mean;
      c.running_var = r.running_var;
      check_kernel_inference(c, way);
    });
  }
}

TEST(NormKernelNumerics, NanAndInfinityStayInTheirChannel) {
  for (const float poison : {kNan, kInfinity, -kInfinity})
    for (const BatchNormShape& shape : {BatchNormShape{37, 4, 9}, {9, 4, 1}, {700, 4, 12}})
      for (const Way& way : every_way(shape)) {
        const NormCase clean = make_case(shape);
        NormCase c = clean;
        c.x[static_cast<std::size_t>(2 * shape.spatial)] = poison;  // channel 2, where its sums begin
        const KernelForward r = kernel_forward(c, way), s = kernel_forward(clean, way);
        const BackwardResult g = kernel_backward(c, r, way), h = kernel_backward(clean, s, way);
        const auto as_expected = [](float dirty, float expected, bool hit) {
          return hit ? std::isnan(dirty) : dirty == expected;
        };
        for (std::size_t i = 0; i < c.x.size(); ++i) {
          const bool hit = c.channel_of(i) == 2;
          EXPECT_TRUE(as_expected(r.y[i], s.y[i], hit)) << i;
          EXPECT_TRUE(as_expected(g.dx[i], h.dx[i], hit)) << i;
        }
        for (std::size_t k = 0; k < 4; ++k) {
          EXPECT_TRUE(as_expected(r.var[k], s.var[k], k == 2));
          EXPECT_TRUE(as_expected(r.running_var[k], s.running_var[k], k == 2));
          EXPECT_TRUE(as_expected(g.dgamma[k], h.dgamma[k], k == 2));
          EXPECT_EQ(g.dbeta[k], h.dbeta[k]);
        }
        if (HasFailure()) return;
      }
}

TEST(NormKernelNumerics, NanInTheOutputGradientStaysInItsChannel) {
  const NormCase clean = make_case({37, 4, 9});
  NormCase c = clean;
  c.dy[9 * 2 + 3] = kNan;
  for (const Way& way : every_way(c.shape)) {
    const KernelForward r = kernel_forward(c, way);
    const BackwardResult g = kernel_backward(c, r, way), h = kernel_backward(clean, r, way);
    for (std::size_t i = 0; i < c.x.size(); ++i)
      EXPECT_TRUE(c.channel_of(i) == 2 ? std::isnan(g.dx[i]) : g.dx[i] == h.dx[i]) << i;
    EXPECT_TRUE(std::isnan(g.dbeta[2]) && std::isnan(g.dgamma[2]));
  }
}

TEST(NormKernelNumerics, InferencePassesNonFiniteValuesAlone) {
  NormCase c = make_case({37, 4, 9});
  for (const Way& way : every_way(c.shape)) {
    const Floats y = kernel_inference(c, way);
    const BackwardResult g = kernel_inference_backward(c, way);
    for (const float poison : {kNan, kInfinity}) {
      NormCase dirty = c;
      dirty.x[21] = poison;
      const Floats z = kernel_inference(dirty, way);
      for (std::size_t i = 0; i < y.size(); ++i)
        EXPECT_TRUE(i == 21 ? !std::isfinite(z[i]) : z[i] == y[i]) << i;
      EXPECT_TRUE(same_bits(kernel_inference_backward(dirty, way).dx, g.dx)) << "dx does not depend on x";
    }
  }
}

TEST(NormKernelNumerics, EpsilonOfEverySize) {
  for (const double eps : {0.0, 1e-12, 1e-3})
    for (const double deviation : {1e-3, 1.0}) {
      SCOPED_TRACE(testing::Message() << eps << ", deviation " << deviation);
      NormCase c = make_case({64, 3, 12}, 0.5, deviation);
      c.options.eps = eps;
      check_kernel_training(c);
      check_kernel_inference(c);
    }
}

TEST(NormKernelNumerics, ConstantOutputGradientVanishes) {
  NormCase c = make_case({64, 4, 12});
  c.dy.assign(c.dy.size(), 0.7f);
  const Values zeros(c.dy.size(), 0.0);
  for (const Way& way : every_way(c.shape))
    EXPECT_TRUE(support::close(kernel_backward(c, kernel_forward(c, way), way).dx, zeros,
                               expect_training(c).bounds.dx));
}

}  // namespace
}  // namespace bntrain::test
