// The kernels of the fully connected layers.
#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "backend/cpu/kernel_test.hpp"

namespace bntrain::cpu {
namespace {

using support::Guarded;

// Terms of a sum: partial sums over 128 terms, then these are added.
std::int64_t longest_sum(std::int64_t terms) {
  return std::min<std::int64_t>(terms, 128) + terms / 128;
}

class LinearTest : public KernelTest {
 protected:
  /// (out, in) in blocks, NaN beyond the layer.
  static Guarded in_blocks(std::span<const float> weights, const LinearShape& s) {
    std::vector<float> blocks(at(weight_floats(s)), std::nanf(""));
    for (std::int64_t o = 0; o < s.out; ++o)
      for (std::int64_t i = 0; i < s.in; ++i)
        blocks[at(weight_position(s, o, i))] = weights[at(o * s.in + i)];
    return Guarded(blocks);
  }
  /// (images, size) -> [group][size][lane].
  std::vector<float> to_groups(std::span<const float> images, std::int64_t size) const {
    std::vector<float> all;
    for (std::size_t first = 0; first < images.size(); first += at(size * k.lanes)) {
      const Guarded group = to_lanes(images.subspan(first, at(size * k.lanes)), size, k.lanes);
      all.insert(all.end(), group.values().begin(), group.values().end());
    }
    return all;
  }
  std::vector<float> from_groups(std::span<const float> groups, std::int64_t size) const {
    std::vector<float> all;
    for (std::size_t first = 0; first < groups.size(); first += at(size * k.lanes)) {
      const auto images = from_lanes(groups.subspan(first, at(size * k.lanes)), k.lanes, k.lanes);
      all.insert(all.end(), images.begin(), images.end());
    }
    return all;
  }

  struct Case {
    LinearShape shape;
    std::int64_t groups;
    std::string name() const {
      return std::to_string(shape.in) + " -> " + std::to_string(shape.out) + ", groups " +
             std::to_string(groups);
    }
  };
  // Every remainder of blocks and register tiles, and sums of several parts.
  static std::vector<Case> cases() {
    std::vector<Case> all;
    for (const std::int64_t groups : {1, 2, 3, 4, 7})
      for (const LinearShape shape :
           {LinearShape{1, 1}, {3, 17}, {16, 16}, {17, 5}, {47, 33}, {50, 10}, {129, 31}, {300, 9}})
        all.push_back({shape, groups});
    for (std::int64_t size = 1; size <= 50; ++size) all.push_back({{1 + size * 7 % 59, size}, 1 + size % 4});
    return all;
  }
};

TEST_P(LinearTest, ForwardIsTheReferences) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name());
    const auto [in, out] = c.shape;
    const bool relu = out % 2 == 0, with_bias = out % 3 != 0;
    const auto weights = random(out * in), x = random(c.groups * k.lanes * in), bias = random(out);
    const reference::LinearShape shape{c.groups * k.lanes, in, out};
    const auto wide_bias = with_bias ? reference::widen(bias) : reference::Values(at(out), 0.0);
    auto expected =
        reference::linear_forward(reference::widen(x), reference::widen(weights), wide_bias, shape);
    const auto sums = reference::linear_forward(
        absolute(reference::widen(x)), absolute(reference::widen(weights)), absolute(wide_bias), shape);
    if (relu) expected = reference::relu_forward(expected);
    Guarded y(at(c.groups * out * k.lanes));
    k.linear_forward(c.shape, {0, out, 0, c.groups}, in_blocks(weights, c.shape).data(),
                     with_bias ? bias.data() : nullptr, relu, Guarded(to_groups(x, in)).data(), y.data());
    EXPECT_TRUE(y.complete());
    EXPECT_TRUE(support::close(from_groups(y.values(), out), expected, bounds(longest_sum(in), sums)));
  }
}

TEST_P(LinearTest, ForwardsReluLetsNanThrough) {
  const LinearShape shape{1, 2};
  const std::vector<float> weights{1, -1}, x(at(k.lanes), std::nanf(""));
  Guarded y(at(2 * k.lanes));
  k.linear_forward(shape, {0, 2, 0, 1}, in_blocks(weights, shape).data(), nullptr, true, Guarded(x).data(),
                   y.data());
  for (const float value : y.values()) EXPECT_TRUE(std::isnan(value));
}

TEST_P(LinearTest, BackwardIsTheReferences) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name());
    const auto [in, out] = c.shape;
    const auto weights = random(out * in), x = random(c.groups * k.lanes * in),
               dy = random(c.groups * k.lanes * out);
    const reference::LinearShape shape{c.groups * k.lanes, in, out};
    const auto expected = reference::linear_backward(reference::widen(x), reference::widen(weights),
                                                     reference::widen(dy), shape);
    const auto magnitude =
        reference::linear_backward(absolute(reference::widen(x)), absolute(reference::widen(weights)),
                                   absolute(reference::widen(dy)), shape);
    const Guarded x_groups(to_groups(x, in)), dy_groups(to_groups(dy, out)),
        blocks = in_blocks(weights, c.shape);

    Guarded dx(at(c.groups * in * k.lanes));
    k.linear_backward_input(c.shape, {0, in, 0, c.groups}, blocks.data(), dy_groups.data(), false, dx.data());
    EXPECT_TRUE(dx.complete());
    EXPECT_TRUE(
        support::close(from_groups(dx.values(), in), expected.x, bounds(longest_sum(out), magnitude.x)));

    Guarded dweights(std::vector<float>(at(weight_floats(c.shape)), 7.0f)), dbias(at(out));
    k.linear_backward_weights(c.shape, c.groups, {0, out, 0, in}, x_groups.data(), dy_groups.data(),
                              dweights.data(), dbias.data());
    EXPECT_TRUE(dweights.intact());
    EXPECT_TRUE(dbias.complete());
    std::vector<float> dense;
    for (std::int64_t o = 0; o < out; ++o)
      for (std::int64_t i = 0; i < in; ++i) dense.push_back(dweights.data()[weight_position(c.shape, o, i)]);
    EXPECT_TRUE(
        support::close(dense, expected.weight, bounds(longest_sum(c.groups * k.lanes), magnitude.weight)));
    EXPECT_TRUE(support::close(dbias.values(), expected.bias, bounds(c.groups * k.lanes, magnitude.bias)));
  }
}

