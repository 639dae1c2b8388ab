// Bias and activation, and the gradient of a bias.
#include <cmath>
#include <stdexcept>

#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "support/guarded.hpp"
#include "support/nan.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {
namespace {

using kernels::BiasShape;
using support::Guarded;

using support::kNan;
constexpr float kSlope = 0.25f;

std::int64_t size_of(const BiasShape& s) {
  return s.batch * s.channels * s.spatial;
}
std::size_t channel_of(std::size_t i, const BiasShape& s) {
  return i / at(s.spatial) % at(s.channels);
}
std::string name(const BiasShape& s) {
  return std::to_string(s.batch) + "x" + std::to_string(s.channels) + "x" + std::to_string(s.spatial);
}

/// Whole vectors of one channel, of adjacent channels, and neither.
const BiasShape kBiasShapes[] = {{3, 5, 36}, {3, 5, 49}, {7, 128, 1}, {7, 10, 1}, {1, 1, 1}, {2, 3, 2}};

std::vector<float> forward(const BiasShape& shape, const std::vector<float>& x, ActivationKind kind,
                           const kernels::Stream& stream = {}, std::size_t offset = 0,
                           bool in_place = false) {
  Guarded in(x, offset), out(x.size(), offset);
  const Guarded bias(random_values(shape.channels, 6), offset);
  kernels::bias_activation_forward(shape, in.data(), bias.data(), kind, kSlope,
                                   in_place ? in.data() : out.data(), stream);
  EXPECT_TRUE(in.intact());
  EXPECT_TRUE(in_place ? out.untouched() : out.complete());
  return copy(in_place ? in : out);
}

TEST(BiasActivation, IsTheActivationOfTheSum) {
  for (const BiasShape& shape : kBiasShapes)
    for (const ActivationKind kind :
         {ActivationKind::none, ActivationKind::relu, ActivationKind::sigmoid, ActivationKind::gelu,
          ActivationKind::silu, ActivationKind::leaky_relu}) {
      SCOPED_TRACE(name(shape));
      std::vector<float> x = random_values(size_of(shape), 7), sums = x;
      x[0] = sums[0] = kNan;
      const std::vector<float> bias = random_values(shape.channels, 6);
      for (std::size_t i = 0; i < x.size(); ++i) sums[i] = x[i] + bias[channel_of(i, shape)];
      Guarded expected(x.size());
      kernels::activation_forward(kind, kSlope, size_of(shape), Guarded(sums).data(), expected.data(), {});
      for (const bool in_place : {false, true})
        for (const std::size_t offset : {0, 1}) {
          const std::vector<float> y = forward(shape, x, kind, {}, offset, in_place);
          EXPECT_TRUE(std::isnan(y[0]));
          EXPECT_TRUE(same_bits(std::span(y).subspan(1), expected.values().subspan(1)));
        }
    }
}

TEST(BiasActivation, NoBiasIsABiasOfZeros) {
  for (const BiasShape& shape : kBiasShapes)
    for (const std::size_t offset : {0, 1}) {
      SCOPED_TRACE(name(shape));
      const std::vector<float> x = random_values(size_of(shape), 7);
      const Guarded in(x, offset), zeros(std::vector<float>(at(shape.channels)), offset);
      Guarded without(x.size(), offset), with(x.size(), offset);
      kernels::bias_activation_forward(shape, in.data(), nullptr, ActivationKind::relu, 0, without.data(),
                                       {});
      kernels::bias_activation_forward(shape, in.data(), zeros.data(), ActivationKind::relu, 0, with.data(),
                                       {});
      EXPECT_TRUE(without.complete());
      EXPECT_TRUE(same_bits(copy(without), copy(with)));
    }
}

TEST(BiasActivation, ForwardBitsDependOnNeitherScheduleNorGrid) {
  for (const BiasShape& shape : {BiasShape{3, 20, 576}, {3, 7, 49}}) {
    const std::vector<float> x = random_values(size_of(shape), 7);
    const std::vector<float> expected = forward(shape, x, ActivationKind::relu);
    on_every_schedule_and_grid([&](const kernels::Stream& stream) {
      EXPECT_TRUE(same_bits(forward(shape, x, ActivationKind::relu, stream), expected));
    });
  }
}

std::vector<float> backward(const BiasShape& shape, const std::vector<float>& dy,
                            const kernels::Stream& stream = {}, std::size_t offset = 0) {
  const Guarded in(dy, offset);
  Guarded out(at(shape.channels), offset);
  Guarded workspace(at(kernels::bias_backward_workspace(shape)) / sizeof(float));
  kernels::bias_backward(shape, in.data(), out.data(), workspace.data(), stream);
  EXPECT_TRUE(out.complete());
  EXPECT_TRUE(workspace.complete());
  return copy(out);
}

/// One chunk and several, of planes in fours and one by one, of columns.
const BiasShape kBiasSums[] = {{3, 5, 36}, {3, 5, 49},  {7, 128, 1}, {7, 10, 1},   {1, 1, 1},
                               {2, 3, 2},  {70, 3, 64}, {71, 3, 49}, {1100, 40, 1}};

TEST(BiasBackward, IsTheSumOfEachChannel) {
  for (const BiasShape& shape : kBiasSums) {
    SCOPED_TRACE(name(shape));
    // A mean of 1000: a long float sum would be off by more than one rounding.
    const std::vector<float> dy = random_values(size_of(shape), 10, 1000);
    reference::Values expected(at(shape.channels)), allowed;
    for (std::size_t i = 0; i < dy.size(); ++i) expected[channel_of(i, shape)] += dy[i];
    for (const double sum : expected)
      allowed.push_back(support::bound(support::kFloatEps, 0, std::abs(sum)) / 2);
    const std::vector<float> dbias = backward(shape, dy);
    EXPECT_TRUE(support::close(dbias, expected, allowed));
    EXPECT_TRUE(same_bits(backward(shape, dy, {}, 1), dbias));
  }
}

TEST(BiasBackward, BitsDependOnNeitherScheduleNorGrid) {
  for (const BiasShape& shape : {BiasShape{70, 9, 64}, {1100, 40, 1}}) {
    SCOPED_TRACE(name(shape));
    const std::vector<float> dy = random_values(size_of(shape), 10);
    const std::vector<float> expected = backward(shape, dy);
    on_every_schedule_and_grid([&](const kernels::Stream& stream) {
      EXPECT_TRUE(same_bits(backward(shape, dy, stream), expected));
    });
  }
}

TEST(BiasBackward, NanStaysInItsChannel) {
  for (const BiasShape& shape : {BiasShape{3, 5, 36}, {7, 10, 1}}) {
    std::vector<float> dy = random_values(size_of(shape), 10);
    dy[at(shape.spatial)] = kNan;
    const std::vector<float> dbias = backward(shape, dy);
    for (std::size_t c = 0; c < dbias.size(); ++c) EXPECT_EQ(std::isnan(dbias[c]), c == 1) << c;
  }
}

TEST(BiasActivation, LaunchNothingForNoElements) {
  simt_host::Executor executor;
  for (const BiasShape& shape : {BiasShape{0, 3, 4}, {2, 0, 4}, {2, 3, 0}}) {
    kernels::bias_activation_forward(shape, nullptr, nullptr, ActivationKind::relu, 0, nullptr,
                                     executor.stream());
    kernels::bias_backward(shape, nullptr, nullptr, nullptr, executor.stream());
  }
  EXPECT_TRUE(executor.launches().empty());
}

TEST(BiasActivation, RefuseWhatMakesNoSense) {
  EXPECT_THROW(
      kernels::bias_activation_forward({-1, 1, 1}, nullptr, nullptr, ActivationKind::relu, 0, nullptr, {}),
      std::invalid_argument);
  EXPECT_THROW(kernels::bias_backward({1, -1, 1}, nullptr, nullptr, nullptr, {}), std::invalid_argument);
  EXPECT_THROW(kernels::bias_backward({1100, 40, 1}, nullptr, nullptr, nullptr, {}), std::invalid_argument);
}

}  // namespace
}  // namespace bntrain
