// The sigmoid of a block against double precision, from end to end of float32.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/kernel_test.hpp"

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
    k.block_forward({1, 1, vectors, 1, vectors, 1, false, Activation::sigmoid, Pooling::maximum}, in.data(),
                    {}, out.data());
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

BNTRAIN_FOR_EVERY_ISA(SigmoidTest);

}  // namespace
}  // namespace bntrain::cpu
