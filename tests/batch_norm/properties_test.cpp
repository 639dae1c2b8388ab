// Properties of batch norm that hold for all inputs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "batch_norm/implementation.hpp"
#include "support/gradcheck.hpp"
#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

using support::kFloatEps;

const BatchNormShape kShape{21, 5, 9};
const Shapes kPropertyShapes{kShape, {21 * 9, 5}, {6, 3, 4}};

class BatchNormProperties : public BatchNormTest {};
INSTANTIATE_TEST_SUITE_P(, BatchNormProperties, testing::ValuesIn(serving(kPropertyShapes)),
                         implementation_name);

/// Sum over one channel of f(element).
template <typename Function>
double channel_sum(const NormCase& c, std::size_t channel, Function f) {
  double sum = 0;
  for (std::size_t i = 0; i < c.x.size(); ++i)
    if (c.channel_of(i) == channel) sum += f(i);
  return sum;
}

TEST_P(BatchNormProperties, OutputHasMeanBetaAndTheVarianceOfGamma) {
  const NormCase c = make_case(kShape);
  const ForwardResult r = forward_train(c);
  const Expected e = expect_training(c);
  const double y_bound = support::largest(e.bounds.y);
  const auto n = static_cast<double>(c.values_per_channel());
  for (std::size_t k = 0; k < c.channels(); ++k) {
    const double mean = channel_sum(c, k, [&](std::size_t i) { return r.y[i]; }) / n;
    const double var = channel_sum(c, k, [&](std::size_t i) { return std::pow(r.y[i] - mean, 2); }) / n;
    EXPECT_NEAR(mean, c.beta[k], y_bound);
    const double gamma = std::abs(c.gamma[k]);
    EXPECT_NEAR(var, gamma * gamma * e.var[k] / (e.var[k] + c.options.eps), 2 * gamma * y_bound);
  }
}

TEST_P(BatchNormProperties, InputGradientIsOrthogonalToOneAndNearlyToXhat) {
  NormCase c = make_case(kShape);
  c.options.eps = 1e-3;
  const BackwardResult g = backward(c, forward_train(c));
  const Expected e = expect_training(c);
  for (std::size_t k = 0; k < c.channels(); ++k) {
    const double inv_std = 1 / std::sqrt(e.var[k] + c.options.eps);
    const auto xhat = [&](std::size_t i) { return (c.x[i] - e.mean[k]) * inv_std; };
    const double bound = channel_sum(c, k, [&](std::size_t i) { return e.bounds.dx[i]; });
    EXPECT_NEAR(channel_sum(c, k, [&](std::size_t i) { return g.dx[i]; }), 0, bound);
    // sum xhat^2 = n var / (var + eps), so this much of dgamma is left.
    EXPECT_NEAR(channel_sum(c, k, [&](std::size_t i) { return g.dx[i] * xhat(i); }),
                c.gamma[k] * inv_std * e.dgamma[k] * c.options.eps / (e.var[k] + c.options.eps), 4 * bound);
  }
}

TEST_P(BatchNormProperties, ConstantOutputGradientVanishes) {
  for (const BatchNormShape& shape : {kShape, BatchNormShape{64, 4, 12}}) {
    NormCase c = make_case(shape);
    c.dy.assign(c.dy.size(), 0.7f);
    const BackwardResult g = backward(c, forward_train(c));
    const Values zeros(c.dy.size(), 0.0);
    EXPECT_TRUE(support::close(g.dx, zeros, expect_training(c).bounds.dx));
  }
}

TEST_P(BatchNormProperties, PowersOfTwoInTheInputChangeNoBit) {
  const NormCase c = make_case(kShape);
  const ForwardResult r = forward_train(c);
  const BackwardResult g = backward(c, r);
  for (const float scale : {0.125f, 4.0f, 1024.0f}) {
    NormCase scaled = c;
    for (float& x : scaled.x) x *= scale;
    scaled.options.eps *= static_cast<double>(scale) * scale;
    const ForwardResult s = forward_train(scaled);
    EXPECT_TRUE(same_bits(r.y, s.y));
    BackwardResult t = backward(scaled, s);
    EXPECT_TRUE(same_bits(g.dgamma, t.dgamma));
    for (float& dx : t.dx) dx *= scale;
    EXPECT_TRUE(same_bits(g.dx, t.dx));
  }
}

TEST_P(BatchNormProperties, ScaleAndShiftOfTheInputDropOut) {
  NormCase c = make_case(kShape);
  c.options.eps = 0;
  c.x = numbers(c.x.size(), 1);
  NormCase moved = c;
  for (std::size_t i = 0; i < c.x.size(); ++i) {
    c.x[i] = std::ldexp(std::round(std::ldexp(c.x[i], 10)), -10);
    moved.x[i] = 3 * c.x[i] + 16;  // exact on this grid
  }
  const Expected there = expect_training(moved);
  const ForwardResult r = forward_train(moved);
  EXPECT_TRUE(support::close(r.y, expect_training(c).y, there.bounds.y));
  Values thirds = expect_training(c).dx;
  for (double& dx : thirds) dx /= 3;
  EXPECT_TRUE(support::close(backward(moved, r).dx, thirds, there.bounds.dx));
}

