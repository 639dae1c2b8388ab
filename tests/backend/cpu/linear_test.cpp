// The kernels of the fully connected layers.
#include <algorithm>

#include "backend/cpu/kernel_test.hpp"

namespace bntrain::cpu {
namespace {

using support::Guarded;

class LinearTest : public KernelTest {};

TEST_P(LinearTest, PanelProductForEveryRemainder) {
  for (std::int64_t m = 1; m <= 50; ++m) {
    const std::int64_t inner = 1 + m * 7 % 19, stride = m + m % 4;
    const bool relu = m % 2 == 0, with_bias = m % 3 != 0;
    SCOPED_TRACE("m " + std::to_string(m) + ", k " + std::to_string(inner));
    const auto a = random(inner * stride), b = random(k.lanes * inner), bias = random(m);
    reference::Values weight, sums_weight;  // (m, inner)
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < inner; ++j) weight.push_back(a[at(j * stride + i)]);
    const reference::LinearShape shape{k.lanes, inner, m};
    const auto wide_bias = with_bias ? reference::widen(bias) : reference::Values(at(m), 0.0);
    auto expected = reference::linear_forward(reference::widen(b), weight, wide_bias, shape);
    const auto sums = reference::linear_forward(absolute(reference::widen(b)), absolute(weight),
                                                absolute(wide_bias), shape);
    if (relu) expected = reference::relu_forward(expected);
    Guarded out(at(m * k.lanes));
    k.panel_product(a.data(), stride, m, inner, to_lanes(b, inner, k.lanes).data(),
                    with_bias ? bias.data() : nullptr, relu, out.data());
    EXPECT_TRUE(out.complete());
    EXPECT_TRUE(support::close(from_lanes(out.values(), k.lanes, k.lanes), expected, bounds(inner, sums)));
  }
}

TEST_P(LinearTest, PanelProductsReluLetsNanThrough) {
  const std::vector<float> a{1, -1}, b(at(k.lanes), std::nanf(""));
  Guarded out(at(2 * k.lanes));
  k.panel_product(a.data(), 2, 2, 1, to_lanes(b, 1, k.lanes).data(), nullptr, true, out.data());
  for (const float value : out.values()) EXPECT_TRUE(std::isnan(value));
}

TEST_P(LinearTest, PanelOuterFillsItsRowsAlone) {
  for (const std::int64_t rows : {1, 2, 3, 5, 7, 10, 31})
    for (const std::int64_t columns : {1, 3, 4, 5, 9, 23})
      for (const std::int64_t groups : {1, 3}) {
        SCOPED_TRACE(std::to_string(rows) + "x" + std::to_string(columns) + ", groups " +
                     std::to_string(groups));
        const std::int64_t first = rows > 4 ? 2 : 0, last = rows > 9 ? rows - 1 : rows;
        const Guarded a(random(groups * rows * k.lanes)), b(random(groups * columns * k.lanes));
        Guarded out(std::vector<float>(at(rows * columns), 7.0f)), sums(std::vector<float>(at(rows), 7.0f));
        k.panel_outer(a.data(), rows, b.data(), columns, groups, first, last, out.data(), sums.data());
        const auto images = [&](const Guarded& lanes, std::int64_t size) {
          std::vector<float> all;
          for (std::int64_t g = 0; g < groups; ++g) {
            const auto one = from_lanes(lanes.values().subspan(at(g * size * k.lanes), at(size * k.lanes)),
                                        k.lanes, k.lanes);
            all.insert(all.end(), one.begin(), one.end());
          }
          return reference::widen(all);
        };
        const reference::LinearShape shape{groups * k.lanes, columns, rows};
        const auto x = images(b, columns), dy = images(a, rows);
        const reference::Values none(at(rows * columns), 0.0);
        auto expected = reference::linear_backward(x, none, dy, shape);
        auto magnitude = reference::linear_backward(absolute(x), none, absolute(dy), shape);
        for (std::int64_t i = 0; i < rows; ++i) {
          if (i >= first && i < last) continue;
          std::fill_n(expected.weight.begin() + i * columns, columns, 7.0);
          expected.bias[at(i)] = 7;
        }
        EXPECT_TRUE(
            support::close(out.values(), expected.weight, bounds(groups * k.lanes, magnitude.weight)));
        EXPECT_TRUE(support::close(sums.values(), expected.bias, bounds(groups * k.lanes, magnitude.bias)));
        EXPECT_TRUE(out.intact());
        EXPECT_TRUE(sums.intact());
      }
}

TEST_P(LinearTest, ReluBackwardMasksWhereTheOutputIsZero) {
  const std::int64_t size = 13;
  std::vector<float> y = random(size * k.lanes);
  for (float& value : y) value = std::max(value, 0.0f);
  y[1] = std::nanf("");
  const std::vector<float> dy = random(size * k.lanes);
  const Guarded output(y);
  Guarded gradient(dy);
  k.activation_backward({ActivationKind::relu}, size, output.data(), gradient.data());
  for (std::size_t i = 0; i < dy.size(); ++i) EXPECT_EQ(gradient.data()[i], y[i] == 0 ? 0 : dy[i]) << i;
  EXPECT_TRUE(gradient.intact());
}

TEST_P(LinearTest, TransposeOfARangeOfRows) {
  for (const std::int64_t rows : {1, 7, 33})
    for (const std::int64_t columns : {1, 16, 35}) {
      const std::int64_t first = rows / 3, last = rows == 33 ? 30 : rows;
      const auto in = random(rows * columns);
      Guarded out(std::vector<float>(in.size(), 7.0f));
      k.transpose(in.data(), rows, columns, first, last, out.data());
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < columns; ++j)
          ASSERT_EQ(out.data()[j * rows + i], i >= first && i < last ? in[at(i * columns + j)] : 7.0f);
      EXPECT_TRUE(out.intact());
    }
}

BNTRAIN_FOR_EVERY_ISA(LinearTest);

}  // namespace
}  // namespace bntrain::cpu
