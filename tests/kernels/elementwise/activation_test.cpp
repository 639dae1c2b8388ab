// Activations, forward and backward, each kind against its formula in double precision; and add().
#include "bntrain/activation.hpp"

#include <cfloat>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "support/guarded.hpp"
#include "support/nan.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {
namespace {

using reference::Values;
using support::Guarded;
using support::kFloatEps;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
using support::kNan;

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}
double distribution(double x) {
  return std::erfc(-x / std::numbers::sqrt2) / 2;
}
double density(double x) {
  return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
}

/// An activation in double precision, and what float32 may add to it (the derivation is in activation.cuh).
struct Reference {
  double y, slope;
  double y_error, slope_error;
};

Reference reference_of(ActivationKind kind, double negative_slope, double x) {
  const double ulp_of_exp = 4 * std::abs(x) * std::numeric_limits<float>::denorm_min();
  switch (kind) {
    case ActivationKind::none:
      return {x, 1, 0, 0};
    case ActivationKind::relu:
      return {std::max(x, 0.0), x > 0 ? 1.0 : 0.0, 0, 0};
    case ActivationKind::leaky_relu: {
      const double slope = x > 0 ? 1 : negative_slope;
      return {slope * x, slope, kFloatEps / 2 * std::abs(slope * x), kFloatEps / 2 * slope};
    }
    case ActivationKind::sigmoid: {
      const double s = sigmoid(x), slope = s * sigmoid(-x);
      // 1 - y is off by the error of y; the product rounds twice.
      return {s, slope, 4 * kFloatEps * s + ulp_of_exp,
              4 * kFloatEps * s + 2 * kFloatEps * slope + ulp_of_exp};
    }
    case ActivationKind::silu: {
      const double s = sigmoid(x), term = x * sigmoid(-x);
      return {x * s, s * (1 + term), 5 * kFloatEps * std::abs(x * s) + ulp_of_exp,
              10 * kFloatEps * s * (1 + std::abs(term)) + ulp_of_exp};
    }
    case ActivationKind::gelu: {
      const double p = distribution(x), term = x * density(x);
      return {x * p, p + term, (7 + x * x) * kFloatEps * std::abs(x * p) + ulp_of_exp,
              (8 + x * x) * kFloatEps * (p + std::abs(term)) + ulp_of_exp};
    }
  }
  return {};
}

enum class Target { own, first, second };

/// y = activation(x), into memory of its own or over x.
std::vector<float> forward(const ActivationType& type, const std::vector<float>& x,
                           const kernels::Stream& stream = {}, std::size_t offset = 0,
                           Target target = Target::own) {
  Guarded in(x, offset), own(x.size(), offset);
  Guarded& out = target == Target::own ? own : in;
  kernels::activation_forward(type.kind, type.default_slope, static_cast<std::int64_t>(x.size()), in.data(),
                              out.data(), stream);
  EXPECT_TRUE(in.intact());
  EXPECT_TRUE(target == Target::own ? own.complete() : own.untouched());
  return copy(out);
}

/// dx of the activation, into memory of its own, over `saved` or over dy.
std::vector<float> backward(const ActivationType& type, const std::vector<float>& saved,
                            const std::vector<float>& dy, const kernels::Stream& stream = {},
                            std::size_t offset = 0, Target target = Target::own) {
  Guarded kept(saved, offset), gradient(dy, offset), own(dy.size(), offset);
  Guarded& dx = target == Target::own ? own : target == Target::first ? kept : gradient;
  kernels::activation_backward(type.kind, type.default_slope, static_cast<std::int64_t>(dy.size()),
                               kept.data(), gradient.data(), dx.data(), stream);
  EXPECT_TRUE(kept.intact());
  EXPECT_TRUE(gradient.intact());
  EXPECT_TRUE(target == Target::own ? own.complete() : own.untouched());
  return copy(dx);
}

/// What backward() reads: y or x.
std::vector<float> saved_by_forward(const ActivationType& type, const std::vector<float>& x) {
  return type.gradient_from_output ? forward(type, x) : x;
}

std::string keyword_of(const testing::TestParamInfo<ActivationType>& info) {
  return std::string(info.param.keyword);
}

class Activations : public testing::TestWithParam<ActivationType> {};
INSTANTIATE_TEST_SUITE_P(, Activations, testing::ValuesIn(activation_types), keyword_of);

/// From where exp(-|x|) and Phi(x) are 0 to where they are 1, densely.
std::vector<float> dense_values() {
  std::vector<float> x;
  for (float value = -110; value <= 110; value += 0.037f) x.push_back(value);
  for (float value = -2; value <= 2; value += 0.0007f) x.push_back(value);
  return x;
}

