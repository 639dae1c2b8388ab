// The products of fully connected layers against plain loops in double precision.
#include <cmath>
#include <limits>
#include <stdexcept>

#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "kernels/linear/linear_sums.hpp"
#include "kernels/linear/provider.hpp"
#include "support/guarded.hpp"
#include "support/nan.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {
namespace {

using kernels::LinearShape;
using support::Guarded;
using support::kNan;

std::string name(const LinearShape& s) {
  return std::to_string(s.batch) + "x" + std::to_string(s.in) + " to " + std::to_string(s.out);
}
reference::LinearShape wide(const LinearShape& s) {
  return {s.batch, s.in, s.out};
}

/// Few rows, few columns, neither; one part and several; tails of tiles and of parts; empty sums.
const LinearShape kLinearShapes[] = {{1, 1, 1},    {5, 3, 2},     {7, 130, 10},  {70, 128, 10}, {17, 16, 17},
                                     {3, 1250, 9}, {100, 33, 65}, {300, 20, 16}, {130, 129, 3}, {4, 0, 3}};

/// The tensors of a layer, and its three results.
struct Layer {
  explicit Layer(const LinearShape& s)
      : shape(s),
        x(random_values(s.batch * s.in, 1, 0.5f)),
        w(random_values(s.out * s.in, 2)),
        bias(random_values(s.out, 3)),
        dy(random_values(s.batch * s.out, 4, 0.5f)) {}

  struct Results {
    std::vector<float> y, dx, dw;
  };

  Results run(const kernels::Stream& stream = {}, std::size_t offset = 0, bool with_bias = true) const {
    const Guarded in(x, offset), weights(w, offset), b(bias, offset), gradient(dy, offset);
    const std::size_t workspace = at(kernels::linear_workspace(shape)) / sizeof(float);
    Guarded memory(workspace), y(dy.size(), offset), dx(x.size(), offset), dw(w.size(), offset);
    kernels::linear_forward(shape, in.data(), weights.data(), with_bias ? b.data() : nullptr, y.data(),
                            memory.data(), stream);
    kernels::linear_backward_input(shape, gradient.data(), weights.data(), dx.data(), memory.data(), stream);
    kernels::linear_backward_weights(shape, in.data(), gradient.data(), dw.data(), memory.data(), stream);
    EXPECT_TRUE(y.complete() && dx.complete() && dw.complete());
    EXPECT_TRUE(memory.intact());
    const auto copy = [](const Guarded& from) {
      return std::vector<float>(from.values().begin(), from.values().end());
    };
    return {copy(y), copy(dx), copy(dw)};
  }

  LinearShape shape;
  std::vector<float> x, w, bias, dy;
};

TEST(Linear, ProductsAreSums) {
  for (const LinearShape& s : kLinearShapes)
    for (const bool with_bias : {false, true}) {
      SCOPED_TRACE(name(s));
      const Layer layer(s);
      const Layer::Results results = layer.run({}, 0, with_bias);
      const auto x = reference::widen(layer.x), w = reference::widen(layer.w),
                 dy = reference::widen(layer.dy);
      const auto bias = with_bias ? layer.bias : std::vector<float>(layer.bias.size());
      EXPECT_TRUE(is_sum(
          results.y, reference::linear_forward(x, w, reference::widen(bias), wide(s)),
          reference::linear_forward(absolute(layer.x), absolute(layer.w), absolute(bias), wide(s)), s.in));
      const auto expected = reference::linear_backward(x, w, dy, wide(s));
      const auto magnitudes =
          reference::linear_backward(absolute(layer.x), absolute(layer.w), absolute(layer.dy), wide(s));
      EXPECT_TRUE(is_sum(results.dx, expected.x, magnitudes.x, s.out));
      EXPECT_TRUE(is_sum(results.dw, expected.weight, magnitudes.weight, s.batch));
    }
}

TEST(Linear, BitsDependOnNeitherScheduleNorGridNorAlignment) {
  for (const LinearShape& s : {LinearShape{7, 130, 10}, {70, 128, 10}}) {
    const Layer layer(s);
    const Layer::Results expected = layer.run();
    const auto check = [&](const Layer::Results& actual) {
      EXPECT_TRUE(same_bits(actual.y, expected.y));
      EXPECT_TRUE(same_bits(actual.dx, expected.dx));
      EXPECT_TRUE(same_bits(actual.dw, expected.dw));
    };
    on_every_schedule_and_grid([&](const kernels::Stream& stream) { check(layer.run(stream)); });
    check(layer.run({}, 1));
  }
}

TEST(Linear, ANanStaysInItsRow) {
  Layer layer({7, 130, 10});
  layer.x[130] = layer.dy[10] = kNan;
  const Layer::Results results = layer.run();
  for (std::size_t i = 0; i < results.y.size(); ++i) EXPECT_EQ(std::isnan(results.y[i]), i / 10 == 1) << i;
  for (std::size_t i = 0; i < results.dx.size(); ++i) EXPECT_EQ(std::isnan(results.dx[i]), i / 130 == 1) << i;
  for (std::size_t i = 0; i < results.dw.size(); ++i)
    EXPECT_EQ(std::isnan(results.dw[i]), i / 130 == 0 || i % 130 == 0) << i;
}

TEST(Linear, LaunchesNothingForNoElements) {
  simt_host::Executor executor;
  for (const LinearShape& s : {LinearShape{0, 3, 0}, {0, 0, 4}}) {
    kernels::linear_forward(s, nullptr, nullptr, nullptr, nullptr, nullptr, executor.stream());
    kernels::linear_backward_input(s, nullptr, nullptr, nullptr, nullptr, executor.stream());
    kernels::linear_backward_weights(s, nullptr, nullptr, nullptr, nullptr, executor.stream());
  }
  EXPECT_TRUE(executor.launches().empty());
}

TEST(Linear, RefusesWhatMakesNoSense) {
  for (const LinearShape& s : {LinearShape{-1, 1, 1},
                               {1, -1, 1},
                               {1, 1, -1},
                               {1 << 16, 1 << 15, 1},
                               {1, 1 << 15, 1 << 16},
                               {1 << 16, 1, 1 << 15}}) {
    EXPECT_THROW(kernels::linear_forward(s, nullptr, nullptr, nullptr, nullptr, nullptr, {}),
                 std::invalid_argument);
    EXPECT_THROW(kernels::linear_workspace(s), std::invalid_argument);
  }
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();  // elements of a tensor
  for (const LinearShape& s : {LinearShape{most, 1, 1}, {1, most, 1}, {1, 1, most}})
    EXPECT_NO_THROW(kernels::linear_workspace(s));
  EXPECT_THROW(kernels::linear_forward({7, 130, 10}, nullptr, nullptr, nullptr, nullptr, nullptr, {}),
               std::invalid_argument);
}

TEST(Linear, DividesTheProductsOfFewOutputs) {
  using kernels::prefers_divided_products;
  EXPECT_TRUE(prefers_divided_products({256, 4096, 16}));
  EXPECT_TRUE(prefers_divided_products({256, 1, 1}));
  EXPECT_FALSE(prefers_divided_products({256, 4096, 17}));
  EXPECT_FALSE(prefers_divided_products({256, 4097, 16}));
  EXPECT_FALSE(prefers_divided_products({256, 0, 16}));
  EXPECT_FALSE(prefers_divided_products({256, 4096, 0}));
}

}  // namespace
}  // namespace bntrain