TEST_P(LinearTest, InputGradientIsAddedWhereAnotherIsThere) {
  const LinearShape shape{37, 150};
  const Guarded weights = in_blocks(random(shape.in * shape.out), shape), dy(random(2 * shape.out * k.lanes));
  Guarded dx(at(2 * shape.in * k.lanes)), sum(std::vector<float>(at(2 * shape.in * k.lanes), 1000.0f));
  const LinearPart all{0, shape.in, 0, 2};
  k.linear_backward_input(shape, all, weights.data(), dy.data(), false, dx.data());
  k.linear_backward_input(shape, all, weights.data(), dy.data(), true, sum.data());
  for (std::size_t i = 0; i < dx.values().size(); ++i)
    ASSERT_NEAR(sum.data()[i], 1000.0f + dx.data()[i], 2e-4f) << i;  // two roundings at 1000
}

TEST_P(LinearTest, PartsFillWhatIsTheirsWithTheBitsOfTheWhole) {
  const LinearShape s{150, 77};
  const std::int64_t groups = 5;
  const Guarded weights = in_blocks(random(s.in * s.out), s), x(random(groups * s.in * k.lanes)),
                dy(random(groups * s.out * k.lanes));
  const auto bias = random(s.out);
  // What no part covers must stay 7.
  const auto filled = [](std::int64_t size) { return Guarded(std::vector<float>(at(size), 7.0f)); };
  const auto compare = [&](const Guarded& whole, const Guarded& parts, std::int64_t size, std::int64_t first,
                           std::int64_t last, std::int64_t first_group, std::int64_t last_group) {
    for (std::int64_t g = 0; g < groups; ++g)
      for (std::int64_t i = 0; i < size * k.lanes; ++i) {
        const bool theirs = g >= first_group && g < last_group && i / k.lanes >= first && i / k.lanes < last;
        const auto index = at(g * size * k.lanes + i);
        ASSERT_EQ(parts.values()[index], theirs ? whole.values()[index] : 7.0f) << g << " " << i / k.lanes;
      }
  };
  Guarded y = filled(groups * s.out * k.lanes), y_parts = filled(groups * s.out * k.lanes);
  k.linear_forward(s, {0, s.out, 0, groups}, weights.data(), bias.data(), true, x.data(), y.data());
  for (const LinearPart& part : {LinearPart{16, 48, 1, 2}, {48, s.out, 1, 2}, {16, s.out, 2, 4}})
    k.linear_forward(s, part, weights.data(), bias.data(), true, x.data(), y_parts.data());
  compare(y, y_parts, s.out, 16, s.out, 1, 4);

  Guarded dx = filled(groups * s.in * k.lanes), dx_parts = filled(groups * s.in * k.lanes);
  k.linear_backward_input(s, {0, s.in, 0, groups}, weights.data(), dy.data(), false, dx.data());
  for (const LinearPart& part : {LinearPart{0, 96, 2, 3}, {0, 96, 3, 5}})
    k.linear_backward_input(s, part, weights.data(), dy.data(), false, dx_parts.data());
  compare(dx, dx_parts, s.in, 0, 96, 2, 5);

  Guarded dw = filled(weight_floats(s)), dw_parts = filled(weight_floats(s)), db = filled(s.out),
          db_parts = filled(s.out);
  k.linear_backward_weights(s, groups, {0, s.out, 0, s.in}, x.data(), dy.data(), dw.data(), db.data());
  for (const LinearTile& tile : {LinearTile{16, 64, 48, 144}, {64, s.out, 48, 144}, {16, s.out, 144, s.in}})
    k.linear_backward_weights(s, groups, tile, x.data(), dy.data(), dw_parts.data(),
                              tile.first_input == 48 ? db_parts.data() : nullptr);
  for (std::int64_t o = 0; o < s.out; ++o) {
    ASSERT_EQ(db_parts.data()[o], o < 16 ? 7.0f : db.data()[o]);
    for (std::int64_t i = 0; i < s.in; ++i) {
      const std::int64_t position = weight_position(s, o, i);
      ASSERT_EQ(dw_parts.data()[position], o < 16 || i < 48 ? 7.0f : dw.data()[position]) << o << " " << i;
    }
  }
}

TEST(LinearWeights, PositionsAreThoseOfBlocks) {
  const LinearShape shape{40, 20};
  EXPECT_EQ(weight_floats(shape), 2 * 3 * 256);
  EXPECT_EQ(weight_position(shape, 0, 0), 0);
  EXPECT_EQ(weight_position(shape, 1, 2), 18);
  EXPECT_EQ(weight_position(shape, 0, 17), 257);
  EXPECT_EQ(weight_position(shape, 16, 39), (3 + 2) * 256 + 7);
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

BNTRAIN_FOR_EVERY_TABLE(LinearTest);

}  // namespace
}  // namespace bntrain::cpu
