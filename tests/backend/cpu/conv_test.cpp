// The convolution kernels of every instruction set against plain loops in double.
#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "backend/cpu/conv_problem.hpp"
#include "support/winograd_magnitudes.hpp"

namespace bntrain::cpu {
namespace {

using support::Guarded;

constexpr float kDead = 1e3f;  // a kernel that mixes lanes would spread it

const reference::WinogradMagnitudes small_tiles({0, 1, -1});
const reference::WinogradMagnitudes large_tiles({0, 0.625, -0.625, 1.5, -1.5});

class ConvTest : public KernelTest {
 protected:
  /// Calls check(algorithm, problem) for every case, with a full group and with short ones in turn.
  template <class Check>
  void for_each_case(Check check) {
    int i = 0;
    for (const ConvCase& c : conv_cases()) {
      const int valid = i % 2 == 0 ? k.lanes : 1 + (i / 2) % k.lanes;
      ++i;
      const ConvProblem p = make_problem(c, valid, [this](std::int64_t size) { return random(size); });
      for (const ConvAlgorithm* algorithm : algorithms_for(k, p)) {
        SCOPED_TRACE(algorithm->name + (", " + c.name()));
        check(*algorithm, p);
        if (HasFailure()) return;
      }
    }
  }

  static Guarded packed(const ConvAlgorithm& conv, const ConvProblem& p) {
    Guarded result(at(conv.packed_floats(p.shape)));
    conv.pack(p.shape, p.weight.data(), result.data());
    EXPECT_TRUE(result.complete());
    return result;
  }

  Guarded forward(const ConvAlgorithm& conv, const ConvProblem& p, const float* bias) {
    Guarded out(at(p.output().size() * k.lanes));
    const Guarded in = p.padded_lanes(k.lanes, kDead);
    Guarded scratch(at(conv.scratch_floats(p.shape)));
    conv.forward(p.shape, {0, p.shape.out_channels}, in.data(), packed(conv, p).data(), bias, out.data(),
                 ConvEpilogue{}, scratch.data());
    EXPECT_TRUE(scratch.intact());
    EXPECT_TRUE(out.complete());
    return out;
  }

  /// The output gradient in `layout`, zeros between; dead lanes have the gradient 0.
  Guarded gradient(const ConvProblem& p, const GradientLayout& layout) {
    const Guarded dense_dy = to_lanes(p.dy, p.output().size(), k.lanes);
    return Guarded(
        spread(dense_dy.values(), p.output(), layout, p.shape.out_channels * layout.channel, k.lanes, 0));
  }

  Guarded backward_input(const ConvAlgorithm& conv, const ConvProblem& p, const GradientLayout& layout) {
    Guarded packed(at(conv.backward_packed_floats(p.shape)));
    conv.backward_pack(p.shape, p.weight.data(), packed.data());
    EXPECT_TRUE(packed.complete());
    Guarded dx(at(p.input().size() * k.lanes));
    Guarded scratch(at(conv.scratch_floats(p.shape)));
    conv.backward_input(p.shape, {0, p.shape.in_channels}, p.padding, gradient(p, layout).data(), layout,
                        packed.data(), dx.data(), scratch.data());
    EXPECT_TRUE(scratch.intact());
    EXPECT_TRUE(dx.complete());
    return dx;
  }