TEST_P(Activations, ForwardIsWithinItsBound) {
  const std::vector<float> x = dense_values();
  for (const std::int64_t size : {1, 3, 4, 1023, static_cast<int>(x.size())})
    for (const std::size_t offset : {0, 1})
      for (const Target target : {Target::own, Target::first}) {
        const std::vector<float> part(x.end() - size, x.end());
        Values expected, allowed;
        for (const float value : part) {
          const Reference r = reference_of(GetParam().kind, GetParam().default_slope, value);
          expected.push_back(r.y);
          allowed.push_back(r.y_error);
        }
        EXPECT_TRUE(support::close(forward(GetParam(), part, {}, offset, target), expected, allowed));
      }
}

TEST_P(Activations, BackwardIsWithinItsBound) {
  const std::vector<float> x = dense_values(), dy = random_values(static_cast<std::int64_t>(x.size()), 9);
  for (const std::int64_t size : {1, 3, 4, 1023, static_cast<int>(x.size())})
    for (const std::size_t offset : {0, 1})
      for (const Target target : {Target::own, Target::first, Target::second}) {
        const std::vector<float> part(x.end() - size, x.end()), gradient(dy.end() - size, dy.end());
        Values expected, allowed;
        for (std::size_t i = 0; i < part.size(); ++i) {
          const Reference r = reference_of(GetParam().kind, GetParam().default_slope, part[i]);
          expected.push_back(r.slope * gradient[i]);
          allowed.push_back((r.slope_error + kFloatEps * std::abs(r.slope)) * std::abs(gradient[i]) +
                            std::numeric_limits<float>::denorm_min());
        }
        EXPECT_TRUE(support::close(
            backward(GetParam(), saved_by_forward(GetParam(), part), gradient, {}, offset, target), expected,
            allowed));
      }
}

TEST_P(Activations, LargeValuesGiveTheLimits) {
  const ActivationType& type = GetParam();
  const float large = FLT_MAX;
  const bool grows = type.kind != ActivationKind::sigmoid;
  const std::vector<float> x{0, 200, large, -200, -large}, ones(x.size(), 1.0f);
  const std::vector<float> y = forward(type, x), dx = backward(type, saved_by_forward(type, x), ones);
  const float at_zero = grows ? 0 : 0.5f;
  const float slope = type.default_slope;
  // EXPECT_EQ takes 0 and -0 for equal.
  EXPECT_EQ(
      y, (std::vector<float>{at_zero, grows ? 200.0f : 1, grows ? large : 1, slope * -200, slope * -large}));
  const float high = grows ? 1 : 0;
  EXPECT_EQ(std::vector<float>(dx.begin() + 1, dx.end()), (std::vector<float>{high, high, slope, slope}));
}

TEST_P(Activations, InfinityAndNanAreThoseOfPyTorch) {
  const ActivationType& type = GetParam();
  const bool from_output = type.gradient_from_output;
  const bool relu = type.kind == ActivationKind::relu, sigmoid = type.kind == ActivationKind::sigmoid;
  const std::vector<float> y = forward(type, {kInfinity, -kInfinity, kNan});
  EXPECT_EQ(y[0], sigmoid ? 1 : kInfinity);
  if (from_output)
    EXPECT_EQ(y[1], relu || sigmoid ? 0 : -kInfinity);
  else
    EXPECT_TRUE(std::isnan(y[1])) << y[1];
  EXPECT_TRUE(std::isnan(y[2]));
  const std::vector<float> x{kInfinity, -kInfinity, kNan};
  const std::vector<float> dx = backward(type, from_output ? y : x, {2, 2, 2});
  if (from_output) {
    EXPECT_EQ(dx[0], sigmoid ? 0 : 2);
    EXPECT_EQ(dx[1], 2 * type.default_slope);
  } else {
    EXPECT_TRUE(std::isnan(dx[0]) && std::isnan(dx[1]));
  }
  if (relu)
    EXPECT_EQ(dx[2], 2);
  else if (type.kind == ActivationKind::leaky_relu)
    EXPECT_EQ(dx[2], 2 * type.default_slope);
  else
    EXPECT_TRUE(std::isnan(dx[2]));
  // A NaN gradient passes wherever the slope is not exactly 0.
  EXPECT_TRUE(std::isnan(backward(type, {0.5f}, {kNan})[0]));
}

TEST_P(Activations, BitsDependOnNeitherScheduleNorGrid) {
  const std::vector<float> x = random_values(21 * 1024 + 3, 8), dy = random_values(21 * 1024 + 3, 9);
  const std::vector<float> saved = saved_by_forward(GetParam(), x);
  const std::vector<float> y = forward(GetParam(), x), dx = backward(GetParam(), saved, dy);
  on_every_schedule_and_grid([&](const kernels::Stream& stream) {
    EXPECT_TRUE(same_bits(forward(GetParam(), x, stream), y));
    EXPECT_TRUE(same_bits(backward(GetParam(), saved, dy, stream), dx));
  });
}

