// The convolution kernels of every instruction set against plain loops in double.
#include <algorithm>

#include "backend/cpu/conv_problem.hpp"

namespace bntrain::cpu {
namespace {

using support::Guarded;

constexpr float kDead = 1e3f;  // a kernel that mixes lanes would spread it

class ConvTest : public KernelTest {
 protected:
  /// Calls check(problem) for every case, with a full group and with short ones in turn.
  template <class Check>
  void for_each_case(Check check) {
    int i = 0;
    for (const ConvCase& c : conv_cases()) {
      SCOPED_TRACE(c.name());
      const int valid = i % 2 == 0 ? k.lanes : 1 + (i / 2) % k.lanes;
      ++i;
      check(make_problem(c, valid, [this](std::int64_t size) { return random(size); }));
      if (HasFailure()) return;
    }
  }

  Guarded packed(const ConvProblem& p) {
    Guarded result(at(k.conv_packed_floats(p.shape)));
    k.conv_pack(p.shape, p.weight.data(), result.data());
    EXPECT_TRUE(result.complete());
    return result;
  }

  Guarded forward(const ConvProblem& p, const float* bias) {
    Guarded out(at(p.output().size() * k.lanes));
    const Guarded in = p.padded_lanes(k.lanes, kDead);
    k.conv_forward(p.shape, in.data(), packed(p).data(), bias, out.data(), ConvEpilogue{});
    EXPECT_TRUE(out.complete());
    return out;
  }

  /// The output gradient in `layout`, zeros between; dead lanes have the gradient 0.
  Guarded gradient(const ConvProblem& p, const GradientLayout& layout) {
    const Guarded dense_dy = to_lanes(p.dy, p.output().size(), k.lanes);
    return Guarded(
        spread(dense_dy.values(), p.output(), layout, p.shape.out_channels * layout.channel, k.lanes, 0));
  }

  struct WeightGradients {
    Guarded weight, bias;
  };
  /// What the kernel adds to `weight` and `bias`.
  WeightGradients backward_weights(const ConvProblem& p, const GradientLayout& layout,
                                   const std::vector<float>& weight, const std::vector<float>& bias,
                                   bool with_bias) {
    WeightGradients g{Guarded(weight), Guarded(bias)};
    const Guarded in = p.padded_lanes(k.lanes, kDead), dy = gradient(p, layout);
    k.conv_backward_weights(p.shape, in.data(), dy.data(), layout, g.weight.data(),
                            with_bias ? g.bias.data() : nullptr);
    EXPECT_TRUE(g.weight.intact());
    EXPECT_TRUE(g.bias.intact());
    return g;
  }
};

TEST_P(ConvTest, ForwardIsTheConvolutionPlusBias) {
  for_each_case([this](const ConvProblem& p) {
    using reference::widen;
    const auto x = widen(p.x), weight = widen(p.weight), bias = widen(p.bias);
    const auto expected = reference::conv_forward(x, weight, bias, p.dense);
    const auto sums = reference::conv_forward(absolute(x), absolute(weight), absolute(bias), p.dense);
    const Guarded out = forward(p, p.bias.data());
    EXPECT_TRUE(support::close(from_lanes(out.values(), k.lanes, p.valid), expected,
                               bounds(p.dense.in_channels * p.dense.kernel * p.dense.kernel, sums)));
  });
}

TEST_P(ConvTest, NoBiasIsABiasOfZero) {
  const ConvProblem p =
      make_problem({3, 7, 3, 1, 1, 4, 5, 0}, k.lanes, [this](std::int64_t size) { return random(size); });
  const std::vector<float> zeros(7, 0.0f);
  const Guarded without = forward(p, nullptr), with = forward(p, zeros.data());
  EXPECT_TRUE(std::ranges::equal(without.values(), with.values()));
}

TEST_P(ConvTest, BackwardWeightsAddsTheGradientInEitherLayout) {
  for_each_case([this](const ConvProblem& p) {
    using reference::widen;
    const auto x = widen(p.x), weight = widen(p.weight), dy = widen(p.dy);
    auto expected = reference::conv_backward(x, weight, dy, p.dense);
    auto sums = reference::conv_backward(absolute(x), absolute(weight), absolute(dy), p.dense);
    const auto old_weight = random(static_cast<std::int64_t>(p.weight.size()));
    const auto old_bias = random(static_cast<std::int64_t>(p.bias.size()));
    for (std::size_t i = 0; i < old_weight.size(); ++i) {
      expected.weight[i] += old_weight[i];
      sums.weight[i] += std::abs(old_weight[i]);
    }
    for (std::size_t i = 0; i < old_bias.size(); ++i) {
      expected.bias[i] += old_bias[i];
      sums.bias[i] += std::abs(old_bias[i]);
    }
    const std::int64_t terms = p.valid * p.shape.out_height * p.shape.out_width;
    for (const bool input_gradient : {false, true}) {
      const GradientLayout layout = conv_gradient_layout(p.shape, p.padding, input_gradient);
      const WeightGradients g = backward_weights(p, layout, old_weight, old_bias, true);
      EXPECT_TRUE(support::close(g.weight.values(), expected.weight, bounds(terms, sums.weight)));
      EXPECT_TRUE(support::close(g.bias.values(), expected.bias, bounds(terms, sums.bias)));
    }
  });
}

TEST_P(ConvTest, AnUnwantedBiasGradientIsNotWritten) {
  const ConvProblem p =
      make_problem({3, 7, 3, 1, 0, 4, 5, 0}, k.lanes, [this](std::int64_t size) { return random(size); });
  const auto layout = conv_gradient_layout(p.shape, 0, false);
  const std::vector<float> weight(p.weight.size(), 0.0f), bias(p.bias.size(), 5.0f);
  const WeightGradients without = backward_weights(p, layout, weight, bias, false);
  const WeightGradients with = backward_weights(p, layout, weight, bias, true);
  EXPECT_TRUE(std::ranges::equal(without.bias.values(), bias));
  EXPECT_TRUE(std::ranges::equal(without.weight.values(), with.weight.values()));
}

TEST_P(ConvTest, BackwardInputIsTheGradientWithoutTheBorder) {
  for_each_case([this](const ConvProblem& p) {
    using reference::widen;
    const auto x = widen(p.x), weight = widen(p.weight), dy = widen(p.dy);
    const auto expected = reference::conv_backward(x, weight, dy, p.dense);
    const auto sums = reference::conv_backward(absolute(x), absolute(weight), absolute(dy), p.dense);
    Guarded packed_backward(at(k.conv_backward_packed_floats(p.shape)));
    k.conv_backward_pack(p.shape, p.weight.data(), packed_backward.data());
    EXPECT_TRUE(packed_backward.complete());
    const auto layout = conv_gradient_layout(p.shape, p.padding, true);
    Guarded dx(at(p.input().size() * k.lanes));
    k.conv_backward_input(p.shape, p.padding, gradient(p, layout).data(), layout, packed_backward.data(),
                          dx.data());
    EXPECT_TRUE(dx.complete());
    EXPECT_TRUE(support::close(from_lanes(dx.values(), k.lanes, p.valid), expected.x,
                               bounds(p.dense.out_channels * p.dense.kernel * p.dense.kernel, sums.x)));
  });
}

BNTRAIN_FOR_EVERY_ISA(ConvTest);

}  // namespace
}  // namespace bntrain::cpu