  struct WeightGradients {
    Guarded weight, bias;
  };
  /// Of two groups with the same images, each of them alone if `separate`; the bias has `bias` before.
  WeightGradients backward_weights(const ConvAlgorithm& conv, const ConvProblem& p,
                                   const GradientLayout& layout, const std::vector<float>& bias,
                                   bool with_bias, bool separate) {
    const std::int64_t partial = (conv.partial_floats(p.shape) + 31) / 32 * 32, count = separate ? 2 : 1;
    Guarded partials(std::vector<float>(at(count * partial), 0.0f)),
        scratch(at(conv.scratch_floats(p.shape)));
    WeightGradients g{Guarded(p.weight.size()), Guarded(bias)};
    const Guarded in = p.padded_lanes(k.lanes, kDead), dy = gradient(p, layout);
    for (std::int64_t group = 0; group < 2; ++group)
      conv.backward_weights(p.shape, {0, p.shape.out_channels}, in.data(), dy.data(), layout,
                            partials.data() + group % count * partial, with_bias ? g.bias.data() : nullptr,
                            scratch.data());
    const std::int64_t half = p.shape.out_channels / 2;
    for (const auto& [first, last] : {std::pair{half, p.shape.out_channels}, {std::int64_t{0}, half}})
      conv.merge(p.shape, partials.data(), count, partial, first, last, g.weight.data());
    EXPECT_TRUE(partials.intact());
    EXPECT_TRUE(scratch.intact());
    EXPECT_TRUE(g.weight.complete());
    EXPECT_TRUE(g.bias.intact());
    return g;
  }
};

TEST_P(ConvTest, ForwardIsTheConvolutionPlusBias) {
  for_each_case([this](const ConvAlgorithm& conv, const ConvProblem& p) {
    using reference::widen;
    const auto x = widen(p.x), weight = widen(p.weight), bias = widen(p.bias);
    const auto expected = reference::conv_forward(x, weight, bias, p.dense);
    const auto sums = &conv == k.winograd4
                          ? large_tiles.forward(x, weight, bias, p.dense)
                          : reference::conv_forward(absolute(x), absolute(weight), absolute(bias), p.dense);
    const Guarded out = forward(conv, p, p.bias.data());
    EXPECT_TRUE(support::close(from_lanes(out.values(), k.lanes, p.valid), expected,
                               bounds(p.dense.in_channels * p.dense.kernel * p.dense.kernel, sums)));
  });
}

TEST_P(ConvTest, NoBiasIsABiasOfZero) {
  const ConvProblem p =
      make_problem({3, 7, 3, 1, 1, 4, 5, 0}, k.lanes, [this](std::int64_t size) { return random(size); });
  const std::vector<float> zeros(7, 0.0f);
  for (const ConvAlgorithm* conv : algorithms_for(k, p)) {
    const Guarded without = forward(*conv, p, nullptr), with = forward(*conv, p, zeros.data());
    EXPECT_TRUE(std::ranges::equal(without.values(), with.values())) << conv->name;
  }
}

TEST_P(ConvTest, BackwardWeightsAddsTheGradientInEitherLayout) {
  for_each_case([this](const ConvAlgorithm& conv, const ConvProblem& p) {
    using reference::widen;
    const auto x = widen(p.x), weight = widen(p.weight), dy = widen(p.dy);
    auto expected = reference::conv_backward(x, weight, dy, p.dense);
    auto sums = reference::conv_backward(absolute(x), absolute(weight), absolute(dy), p.dense);
    if (&conv == k.winograd2) sums.weight = small_tiles.backward(x, weight, dy, p.dense).weight;
    if (&conv == k.winograd4) sums.weight = large_tiles.backward(x, weight, dy, p.dense).weight;
    for (reference::Values* values : {&expected.weight, &expected.bias, &sums.weight, &sums.bias})
      for (double& value : *values) value *= 2;  // two groups
    const auto old_bias = random(static_cast<std::int64_t>(p.bias.size()));
    for (std::size_t i = 0; i < old_bias.size(); ++i) {
      expected.bias[i] += old_bias[i];
      sums.bias[i] += std::abs(old_bias[i]);
    }
    const std::int64_t terms = 2 * p.valid * p.shape.out_height * p.shape.out_width;
    for (const bool input_gradient : {false, true}) {
      const GradientLayout layout = conv.gradient_layout(p.shape, p.padding, input_gradient);
      const WeightGradients g = backward_weights(conv, p, layout, old_bias, true, input_gradient);
      EXPECT_TRUE(support::close(g.weight.values(), expected.weight, bounds(terms, sums.weight)));
      EXPECT_TRUE(support::close(g.bias.values(), expected.bias, bounds(terms, sums.bias)));
    }
  });
}

TEST_P(ConvTest, AnUnwantedBiasGradientIsNotWritten) {
  const ConvProblem p =
      make_problem({3, 7, 3, 1, 0, 4, 5, 0}, k.lanes, [this](std::int64_t size) { return random(size); });
  const std::vector<float> bias(p.bias.size(), 5.0f);
  for (const ConvAlgorithm* conv : algorithms_for(k, p)) {
    const auto layout = conv->gradient_layout(p.shape, 0, false);
    const WeightGradients without = backward_weights(*conv, p, layout, bias, false, false);
    const WeightGradients with = backward_weights(*conv, p, layout, bias, true, false);
    EXPECT_TRUE(std::ranges::equal(without.bias.values(), bias));
    EXPECT_FALSE(std::ranges::equal(with.bias.values(), bias));
    EXPECT_TRUE(std::ranges::equal(without.weight.values(), with.weight.values()));
  }
}

TEST_P(ConvTest, BackwardInputIsTheGradientWithoutTheBorder) {
  for_each_case([this](const ConvAlgorithm& conv, const ConvProblem& p) {
    using reference::widen;
    const auto x = widen(p.x), weight = widen(p.weight), dy = widen(p.dy);
    const auto expected = reference::conv_backward(x, weight, dy, p.dense);
    auto sums = reference::conv_backward(absolute(x), absolute(weight), absolute(dy), p.dense);
    if (&conv == k.winograd4) sums.x = large_tiles.backward(x, weight, dy, p.dense).x;
    const Guarded dx = backward_input(conv, p, conv.gradient_layout(p.shape, p.padding, true));
    EXPECT_TRUE(support::close(from_lanes(dx.values(), k.lanes, p.valid), expected.x,
                               bounds(p.dense.out_channels * p.dense.kernel * p.dense.kernel, sums.x)));
  });
}

/// Root of the mean square of values - expected, relative to that of expected.
double relative_rms(std::span<const float> values, const reference::Values& expected) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    error += (values[i] - expected[i]) * (values[i] - expected[i]);
    size += expected[i] * expected[i];
  }
  return std::sqrt(error / size);
}

