// The activations of a block against double precision, from end to end of float32.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/kernel_test.hpp"
#include "support/plan_reference.hpp"

namespace bntrain::cpu {
namespace {

using support::Guarded;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class SigmoidTest : public KernelTest {
 protected:
  std::vector<float> sigmoid(std::vector<float> x) {
    const std::size_t size = x.size();
    x.resize((size + at(k.lanes) - 1) / at(k.lanes) * at(k.lanes));
    const auto vectors = static_cast<std::int64_t>(x.size()) / k.lanes;
    const Guarded in(x);
    Guarded out(x.size());
    k.block_forward({1, 1, vectors, 1, vectors, 1, false, false, {ActivationKind::sigmoid}}, in.data(), {},
                    out.data());
    EXPECT_TRUE(out.complete());
    return {out.values().begin(), out.values().begin() + static_cast<std::ptrdiff_t>(size)};
  }
};

/// The distance of float32 numbers at `value`.
double spacing(double value) {
  const auto nearest = static_cast<float>(value);
  return static_cast<double>(std::nextafter(nearest, kInfinity)) - static_cast<double>(nearest);
}

TEST_P(SigmoidTest, IsWithinThreeSpacings) {
  std::vector<float> x;
  for (float value = -104; value <= 20; value += 0.00137f) x.push_back(value);
  for (float value = 1e-30f; value < 1; value *= 1.7f) x.insert(x.end(), {value, -value});
  const std::vector<float> y = sigmoid(x);
  double worst = 0;
  float where = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double expected = 1 / (1 + std::exp(-static_cast<double>(x[i])));
    const double error = std::abs(y[i] - expected) / spacing(expected);
    if (error > worst) worst = error, where = x[i];
    ASSERT_FALSE(std::isnan(y[i])) << x[i];
  }
  EXPECT_LE(worst, 3) << "at " << where;
  RecordProperty("worst_spacings", std::to_string(worst));
}

TEST_P(SigmoidTest, EndsAtZeroAndOne) {
  const float large = std::numeric_limits<float>::max();
  EXPECT_EQ(sigmoid({0.0f, -0.0f, 20, 1000, large, kInfinity, -105, -1000, -large, -kInfinity}),
            (std::vector<float>{0.5f, 0.5f, 1, 1, 1, 1, 0, 0, 0, 0}));
  // Between the smallest normal number and zero.
  EXPECT_GT(sigmoid({-103})[0], 0);
  EXPECT_LT(sigmoid({-88})[0], std::numeric_limits<float>::min());
}

TEST_P(SigmoidTest, NanPassesAndStaysInItsLane) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {nan, -nan, std::numeric_limits<float>::signaling_NaN()}) {
    std::vector<float> x(at(3 * k.lanes), 0.0f);
    x[at(k.lanes + 1)] = bad;
    const std::vector<float> y = sigmoid(x);
    for (std::size_t i = 0; i < y.size(); ++i)
      EXPECT_TRUE(i == at(k.lanes + 1) ? std::isnan(y[i]) : y[i] == 0.5f) << i;
  }
}

BNTRAIN_FOR_EVERY_TABLE(SigmoidTest);

struct SmoothActivation {
  Activation activation;
  /// The error that is allowed for forward and backward (of dy = 1) at x, in units of 2^-23.
  double (*forward_bound)(double x);
  double (*backward_bound)(double x);
};

class ActivationTest : public KernelTest {
 protected:
  /// y = activation(x), and the gradient of x for dy = 1.
  void run(const Activation& activation, std::vector<float>& x, std::vector<float>& y,
           std::vector<float>& dx) {
    while (x.size() % at(k.lanes) != 0) x.push_back(0);
    const auto vectors = static_cast<std::int64_t>(x.size()) / k.lanes;
    const BlockShape shape{1, 1, vectors, 1, vectors, 1, false, false, activation};
    const Guarded in(x), dy(std::vector<float>(x.size(), 1.0f));
    Guarded out(x.size()), gradient(x.size());
    k.block_forward(shape, in.data(), {}, out.data());
    k.block_backward_input(shape, in.data(), in.data(), out.data(), dy.data(), {}, k.lanes,
                           {vectors, vectors, 1, 0}, gradient.data());
    EXPECT_TRUE(out.complete() && gradient.complete());
    y.assign(out.values().begin(), out.values().end());
    dx.assign(gradient.values().begin(), gradient.values().end());
  }
};

TEST_P(ActivationTest, ErrorsAreAFewRoundings) {
  // What cancels in 1 - tail and in the sum of two terms is of the size of 1; the exponent x^2 / 2 is
  // rounded.
  const SmoothActivation all[] = {
      {{ActivationKind::gelu},
       [](double x) { return 4 * std::abs(x) * (1 + std::min(x * x, 20.0)); },
       [](double x) { return 6 * (1 + std::min(x * x * x * x, 20.0)); }},
      {{ActivationKind::silu},
       [](double x) { return 4 * std::abs(x); },
       [](double x) { return 6 + std::abs(x); }},
      {{ActivationKind::leaky_relu, 0.01f}, [](double x) { return std::abs(x); }, [](double) { return 1.0; }},
      {{ActivationKind::leaky_relu, 0.3f}, [](double x) { return std::abs(x); }, [](double) { return 1.0; }},
  };
  for (const SmoothActivation& each : all) {
    std::vector<float> x{0.0f, -0.0f}, y, dx;
    for (float value = -20; value <= 20; value += 0.00137f) x.push_back(value);
    for (float value = 1e-30f; value < 1e4f; value *= 1.7f) x.insert(x.end(), {value, -value});
    run(each.activation, x, y, dx);
    const reference::Values wide = reference::widen(x), ones(x.size(), 1.0);
    const reference::Values expected = reference::activation_forward(each.activation, wide);
    const reference::Values gradient = reference::activation_backward(each.activation, wide, ones);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_NEAR(y[i], expected[i], support::kFloatEps * each.forward_bound(wide[i]) + 1e-45) << x[i];
      ASSERT_NEAR(dx[i], gradient[i], support::kFloatEps * each.backward_bound(wide[i])) << x[i];
    }
  }
}

TEST_P(ActivationTest, EndsAreThoseOfPyTorch) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), large = std::numeric_limits<float>::max();
  for (const ActivationKind kind : {ActivationKind::gelu, ActivationKind::silu}) {
    std::vector<float> x{kInfinity, -kInfinity, large, -large, nan}, y, dx;
    run({kind}, x, y, dx);
    EXPECT_EQ(y[0], kInfinity);
    EXPECT_TRUE(std::isnan(y[1]));
    EXPECT_EQ(y[2], large);
    EXPECT_EQ(y[3], 0);
    EXPECT_TRUE(std::isnan(y[4]));
  }
  std::vector<float> x{kInfinity, -kInfinity, -0.0f, nan, -2}, y, dx;
  run({ActivationKind::leaky_relu, 0.5f}, x, y, dx);
  EXPECT_EQ(y[0], kInfinity);
  EXPECT_EQ(y[1], -kInfinity);
  EXPECT_EQ(dx[2], 0.5f);
  EXPECT_TRUE(std::isnan(y[3]));
  EXPECT_EQ(y[4], -1);
}

BNTRAIN_FOR_EVERY_TABLE(ActivationTest);

}  // namespace
}  // namespace bntrain::cpu