TEST_P(BatchNormProperties, ChannelsMayTradePlaces) {
  const NormCase c = make_case(kShape);
  const auto reversed = [&](const Floats& values) {  // the channels of (.., channels, spatial)
    const std::size_t spatial = values.size() == c.channels() ? 1 : static_cast<std::size_t>(kShape.spatial);
    Floats result(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t row = i / spatial, channel = row % c.channels();
      result[(row - channel + c.channels() - 1 - channel) * spatial + i % spatial] = values[i];
    }
    return result;
  };
  NormCase d = c;
  for (Floats NormCase::*member : {&NormCase::x, &NormCase::dy, &NormCase::gamma, &NormCase::beta,
                                   &NormCase::running_mean, &NormCase::running_var})
    d.*member = reversed(c.*member);
  const ForwardResult r = forward_train(c), s = forward_train(d);
  EXPECT_TRUE(same_bits(reversed(r.y), s.y));
  EXPECT_TRUE(same_bits(reversed(r.running_var), s.running_var));
  const BackwardResult g = backward(c, r), h = backward(d, s);
  EXPECT_TRUE(same_bits(reversed(g.dx), h.dx));
  EXPECT_TRUE(same_bits(reversed(g.dgamma), h.dgamma));
}

TEST_P(BatchNormProperties, ImagesMayTradePlaces) {
  const NormCase c = make_case(kShape);
  const std::ptrdiff_t image = kShape.channels * kShape.spatial;
  const auto rotated = [&](Floats values) {
    std::rotate(values.begin(), values.begin() + 4 * image, values.end());
    return values;
  };
  NormCase d = c;
  d.x = rotated(c.x);
  d.dy = rotated(c.dy);
  // The reference of the permuted case has the bounds; the values come from the first one.
  const Expected e = expect_training(d);
  const ForwardResult s = forward_train(d);
  EXPECT_TRUE(support::close(s.y, reference::widen(rotated(forward_train(c).y)), e.bounds.y));
  EXPECT_TRUE(support::close(backward(d, s).dx, reference::widen(rotated(backward(c, forward_train(c)).dx)),
                             e.bounds.dx));
}

TEST_P(BatchNormProperties, ImagesAreRowsOfPixels) {
  // (batch, channels, spatial) and (batch * spatial, channels) have the same elements.
  const NormCase c = make_case(kShape);
  const auto as_rows = [&](const Floats& values) {
    Floats rows(values.size());
    const auto spatial = static_cast<std::size_t>(kShape.spatial);
    for (std::size_t i = 0; i < values.size(); ++i)
      rows[(i / spatial / c.channels() * spatial + i % spatial) * c.channels() + c.channel_of(i)] = values[i];
    return rows;
  };
  NormCase d = c;
  d.shape = {kShape.batch * kShape.spatial, kShape.channels};
  d.x = as_rows(c.x);
  d.dy = as_rows(c.dy);
  const Expected e = expect_training(d);
  const ForwardResult r = forward_train(c), s = forward_train(d);
  EXPECT_TRUE(support::close(s.y, reference::widen(as_rows(r.y)), e.bounds.y));
  EXPECT_TRUE(support::close(s.running_var, reference::widen(r.running_var), e.bounds.var));
  EXPECT_TRUE(support::close(backward(d, s).dx, reference::widen(as_rows(backward(c, r).dx)), e.bounds.dx));
  EXPECT_TRUE(same_bits(inference(d), as_rows(inference(c))));
}

TEST_P(BatchNormProperties, GradientOfWeightedSquares) {
  NormCase c = make_case({6, 3, 4});
  c.options.eps = 1e-3;
  const Values weights = reference::widen(numbers(c.x.size(), 9));
  const auto loss = [&](const Values& x, const Values& gamma, const Values& beta) {
    const Values y = norm_forward(x, gamma, beta, c.reference_shape(), c.options.eps).y;
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += weights[i] * y[i] * y[i];
    return sum;
  };
  const ForwardResult r = forward_train(c);
  for (std::size_t i = 0; i < c.x.size(); ++i) c.dy[i] = static_cast<float>(2 * weights[i] * r.y[i]);
  const BackwardResult g = backward(c, r);
  const Values x = reference::widen(c.x), gamma = reference::widen(c.gamma), beta = reference::widen(c.beta);
  // dy carries the error of y: |w| < 1, |y| < 8. It reaches dx times gamma * inv_std < 2 and a sum n times
  // |xhat| < 4 at the most; the rest is the backward pass itself.
  const Expected e = expect_training(c);
  const double from_dy = 2 * support::largest(e.bounds.y) + 8 * kFloatEps;
  const auto n = static_cast<double>(c.values_per_channel());
  EXPECT_TRUE(support::is_gradient(
      reference::widen(g.dx), [&](const Values& v) { return loss(v, gamma, beta); }, x,
      support::largest(e.bounds.dx) + 8 * from_dy));
  EXPECT_TRUE(support::is_gradient(
      reference::widen(g.dgamma), [&](const Values& v) { return loss(x, v, beta); }, gamma,
      support::largest(e.bounds.dgamma) + 4 * n * from_dy));
  EXPECT_TRUE(support::is_gradient(
      reference::widen(g.dbeta), [&](const Values& v) { return loss(x, gamma, v); }, beta,
      support::largest(e.bounds.dbeta) + n * from_dy));
}

}  // namespace
}  // namespace bntrain::test
