// Average pooling, forward and backward.
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

using kernels::PoolShape;
using support::Guarded;

using support::kNan;

std::int64_t inputs(const PoolShape& s) {
  return s.batch * s.channels * s.height * s.width;
}
std::int64_t outputs(const PoolShape& s) {
  return s.batch * s.channels * s.out_height() * s.out_width();
}
reference::PoolShape wide(const PoolShape& s) {
  return {s.batch, s.channels, s.height, s.width, s.pool};
}
std::string name(const PoolShape& s) {
  return std::to_string(s.batch) + "x" + std::to_string(s.channels) + "x" + std::to_string(s.height) + "x" +
         std::to_string(s.width) + ", pool " + std::to_string(s.pool);
}

/// Whole windows, rests of rows, of columns and of both, one window, none.
const PoolShape kPoolShapes[] = {{2, 3, 6, 8, 2}, {1, 2, 7, 6, 2}, {3, 1, 6, 7, 3}, {2, 2, 8, 11, 3},
                                 {1, 1, 5, 5, 5}, {2, 3, 4, 4, 1}, {1, 2, 9, 13, 4}};

std::vector<float> forward(const PoolShape& shape, const std::vector<float>& x,
                           const kernels::Stream& stream = {}, std::size_t offset = 0) {
  const Guarded in(x, offset);
  Guarded out(at(outputs(shape)), offset);
  kernels::average_pool_forward(shape, in.data(), out.data(), stream);
  EXPECT_TRUE(out.complete());
  return {out.values().begin(), out.values().end()};
}

std::vector<float> backward(const PoolShape& shape, const std::vector<float>& dy,
                            const kernels::Stream& stream = {}, std::size_t offset = 0) {
  const Guarded in(dy, offset);
  Guarded out(at(inputs(shape)), offset);
  kernels::average_pool_backward(shape, in.data(), out.data(), stream);
  EXPECT_TRUE(out.complete());
  return {out.values().begin(), out.values().end()};
}

TEST(AveragePool, IsTheMeanOfEachWindowAndSharesItsGradientEvenly) {
  for (const PoolShape& shape : kPoolShapes)
    for (const std::size_t offset : {0, 1}) {
      SCOPED_TRACE(name(shape));
      const std::vector<float> x = random_values(inputs(shape), 3), dy = random_values(outputs(shape), 4);
      const reference::Values y = reference::avgpool_forward(reference::widen(x), wide(shape));
      const double largest = support::largest(reference::widen(x));
      EXPECT_TRUE(support::close(forward(shape, x, {}, offset), y,
                                 support::bound(support::kFloatEps, shape.pool * shape.pool, largest)));
      const reference::Values dx = reference::avgpool_backward(reference::widen(dy), wide(shape));
      EXPECT_TRUE(
          support::close(backward(shape, dy, {}, offset), dx, support::kFloatEps * support::largest(dx)));
    }
}

TEST(AveragePool, NanStaysInItsWindow) {
  const PoolShape shape{1, 1, 4, 6, 2};
  std::vector<float> x = random_values(24, 3);
  x[9] = kNan;  // row 1, column 3
  const std::vector<float> y = forward(shape, x);
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i == 1) << i;
}

TEST(AveragePool, BitsDependOnNeitherScheduleNorGrid) {
  const PoolShape shape{3, 5, 25, 24, 2};
  const std::vector<float> x = random_values(inputs(shape), 3), dy = random_values(outputs(shape), 4);
  const std::vector<float> y = forward(shape, x), dx = backward(shape, dy);
  on_every_schedule_and_grid([&](const kernels::Stream& stream) {
    EXPECT_TRUE(same_bits(forward(shape, x, stream), y));
    EXPECT_TRUE(same_bits(backward(shape, dy, stream), dx));
  });
}

TEST(AveragePool, LaunchesNothingForNoElementsAndRefusesWhatMakesNoSense) {
  simt_host::Executor executor;
  for (const PoolShape& shape : {PoolShape{0, 3, 4, 4, 2}, {2, 0, 4, 4, 2}, {2, 3, 0, 4, 2}}) {
    kernels::average_pool_forward(shape, nullptr, nullptr, executor.stream());
    kernels::average_pool_backward(shape, nullptr, nullptr, executor.stream());
  }
  kernels::average_pool_forward({1, 1, 2, 2, 3}, nullptr, nullptr, executor.stream());  // no window fits
  EXPECT_TRUE(executor.launches().empty());
  EXPECT_THROW(kernels::average_pool_forward({1, 1, 4, 4, 0}, nullptr, nullptr, {}), std::invalid_argument);
  EXPECT_THROW(kernels::average_pool_backward({1, -1, 4, 4, 2}, nullptr, nullptr, {}), std::invalid_argument);
}

}  // namespace
}  // namespace bntrain
