// The reference against hand examples and difference quotients. Each gradient is that of sum(weights * y),
// with weights that differ from element to element, so that no error cancels.
#include "support/reference.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/gradcheck.hpp"
#include "support/nan.hpp"

namespace bntrain::reference {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::Pointwise;

using support::kNan;

/// Numbers in [-1, 1] without a pattern that the code under test could share.
Values numbers(std::size_t count, unsigned seed) {
  Values values(count);
  std::uint32_t state = seed * 2654435761u + 1;
  for (double& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<double>(state >> 8) / (1 << 23) - 1;
  }
  return values;
}

double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

TEST(ReferenceConv, HandExample) {
  // A 2x2 kernel over the image 0..8, and one that is moved by padding and stride.
  const Values x{0, 1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_THAT(conv_forward(x, {1, 10, 100, 1000}, {0.5}, {.height = 3, .width = 3, .kernel = 2}),
              ElementsAre(4310.5, 5421.5, 7643.5, 8754.5));
  EXPECT_THAT(conv_forward(x, {1, 10, 100, 1000}, {0},
                           {.height = 3, .width = 3, .kernel = 2, .stride = 2, .padding = 1}),
              ElementsAre(0, 2100, 6030, 8754));
}

class ReferenceConvGradient : public testing::TestWithParam<ConvShape> {};

TEST_P(ReferenceConvGradient, MatchesDifferences) {
  const ConvShape shape = GetParam();
  const auto count = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  const Values x = numbers(count(shape.batch * shape.in_channels * shape.height * shape.width), 1);
  const Values weight =
      numbers(count(shape.out_channels * shape.in_channels * shape.kernel * shape.kernel), 2);
  const Values bias = numbers(count(shape.out_channels), 3);
  const Values dy = numbers(conv_forward(x, weight, bias, shape).size(), 4);
  const Gradients g = conv_backward(x, weight, dy, shape);
  EXPECT_TRUE(support::is_gradient(
      g.x, [&](const Values& v) { return dot(dy, conv_forward(v, weight, bias, shape)); }, x));
  EXPECT_TRUE(support::is_gradient(
      g.weight, [&](const Values& v) { return dot(dy, conv_forward(x, v, bias, shape)); }, weight));
  EXPECT_TRUE(support::is_gradient(
      g.bias, [&](const Values& v) { return dot(dy, conv_forward(x, weight, v, shape)); }, bias));
}

INSTANTIATE_TEST_SUITE_P(Shapes, ReferenceConvGradient,
                         testing::Values(ConvShape{2, 2, 5, 4, 3, 3, 1, 0}, ConvShape{1, 3, 5, 6, 2, 3, 2, 1},
                                         ConvShape{2, 1, 4, 4, 2, 1, 1, 0},
                                         ConvShape{1, 2, 3, 3, 2, 3, 1, 2}));

TEST(ReferenceLinear, HandExampleAndGradient) {
  const LinearShape shape{2, 3, 2};
  const Values x{1, 2, 3, 4, 5, 6}, weight{1, 0, -1, 2, 1, 0}, bias{0.5, -1};
  EXPECT_THAT(linear_forward(x, weight, bias, shape), ElementsAre(-1.5, 3, -1.5, 12));
  const Values dy = numbers(4, 5);
  const Gradients g = linear_backward(x, weight, dy, shape);
  EXPECT_TRUE(support::is_gradient(
      g.x, [&](const Values& v) { return dot(dy, linear_forward(v, weight, bias, shape)); }, x));
  EXPECT_TRUE(support::is_gradient(
      g.weight, [&](const Values& v) { return dot(dy, linear_forward(x, v, bias, shape)); }, weight));
  EXPECT_TRUE(support::is_gradient(
      g.bias, [&](const Values& v) { return dot(dy, linear_forward(x, weight, v, shape)); }, bias));
}

TEST(ReferenceNorm, HandExampleA) {
  const NormForward forward = norm_forward({0, 1, 2, 3, 4, 5}, {1, 1}, {0, 0}, {3, 2, 1}, 1e-5);
  const double y = 2 / std::sqrt(8.0 / 3 + 1e-5);
  EXPECT_NEAR(y, 1.2247, 5e-5);
  EXPECT_THAT(forward.y, Pointwise(DoubleNear(1e-12), Values{-y, -y, 0, 0, y, y}));
  EXPECT_THAT(forward.mean, ElementsAre(2, 3));
  EXPECT_THAT(forward.var, Pointwise(DoubleNear(1e-12), Values{8.0 / 3, 8.0 / 3}));
}

TEST(ReferenceNorm, HandExampleB) {
  Values x(18), expected(18);
  for (int i = 0; i < 18; ++i) {
    x[static_cast<std::size_t>(i)] = i;
    expected[static_cast<std::size_t>(i)] = (i % 9 - 4) / 2.582;
  }
  EXPECT_THAT(norm_forward(x, {1, 1}, {0, 0}, {1, 2, 9}, 1e-5).y, Pointwise(DoubleNear(1e-4), expected));
}

TEST(ReferenceNorm, Gradient) {
  const NormShape shape{3, 2, 4};
  const double eps = 1e-3;
  const Values x = numbers(24, 6), gamma{0.7, -1.3}, beta{0.2, 0.4}, dy = numbers(24, 7);
  const NormGradients g = norm_backward(x, dy, gamma, shape, eps);
  EXPECT_TRUE(support::is_gradient(
      g.x, [&](const Values& v) { return dot(dy, norm_forward(v, gamma, beta, shape, eps).y); }, x));
  EXPECT_TRUE(support::is_gradient(
      g.gamma, [&](const Values& v) { return dot(dy, norm_forward(x, v, beta, shape, eps).y); }, gamma));
  EXPECT_TRUE(support::is_gradient(
      g.beta, [&](const Values& v) { return dot(dy, norm_forward(x, gamma, v, shape, eps).y); }, beta));
}

TEST(ReferenceNorm, InferenceGradient) {
  const NormShape shape{3, 2, 4};
  const Values x = numbers(24, 8), gamma{0.7, -1.3}, beta{0.2, 0.4}, mean{0.3, -0.2}, var{0.5, 2};
  const Values dy = numbers(24, 9);
  EXPECT_NEAR(norm_inference(x, gamma, beta, mean, var, shape, 0.5)[0], (x[0] - 0.3) * 0.7 + 0.2, 1e-15);
  const NormGradients g = norm_inference_backward(x, dy, gamma, mean, var, shape, 0.5);
  const auto loss = [&](const Values& a, const Values& b, const Values& c) {
    return dot(dy, norm_inference(a, b, c, mean, var, shape, 0.5));
  };
  EXPECT_TRUE(support::is_gradient(
      g.x, [&](const Values& v) { return loss(v, gamma, beta); }, x));
  EXPECT_TRUE(support::is_gradient(
      g.gamma, [&](const Values& v) { return loss(x, v, beta); }, gamma));
  EXPECT_TRUE(support::is_gradient(
      g.beta, [&](const Values& v) { return loss(x, gamma, v); }, beta));
}

TEST(ReferenceNorm, RunningStatistics) {
  const NormShape shape{2, 1, 2};
  const NormForward batch = norm_forward({1, 2, 3, 6}, {1}, {0}, shape, 1e-5);  // mean 3, var 14/4
  Values mean{1}, var{2};
  update_running(mean, var, batch, shape, 0.9);
  EXPECT_NEAR(mean[0], 0.9 + 0.3, 1e-15);
  EXPECT_NEAR(var[0], 1.8 + 0.35, 1e-15);
  update_running(mean, var = {2}, batch, shape, 0.9, true);
  EXPECT_NEAR(var[0], 1.8 + 0.1 * 14 / 3, 1e-15);
}

TEST(ReferenceNorm, ContractAtTheEdges) {
  const Values gamma{3}, beta{0.25};
  EXPECT_THAT(norm_forward({7}, gamma, beta, {1, 1, 1}, 1e-5).y, ElementsAre(0.25));
  EXPECT_THAT(norm_backward({7}, {2}, gamma, {1, 1, 1}, 1e-5).x, ElementsAre(0));
  EXPECT_THAT(norm_forward({5, 5}, gamma, beta, {2, 1, 1}, 0).y, ElementsAre(0.25, 0.25));
  EXPECT_THAT(norm_backward({5, 5}, {1, 2}, gamma, {2, 1, 1}, 0).x, ElementsAre(0, 0));
  const NormForward huge = norm_forward({1e30, -1e30}, gamma, beta, {2, 1, 1}, 1e-5);
  EXPECT_THAT(huge.y, ElementsAre(0.25, 0.25));
  EXPECT_TRUE(std::isinf(huge.var[0]));
  const NormForward one_nan = norm_forward({kNan, 1, 2, 3}, {1, 1}, {0, 0}, {2, 2, 1}, 1e-5);
  EXPECT_TRUE(std::isnan(one_nan.y[0]) && std::isnan(one_nan.y[2]));
  EXPECT_TRUE(std::isfinite(one_nan.y[1]) && std::isfinite(one_nan.y[3]));
  Values mean{4}, var{5};
  update_running(mean, var, norm_forward({}, gamma, beta, {0, 1, 3}, 1e-5), {0, 1, 3}, 0.9);
  EXPECT_THAT(mean, ElementsAre(4));
  EXPECT_THAT(var, ElementsAre(5));
}

TEST(ReferenceRelu, ForwardBackwardAndNan) {
  const Values y = relu_forward({-1, 0, 2, kNan});
  EXPECT_THAT(Values(y.begin(), y.begin() + 3), ElementsAre(0, 0, 2));
  EXPECT_TRUE(std::isnan(y[3]));
  EXPECT_THAT(relu_backward({-1, 0, 2, kNan}, {5, 6, 7, 8}), ElementsAre(0, 0, 7, 8));
}

TEST(ReferenceSigmoid, ForwardBackwardAndTheEnds) {
  const Values x{0, std::log(3), -std::log(3), -1000, 1000, kNan};
  const Values y = sigmoid_forward(x);
  EXPECT_EQ(y[0], 0.5);
  EXPECT_NEAR(y[1], 0.75, 1e-15);
  EXPECT_NEAR(y[2], 0.25, 1e-15);
  EXPECT_EQ(y[3], 0);
  EXPECT_EQ(y[4], 1);
  EXPECT_TRUE(std::isnan(y[5]));
  const Values dx = sigmoid_backward(x, {2, 2, 2, 2, 2, 2});
  EXPECT_EQ(dx[0], 0.5);
  EXPECT_NEAR(dx[1], 0.375, 1e-15);
  EXPECT_NEAR(dx[2], 0.375, 1e-15);
  EXPECT_EQ(dx[3], 0);
  EXPECT_EQ(dx[4], 0);
  EXPECT_TRUE(std::isnan(dx[5]));
}

struct ActivationCase {
  const char* name;
  Values (*forward)(const Values&);
  Values (*backward)(const Values&, const Values&);
  Values y, dx;  ///< at kActivationInputs, dx for dy = 1
};

const Values kActivationInputs{-5, -1.5, -0.1, 0, 0.3, 2, 6};

class ReferenceActivation : public testing::TestWithParam<ActivationCase> {};

TEST_P(ReferenceActivation, MatchesPyTorch) {
  const ActivationCase& activation = GetParam();
  const Values ones(kActivationInputs.size(), 1.0);
  EXPECT_THAT(activation.forward(kActivationInputs), Pointwise(DoubleNear(2e-15), activation.y));
  EXPECT_THAT(activation.backward(kActivationInputs, ones), Pointwise(DoubleNear(2e-15), activation.dx));
}

TEST_P(ReferenceActivation, GradientMatchesDifferences) {
  const ActivationCase& activation = GetParam();
  const Values x = numbers(40, 10), dy = numbers(40, 11);
  EXPECT_TRUE(support::is_gradient(
      activation.backward(x, dy), [&](const Values& v) { return dot(dy, activation.forward(v)); }, x));
}

TEST_P(ReferenceActivation, NanPassesThrough) {
  EXPECT_TRUE(std::isnan(GetParam().forward({kNan})[0]));
  EXPECT_TRUE(std::isnan(GetParam().backward({1}, {kNan})[0]));
}

// import torch; from torch.nn.functional import gelu, silu, leaky_relu
// x = torch.tensor([-5, -1.5, -0.1, 0, 0.3, 2, 6], dtype=torch.float64, requires_grad=True)
// for y in (gelu(x), silu(x), leaky_relu(x, 0.2)): print(y.tolist(), torch.autograd.grad(y.sum(),
// x)[0].tolist())
INSTANTIATE_TEST_SUITE_P(
    All, ReferenceActivation,
    testing::Values(ActivationCase{"gelu",
                                   gelu_forward,
                                   gelu_backward,
                                   {-1.4332578593401202e-06, -0.10021080190328704, -0.046017216272297101, 0,
                                    0.1853734266566858, 1.9544997361036416, 5.9999999940804738},
                                   {-7.1469460018034646e-06, -0.1274691922299796, 0.42047690797526982, 0.5,
                                    0.73232776682710987, 1.0852318010781969, 1.0000000354687093}},
                    ActivationCase{"silu",
                                   silu_forward,
                                   silu_backward,
                                   {-0.033464254621424279, -0.27363828570953452, -0.047502081252106004, 0,
                                    0.17233275504349771, 1.7615941559557646, 5.9851642610601923},
                                   {-0.026547432429665917, -0.041294154299142946, 0.4500832085017708, 0.5,
                                    0.64778001031888288, 1.0907842487848955, 1.0123264325915249}},
                    ActivationCase{
                        "leakyrelu",
                        [](const Values& x) { return leaky_relu_forward(x, 0.2); },
                        [](const Values& x, const Values& dy) { return leaky_relu_backward(x, dy, 0.2); },
                        {-1, -0.3, -0.02, 0, 0.3, 2, 6},
                        {0.2, 0.2, 0.2, 0.2, 1, 1, 1}}),
    [](const auto& test) { return test.param.name; });

TEST(ReferenceActivations, TheEnds) {
  // Phi(-30) is 4.906713927148187e-198; 1 + erf would be 0.
  EXPECT_NEAR(gelu_forward({-30})[0] / (-30 * 4.906713927148187e-198), 1, 1e-12);
  EXPECT_THAT(gelu_forward({-1000, 1000}), ElementsAre(0, 1000));
  EXPECT_THAT(gelu_backward({-1000, 1000}, {2, 2}), ElementsAre(0, 2));
  EXPECT_THAT(silu_forward({-1000, 1000}), ElementsAre(0, 1000));
  EXPECT_THAT(silu_backward({-1000, 1000}, {2, 2}), ElementsAre(0, 2));
  EXPECT_TRUE(std::isnan(leaky_relu_forward({kNan}, 0.2)[0]));
  EXPECT_EQ(leaky_relu_backward({kNan}, {3}, 0.2)[0], 3);
}

TEST(ReferencePool, AveragesAndDropsTheRest) {
  const PoolShape shape{.height = 3, .width = 5};
  EXPECT_THAT(avgpool_forward({1, 2, -4, -3, 9,  //
                               3, 4, -2, 7, 9,   //
                               9, 9, 9, 9, 9},
                              shape),
              ElementsAre(2.5, -0.5));
  EXPECT_THAT(avgpool_backward({2, 4}, shape),
              ElementsAre(0.5, 0.5, 1, 1, 0, 0.5, 0.5, 1, 1, 0, 0, 0, 0, 0, 0));
}

TEST(ReferencePool, FirstMaximumWinsAndTheRestIsDropped) {
  const PoolShape shape{.height = 3, .width = 5};
  const PoolForward forward = maxpool_forward({1, 1, -4, -3, 9,  //
                                               1, 1, -2, -2, 9,  //
                                               9, 9, 9, 9, 9},
                                              shape);
  EXPECT_THAT(forward.y, ElementsAre(1, -2));
  EXPECT_THAT(forward.argmax, ElementsAre(0, 7));
  EXPECT_THAT(maxpool_backward(forward, {2, 3}, shape),
              ElementsAre(2, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0));
}

TEST(ReferencePool, FirstNanWins) {
  const PoolForward forward = maxpool_forward({5, kNan, kNan, 9}, {.height = 2, .width = 2});
  EXPECT_TRUE(std::isnan(forward.y[0]));
  EXPECT_EQ(forward.argmax[0], 1);
}

TEST(ReferenceLoss, HandExampleAndGradient) {
  const Values logits{0, std::log(2), std::log(5), 1, 1, 1};
  const std::vector<std::int64_t> labels{2, 1};
  const Loss loss = softmax_cross_entropy(logits, labels, 3);
  EXPECT_NEAR(loss.sum, -std::log(5.0 / 8) + std::log(3.0), 1e-14);
  EXPECT_EQ(loss.correct, 1);  // in a tie the first class is the answer
  EXPECT_TRUE(support::is_gradient(
      loss.gradient, [&](const Values& v) { return softmax_cross_entropy(v, labels, 3).sum; }, logits));
  EXPECT_NEAR(softmax_cross_entropy({1000, 0}, {1}, 2).sum, 1000, 1e-9);
}

TEST(ReferenceSgd, TwoStepsByHand) {
  const SgdOptions options{.lr = 0.1, .momentum = 0.5, .weight_decay = 0.25, .gradient_scale = 0.5};
  Values weight{4}, buffer;
  sgd_step(weight, {6}, buffer, options);  // g = 3 + 1
  EXPECT_NEAR(weight[0], 3.6, 1e-15);
  sgd_step(weight, {2}, buffer, options);  // g = 1 + 0.9, buffer = 2 + 1.9
  EXPECT_NEAR(weight[0], 3.21, 1e-15);
}

// The parameters w and b after three steps of PyTorch, for the updates below:
//   w = torch.tensor([1.5, -0.25, 0.0], dtype=torch.float64, requires_grad=True)
//   b = torch.tensor([0.5, -2.0], dtype=torch.float64, requires_grad=True)
//   for g in ([0.5, -1.0, 1e-9], [-0.25, 2.0, 3e-9], [1.0, 0.75, 0.0]):
//     w.grad = torch.tensor(g, dtype=torch.float64); b.grad = w.grad[:2].clone(); optimizer.step()
const std::vector<Values> kGradients{{0.5, -1, 1e-9}, {-0.25, 2, 3e-9}, {1, 0.75, 0}};

/// w and b after steps by `take_step(tensor, gradient, state, is_weight)`.
template <typename State, typename Step>
Values after_three_steps(Step take_step, double gradient_scale = 1) {
  Values w{1.5, -0.25, 0}, b{0.5, -2};
  State w_state, b_state;
  for (Values gradient : kGradients) {
    for (double& g : gradient) g /= gradient_scale;
    take_step(w, gradient, w_state, true);
    gradient.resize(2);
    take_step(b, gradient, b_state, false);
  }
  w.insert(w.end(), b.begin(), b.end());
  return w;
}

auto is_near(const Values& expected) {
  return Pointwise(DoubleNear(1e-15), expected);
}

TEST(ReferenceAdamW, MatchesPyTorch) {
  const auto after = [](const AdamWOptions& options) {
    return after_three_steps<AdamWState>(
        [&](Values& w, const Values& g, AdamWState& state, bool) { adamw_step(w, g, state, options); },
        options.gradient_scale);
  };
  // torch.optim.AdamW([w, b], lr=0.01)
  const Values expected{1.4803078252032016, -0.2483031218174484, -0.0036814543201976065, 0.48060779520420194,
                        -1.9977781743156986};
  EXPECT_THAT(after({.lr = 0.01}), is_near(expected));
  EXPECT_THAT(after({.lr = 0.01, .gradient_scale = 0.25}), is_near(expected));
  // torch.optim.AdamW([w, b], lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)
  EXPECT_THAT(after({.lr = 0.01, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1}),
              is_near({1.4765985631072975, -0.24861287372838142, -4.3528946093630547e-08, 0.47959556410729753,
                       -1.9933681219783812}));
}

TEST(ReferenceAdamW, DecayOfTheWeights) {
  // torch.optim.AdamW([{"params": [w], "weight_decay": 0.1}, {"params": [b], "weight_decay": 0}], lr=0.01)
  const AdamWOptions options{.lr = 0.01, .weight_decay = 0.1};
  const auto take_step = [&](Values& w, const Values& g, AdamWState& state, bool is_weight) {
    adamw_step(w, g, state, decay_weights(options, is_weight));
  };
  EXPECT_THAT(after_three_steps<AdamWState>(take_step),
              is_near({1.4762826658376382, -0.24764355923579601, -0.0036783091388310025, 0.48075551396770899,
                       -1.9983764805212432}));
}

TEST(ReferenceSgd, NesterovAndDecayOfTheWeights) {
  // torch.optim.SGD([{"params": [w], "weight_decay": 0.1}, {"params": [b]}], lr=0.1, momentum=0.9,
  // nesterov=True)
  const SgdOptions options{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1, .nesterov = true};
  const auto take_step = [&](Values& w, const Values& g, Values& buffer, bool is_weight) {
    sgd_step(w, g, buffer, decay_weights(options, is_weight));
  };
  EXPECT_THAT(after_three_steps<Values>(take_step),
              is_near({1.0913531165000001, -0.57383289525000014, -1.13584059e-09, 0.2058, -2.3406}));
}

TEST(Gradcheck, NoticesAWrongGradient) {
  const auto square = [](const Values& v) { return v[0] * v[0] + v[1]; };
  EXPECT_TRUE(support::is_gradient({6, 1}, square, {3, 5}));
  EXPECT_FALSE(support::is_gradient({6.0001, 1}, square, {3, 5}));
  EXPECT_FALSE(support::is_gradient({6, kNan}, square, {3, 5}));
  EXPECT_FALSE(support::is_gradient({6}, square, {3, 5}));
}

}  // namespace
}  // namespace bntrain::reference
