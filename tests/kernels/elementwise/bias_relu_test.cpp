// Bias and ReLU, forward and backward.
#include <cmath>
#include <limits>
#include <stdexcept>

#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "support/guarded.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {
namespace {

using kernels::BiasShape;
using support::Guarded;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::int64_t size_of(const BiasShape& s) {
  return s.batch * s.channels * s.spatial;
}
std::size_t channel_of(std::size_t i, const BiasShape& s) {
  return i / at(s.spatial) % at(s.channels);
}
std::string name(const BiasShape& s) {
  return std::to_string(s.batch) + "x" + std::to_string(s.channels) + "x" + std::to_string(s.spatial);
}
std::vector<float> copy(const Guarded& from) {
  return {from.values().begin(), from.values().end()};
}

/// Whole vectors of one channel, of channels side by side, and neither.
const BiasShape kShapes[] = {{3, 5, 36}, {3, 5, 49}, {7, 128, 1}, {7, 10, 1}, {1, 1, 1}, {2, 3, 2}};

std::vector<float> forward(const BiasShape& shape, const std::vector<float>& x, bool relu,
                           const kernels::Stream& stream = {}, std::size_t offset = 0,
                           bool in_place = false) {
  Guarded in(x, offset), out(x.size(), offset);
  const Guarded bias(random_values(shape.channels, 6), offset);
  kernels::bias_relu_forward(shape, in.data(), bias.data(), relu, in_place ? in.data() : out.data(), stream);
  EXPECT_TRUE(in.intact());
  EXPECT_TRUE(in_place ? out.untouched() : out.complete());
  return copy(in_place ? in : out);
}

TEST(BiasRelu, AddsTheChannelsBiasAndCuts) {
  for (const BiasShape& shape : kShapes)
    for (const bool relu : {false, true}) {
      SCOPED_TRACE(name(shape));
      std::vector<float> x = random_values(size_of(shape), 7), expected = x;
      x[0] = expected[0] = kNan;
      const std::vector<float> bias = random_values(shape.channels, 6);
      for (std::size_t i = 0; i < x.size(); ++i) {
        expected[i] = x[i] + bias[channel_of(i, shape)];
        if (relu && expected[i] <= 0) expected[i] = 0;
      }
      for (const bool in_place : {false, true})
        for (const std::size_t offset : {0, 1}) {
          const std::vector<float> y = forward(shape, x, relu, {}, offset, in_place);
          EXPECT_TRUE(std::isnan(y[0]));
          EXPECT_TRUE(same_bits(std::span(y).subspan(1), std::span(expected).subspan(1)));
        }
    }
}

TEST(BiasRelu, NoBiasIsABiasOfZeros) {
  for (const BiasShape& shape : kShapes)
    for (const std::size_t offset : {0, 1}) {
      SCOPED_TRACE(name(shape));
      const std::vector<float> x = random_values(size_of(shape), 7);
      const Guarded in(x, offset), zeros(std::vector<float>(at(shape.channels)), offset);
      Guarded without(x.size(), offset), with(x.size(), offset);
      kernels::bias_relu_forward(shape, in.data(), nullptr, true, without.data(), {});
      kernels::bias_relu_forward(shape, in.data(), zeros.data(), true, with.data(), {});
      EXPECT_TRUE(without.complete());
      EXPECT_TRUE(same_bits(copy(without), copy(with)));
    }
}

TEST(BiasRelu, ForwardBitsDependOnNeitherScheduleNorGrid) {
  for (const BiasShape& shape : {BiasShape{3, 20, 576}, {3, 7, 49}}) {
    const std::vector<float> x = random_values(size_of(shape), 7);
    const std::vector<float> expected = forward(shape, x, true);
    on_every_schedule_and_grid([&](const kernels::Stream& stream) {
      EXPECT_TRUE(same_bits(forward(shape, x, true, stream), expected));
    });
  }
}

TEST(ReluBackward, PassesWhereTheOutputIsPositiveOrNan) {
  for (const std::int64_t size : {1, 4, 1023, 4096})
    for (const std::size_t offset : {0, 1})
      for (const bool in_place : {false, true}) {
        std::vector<float> y = random_values(size, 8);
        for (std::size_t i = 0; i < y.size(); i += 3) y[i] = i % 2 == 0 ? 0.0f : -0.0f;
        y.back() = kNan;
        const std::vector<float> dy = random_values(size, 9);
        const Guarded output(y, offset);
        Guarded gradient(dy, offset), dx(dy.size(), offset);
        kernels::relu_backward(size, output.data(), gradient.data(), in_place ? gradient.data() : dx.data(),
                               {});
        EXPECT_TRUE(gradient.intact());
        EXPECT_TRUE(in_place ? dx.untouched() : dx.complete());
        const Guarded& result = in_place ? gradient : dx;
        for (std::size_t i = 0; i < y.size(); ++i)
          ASSERT_EQ(result.data()[i], y[i] > 0 || std::isnan(y[i]) ? dy[i] : 0) << i;
      }
}

TEST(ReluBackward, BitsDependOnNeitherScheduleNorGrid) {
  const std::vector<float> y = random_values(21 * 1024 + 3, 8), dy = random_values(21 * 1024 + 3, 9);
  std::vector<float> expected = dy;
  for (std::size_t i = 0; i < y.size(); ++i)
    if (y[i] <= 0) expected[i] = 0;
  on_every_schedule_and_grid([&](const kernels::Stream& stream) {
    const Guarded output(y), gradient(dy);
    Guarded dx(dy.size());
    kernels::relu_backward(static_cast<std::int64_t>(y.size()), output.data(), gradient.data(), dx.data(),
                           stream);
    EXPECT_TRUE(same_bits(copy(dx), expected));
  });
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
const BiasShape kSums[] = {{3, 5, 36}, {3, 5, 49},  {7, 128, 1}, {7, 10, 1},   {1, 1, 1},
                           {2, 3, 2},  {70, 3, 64}, {71, 3, 49}, {1100, 40, 1}};

TEST(BiasBackward, IsTheSumOfEachChannel) {
  for (const BiasShape& shape : kSums) {
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

TEST(BiasRelu, LaunchNothingForNoElements) {
  simt_host::Executor executor;
  for (const BiasShape& shape : {BiasShape{0, 3, 4}, {2, 0, 4}, {2, 3, 0}}) {
    kernels::bias_relu_forward(shape, nullptr, nullptr, true, nullptr, executor.stream());
    kernels::bias_backward(shape, nullptr, nullptr, nullptr, executor.stream());
  }
  kernels::relu_backward(0, nullptr, nullptr, nullptr, executor.stream());
  EXPECT_TRUE(executor.launches().empty());
}

TEST(BiasRelu, RefuseWhatMakesNoSense) {
  EXPECT_THROW(kernels::bias_relu_forward({-1, 1, 1}, nullptr, nullptr, true, nullptr, {}),
               std::invalid_argument);
  EXPECT_THROW(kernels::relu_backward(-1, nullptr, nullptr, nullptr, {}), std::invalid_argument);
  EXPECT_THROW(kernels::bias_backward({1, -1, 1}, nullptr, nullptr, nullptr, {}), std::invalid_argument);
  EXPECT_THROW(kernels::bias_backward({1100, 40, 1}, nullptr, nullptr, nullptr, {}), std::invalid_argument);
}

}  // namespace
}  // namespace bntrain