TEST_P(Activations, LaunchesNothingForNoElementsAndRefusesLess) {
  const ActivationKind kind = GetParam().kind;
  simt_host::Executor executor;
  kernels::activation_forward(kind, 0, 0, nullptr, nullptr, executor.stream());
  kernels::activation_backward(kind, 0, 0, nullptr, nullptr, nullptr, executor.stream());
  EXPECT_TRUE(executor.launches().empty());
  EXPECT_THROW(kernels::activation_forward(kind, 0, -1, nullptr, nullptr, {}), std::invalid_argument);
  EXPECT_THROW(kernels::activation_backward(kind, 0, -1, nullptr, nullptr, nullptr, {}),
               std::invalid_argument);
}

TEST(Activation, NoneIsTheIdentity) {
  const ActivationType none{ActivationKind::none, "none", true, true, 0, 0, 0};
  const std::vector<float> x = random_values(1023, 8), dy = random_values(1023, 9);
  EXPECT_TRUE(same_bits(forward(none, x), x));
  EXPECT_TRUE(same_bits(backward(none, x, dy), dy));
}

TEST(Activation, SlopesOfLeakyReluAreThoseGiven) {
  for (const float slope : {0.0f, 0.3f, 1.0f, 2.0f}) {
    const ActivationType type{ActivationKind::leaky_relu, "", true, true, slope, 0, 0};
    EXPECT_EQ(forward(type, {-1, 0, 2}), (std::vector<float>{-slope, 0, 2}));
    EXPECT_EQ(backward(type, {-1, 0, 2}, {3, 3, 3}), (std::vector<float>{3 * slope, 3 * slope, 3}));
  }
  for (const float slope : {-0.1f, kNan})
    EXPECT_THROW(kernels::activation_forward(ActivationKind::leaky_relu, slope, 0, nullptr, nullptr, {}),
                 std::invalid_argument);
}

TEST(Activation, TinyProbabilitiesAreNotZero) {
  const ActivationType sigmoid{ActivationKind::sigmoid, "", true, true, 0, 0, 0};
  EXPECT_GT(forward(sigmoid, {-88})[0], 0);
}

std::vector<float> added(const std::vector<float>& a, const std::vector<float>& b,
                         const kernels::Stream& stream = {}, std::size_t offset = 0,
                         Target target = Target::own) {
  Guarded first(a, offset), second(b, offset), own(a.size(), offset);
  Guarded& out = target == Target::own ? own : target == Target::first ? first : second;
  kernels::add(static_cast<std::int64_t>(a.size()), first.data(), second.data(), out.data(), stream);
  EXPECT_TRUE(first.intact());
  EXPECT_TRUE(second.intact());
  EXPECT_TRUE(target == Target::own ? own.complete() : own.untouched());
  return copy(out);
}

TEST(Add, IsTheSumOfTwoElements) {
  for (const std::int64_t size : {1, 3, 4, 1023, 4096})
    for (const std::size_t offset : {0, 1})
      for (const Target target : {Target::own, Target::first, Target::second}) {
        std::vector<float> a = random_values(size, 1), b = random_values(size, 2), expected;
        for (std::size_t i = 0; i < a.size(); ++i) expected.push_back(a[i] + b[i]);
        EXPECT_TRUE(same_bits(added(a, b, {}, offset, target), expected));
      }
  const std::vector<float> special =
      added({kNan, kInfinity, kInfinity, FLT_MAX}, {1, 1, -kInfinity, FLT_MAX});
  EXPECT_TRUE(std::isnan(special[0]) && std::isnan(special[2]));
  EXPECT_EQ(special[1], kInfinity);
  EXPECT_EQ(special[3], kInfinity);
}

TEST(Add, ReadsAlignedVectorsWhereAllPointersAre) {
  const std::vector<float> a = random_values(4096, 1);
  const auto blocks = [&](std::size_t offset) {
    simt_host::Executor executor;
    added(a, a, executor.stream(), offset);
    return executor.launches().at(0).grid;
  };
  EXPECT_LT(blocks(0), blocks(1));
}

TEST(Add, BitsDependOnNeitherScheduleNorGrid) {
  const std::vector<float> a = random_values(21 * 1024 + 3, 1), b = random_values(21 * 1024 + 3, 2);
  const std::vector<float> expected = added(a, b);
  on_every_schedule_and_grid(
      [&](const kernels::Stream& stream) { EXPECT_TRUE(same_bits(added(a, b, stream), expected)); });
}

TEST(Add, LaunchesNothingForNoElementsAndRefusesLess) {
  simt_host::Executor executor;
  kernels::add(0, nullptr, nullptr, nullptr, executor.stream());
  EXPECT_TRUE(executor.launches().empty());
  EXPECT_THROW(kernels::add(-1, nullptr, nullptr, nullptr, {}), std::invalid_argument);
}

}  // namespace
}  // namespace bntrain
