// Sigmoid, forward and backward.
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

using support::bound;
using support::Guarded;
using support::kFloatEps;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> copy(const Guarded& from) {
  return {from.values().begin(), from.values().end()};
}

std::vector<float> forward(const std::vector<float>& x, const kernels::Stream& stream = {},
                           std::size_t offset = 0, bool in_place = false) {
  Guarded in(x, offset), out(x.size(), offset);
  kernels::sigmoid_forward(static_cast<std::int64_t>(x.size()), in.data(), in_place ? in.data() : out.data(),
                           stream);
  EXPECT_TRUE(in.intact());
  EXPECT_TRUE(in_place ? out.untouched() : out.complete());
  return copy(in_place ? in : out);
}

std::vector<float> backward(const std::vector<float>& y, const std::vector<float>& dy,
                            const kernels::Stream& stream = {}, std::size_t offset = 0,
                            bool in_place = false) {
  const Guarded output(y, offset);
  Guarded gradient(dy, offset), dx(dy.size(), offset);
  kernels::sigmoid_backward(static_cast<std::int64_t>(y.size()), output.data(), gradient.data(),
                            in_place ? gradient.data() : dx.data(), stream);
  EXPECT_TRUE(gradient.intact());
  EXPECT_TRUE(in_place ? dx.untouched() : dx.complete());
  return copy(in_place ? gradient : dx);
}

TEST(Sigmoid, IsWithinFourRoundings) {
  std::vector<float> x;
  for (float value = -87; value <= 20; value += 0.037f) x.push_back(value);
  for (const std::int64_t size : {1, 4, 1023, static_cast<int>(x.size())})
    for (const std::size_t offset : {0, 1})
      for (const bool in_place : {false, true}) {
        const std::vector<float> part(x.begin(), x.begin() + size);
        const reference::Values expected = reference::sigmoid_forward(reference::widen(part));
        reference::Values allowed;
        for (const double value : expected) allowed.push_back(4 * kFloatEps * value);
        EXPECT_TRUE(support::close(forward(part, {}, offset, in_place), expected, allowed));
      }
}

TEST(Sigmoid, EndsAtZeroAndOneAndNanPasses) {
  const float large = std::numeric_limits<float>::max();
  const std::vector<float> y =
      forward({0, 20, 1000, large, kInfinity, -105, -1000, -large, -kInfinity, kNan});
  const std::vector<float> expected{0.5f, 1, 1, 1, 1, 0, 0, 0, 0};
  EXPECT_TRUE(same_bits(std::span(y).first(9), expected));
  EXPECT_TRUE(std::isnan(y[9]));
  EXPECT_GT(forward({-88})[0], 0);
}

TEST(Sigmoid, BackwardIsTheSlopeAtTheOutput) {
  for (const std::int64_t size : {1, 4, 1023, 4096})
    for (const std::size_t offset : {0, 1})
      for (const bool in_place : {false, true}) {
        std::vector<float> x = random_values(size, 8, 0, 3), dy = random_values(size, 9);
        reference::Values allowed;
        for (const float value : dy) allowed.push_back(bound(kFloatEps, 1, std::abs(value)));
        EXPECT_TRUE(support::close(backward(forward(x), dy, {}, offset, in_place),
                                   reference::sigmoid_backward(reference::widen(x), reference::widen(dy)),
                                   allowed));
      }
  const std::vector<float> ends = backward({0, 1, kNan}, {5, 6, 7});
  EXPECT_EQ(ends[0], 0);
  EXPECT_EQ(ends[1], 0);
  EXPECT_TRUE(std::isnan(ends[2]));
}

TEST(Sigmoid, BitsDependOnNeitherScheduleNorGrid) {
  const std::vector<float> x = random_values(21 * 1024 + 3, 8), dy = random_values(21 * 1024 + 3, 9);
  const std::vector<float> y = forward(x), dx = backward(y, dy);
  on_every_schedule_and_grid([&](const kernels::Stream& stream) {
    EXPECT_TRUE(same_bits(forward(x, stream), y));
    EXPECT_TRUE(same_bits(backward(y, dy, stream), dx));
  });
}

TEST(Sigmoid, LaunchesNothingForNoElementsAndRefusesLess) {
  simt_host::Executor executor;
  kernels::sigmoid_forward(0, nullptr, nullptr, executor.stream());
  kernels::sigmoid_backward(0, nullptr, nullptr, nullptr, executor.stream());
  EXPECT_TRUE(executor.launches().empty());
  EXPECT_THROW(kernels::sigmoid_forward(-1, nullptr, nullptr, {}), std::invalid_argument);
  EXPECT_THROW(kernels::sigmoid_backward(-1, nullptr, nullptr, nullptr, {}), std::invalid_argument);
}

}  // namespace
}  // namespace bntrain