// The bounds above are for the worst case. What a network meets is the usual one: F(2x2) as exact as the
// direct sums, F(4x4) half as exact.
TEST_P(ConvTest, UsualErrorsOfEveryAlgorithm) {
  const ConvProblem p =
      make_problem({64, 24, 3, 1, 1, 12, 8, 0}, k.lanes, [this](std::int64_t size) { return random(size); });
  using reference::widen;
  const auto x = widen(p.x), weight = widen(p.weight), bias = widen(p.bias), dy = widen(p.dy);
  const auto y = reference::conv_forward(x, weight, bias, p.dense);
  const auto gradients = reference::conv_backward(x, weight, dy, p.dense);
  for (const ConvAlgorithm* conv : algorithms_for(k, p)) {
    const double most = conv == k.winograd4 ? 1.2e-6 : 6e-7;
    const Guarded out = forward(*conv, p, p.bias.data());
    EXPECT_LT(relative_rms(from_lanes(out.values(), k.lanes, p.valid), y), most) << conv->name;
    const auto layout = conv->gradient_layout(p.shape, p.padding, true);
    EXPECT_LT(
        relative_rms(from_lanes(backward_input(*conv, p, layout).values(), k.lanes, p.valid), gradients.x),
        most)
        << conv->name;
    reference::Values twice = gradients.weight;  // two groups
    for (double& value : twice) value *= 2;
    const WeightGradients g =
        backward_weights(*conv, p, layout, std::vector<float>(p.bias.size(), 0.0f), true, true);
    EXPECT_LT(relative_rms(g.weight.values(), twice), most) << conv->name;
  }
}

BNTRAIN_FOR_EVERY_TABLE(ConvTest);

}  // namespace
}  // namespace bntrain::cpu
