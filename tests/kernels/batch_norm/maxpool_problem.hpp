// One batch norm, activation and max pooling: its numbers, its reference, its kernels called as a training
// step does.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "support/guarded.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {

inline constexpr Activation kNone{}, kRelu{ActivationKind::relu}, kSigmoid{ActivationKind::sigmoid},
    kLeaky{ActivationKind::leaky_relu, 0.3f}, kGelu{ActivationKind::gelu}, kSilu{ActivationKind::silu};

inline reference::Values activate(const Activation& a, const reference::Values& v) {
  switch (a.kind) {
    case ActivationKind::none:
      return v;
    case ActivationKind::relu:
      return reference::relu_forward(v);
    case ActivationKind::sigmoid:
      return reference::sigmoid_forward(v);
    case ActivationKind::gelu:
      return reference::gelu_forward(v);
    case ActivationKind::silu:
      return reference::silu_forward(v);
    case ActivationKind::leaky_relu:
      return reference::leaky_relu_forward(v, static_cast<double>(a.slope));
  }
  return {};
}

inline reference::Values activation_gradient(const Activation& a, const reference::Values& v,
                                             const reference::Values& dy) {
  switch (a.kind) {
    case ActivationKind::none:
      return dy;
    case ActivationKind::relu:
      return reference::relu_backward(v, dy);
    case ActivationKind::sigmoid:
      return reference::sigmoid_backward(v, dy);
    case ActivationKind::gelu:
      return reference::gelu_backward(v, dy);
    case ActivationKind::silu:
      return reference::silu_backward(v, dy);
    case ActivationKind::leaky_relu:
      return reference::leaky_relu_backward(v, dy, static_cast<double>(a.slope));
  }
  return {};
}

struct MaxPoolReference {
  reference::Values mean, var, normed, y, argmax_dy, g, dx, dgamma, dbeta;
  std::vector<std::int64_t> argmax;  ///< per output: index into x
};

struct MaxPoolProblem {
  kernels::PoolShape shape;
  Activation activation;
  bool norm;
  std::vector<float> x, gamma, beta, dy;
  double eps = 1e-5;

  std::int64_t spatial() const { return shape.height * shape.width; }
  std::int64_t size() const { return shape.batch * shape.channels * spatial(); }
  std::int64_t out_size() const {
    return shape.batch * shape.channels * shape.out_height() * shape.out_width();
  }
  std::int64_t values_per_channel() const { return shape.batch * spatial(); }
  std::size_t channel_of(std::int64_t x_index) const { return at(x_index / spatial() % shape.channels); }
  bool piecewise_linear() const {
    return activation.kind == ActivationKind::none || activation.kind == ActivationKind::relu ||
           activation.kind == ActivationKind::leaky_relu;
  }
  std::string name() const {
    std::string text = std::to_string(shape.batch) + "x" + std::to_string(shape.channels) + "x" +
                       std::to_string(shape.height) + "x" + std::to_string(shape.width) +
                       (norm ? ", norm" : "");
    if (activation.kind != ActivationKind::none)
      text += ", " + std::string(activation_type(activation.kind).keyword);
    return text + ", pool " + std::to_string(shape.pool);
  }

  MaxPoolReference reference() const {
    using namespace bntrain::reference;
    const NormShape channels{shape.batch, shape.channels, spatial()};
    const PoolShape windows{shape.batch, shape.channels, shape.height, shape.width, shape.pool};
    const Values wide = widen(x);
    NormForward n = norm_forward(wide, widen(gamma), widen(beta), channels, eps);
    MaxPoolReference r;
    r.normed = norm ? std::move(n.y) : wide;
    const PoolForward pooled = maxpool_forward(activate(activation, r.normed), windows);
    r.mean = std::move(n.mean);
    r.var = std::move(n.var);
    r.y = pooled.y;
    r.argmax = pooled.argmax;
    r.argmax_dy = maxpool_backward(pooled, widen(dy), windows);
    r.g = activation_gradient(activation, r.normed, r.argmax_dy);
    r.dx = r.g;
    if (!norm) return r;
    NormGradients gradients = norm_backward(wide, r.g, widen(gamma), channels, eps);
    r.dx = std::move(gradients.x);
    r.dgamma = std::move(gradients.gamma);
    r.dbeta = std::move(gradients.beta);
    return r;
  }

  /// The statistics that the kernels are given; mean: high parts, then low ones.
  struct Statistics {
    std::vector<float> mean, var, inv_std;
  };
  Statistics statistics() const {
    Statistics s;
    const MaxPoolReference r = reference();
    for (std::size_t c = 0; c < r.mean.size(); ++c) {
      s.mean.push_back(static_cast<float>(r.mean[c]));
      s.var.push_back(static_cast<float>(r.var[c]));
      s.inv_std.push_back(static_cast<float>(1 / std::sqrt(r.var[c] + eps)));
    }
    for (std::size_t c = 0; c < r.mean.size(); ++c)
      s.mean.push_back(static_cast<float>(r.mean[c] - static_cast<double>(s.mean[c])));
    return s;
  }
};

/// Channels with gamma positive, negative, 0, tiny, and positive with a mean far from 0.
inline MaxPoolProblem make_problem(const kernels::PoolShape& shape, const Activation& activation, bool norm) {
  MaxPoolProblem p{shape, activation, norm, {}, {}, {}, {}};
  const float gammas[] = {1.5f, -0.7f, 0.0f, 1e-20f, 0.9f};
  const float betas[] = {0.3f, -0.2f, 0.4f, 0.0f, 0.1f};  // beside 1e-20 a beta would make every y tie
  for (std::int64_t c = 0; c < shape.channels; ++c) {
    p.gamma.push_back(gammas[c % 5]);
    p.beta.push_back(betas[c % 5]);
  }
  p.x = random_values(p.size(), 1, 0.5f);
  for (std::int64_t i = 0; i < p.size(); ++i)
    if (p.channel_of(i) == 4) p.x[at(i)] += 1000;
  p.dy = random_values(p.out_size(), 2);
  return p;
}

/// All combinations of the three parts, on planes that leave a rest and on rows of whole vectors. Pooling by
/// 1 to 3 is in registers, by 4 in memory.
inline std::vector<MaxPoolProblem> problems(std::int64_t channels = 5) {
  std::vector<MaxPoolProblem> result;
  for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{7, 5}, {4, 40}, {12, 13}, {1, 1}})
    for (std::int64_t pool = 1; pool <= 4; ++pool)
      for (const bool norm : {false, true})
        for (const Activation& activation : {kNone, kRelu, kSigmoid, kLeaky, kGelu, kSilu}) {
          // A sigmoid of a gamma of 1e-20 is the same for all pixels of a window.
          const bool differs = activation.kind != ActivationKind::sigmoid || !norm || channels < 4;
          const bool monotone =
              activation.kind == ActivationKind::none || activation_type(activation.kind).monotone;
          if (pool > 1 && (!monotone || !differs || height < pool)) continue;
          result.push_back(
              make_problem({1 + static_cast<std::int64_t>(result.size()) % 3, channels, height, width, pool},
                           activation, norm));
        }
  return result;
}

/// How the kernels are called.
struct MaxPoolCall {
  std::size_t offset = 0;  ///< of every tensor, in floats from a 64-byte boundary
  bool training = false;   ///< the forward pass computes the statistics, in place of those given
};

struct MaxPoolRun {
  std::vector<float> y, dgamma, dbeta, dx;
  MaxPoolProblem::Statistics statistics;  ///< used

  MaxPoolRun(const MaxPoolProblem& p, const MaxPoolProblem::Statistics& given,
             const kernels::Stream& stream = {}, const MaxPoolCall& call = {}) {
    using support::Guarded;
    const std::size_t channels = p.norm ? p.gamma.size() : 0;
    const Guarded x(p.x, call.offset), dy(p.dy, call.offset), gamma(p.gamma), beta(p.beta);
    std::vector<float> means = given.mean;
    means.resize(2 * channels);
    Guarded mean(call.training ? Guarded(2 * channels) : Guarded(means));
    Guarded var(channels), inv_std(call.training ? Guarded(channels) : Guarded(given.inv_std));
    Guarded out(at(p.out_size()), call.offset), gradient(at(p.size()), call.offset);
    Guarded gamma_gradient(channels), beta_gradient(channels);
    Guarded workspace(at(kernels::batch_norm_maxpool_workspace(p.shape)) / sizeof(float));
    kernels::ChannelNorm norm;
    if (p.norm) norm = {mean.data(), inv_std.data(), gamma.data(), beta.data()};
    if (call.training)
      kernels::batch_norm_maxpool_forward(p.shape, p.activation, p.eps, x.data(), gamma.data(), beta.data(),
                                          out.data(), mean.data(), var.data(), inv_std.data(),
                                          workspace.data(), stream);
    else
      kernels::batch_norm_maxpool_inference(p.shape, p.activation, x.data(), norm, out.data(), stream);
    EXPECT_TRUE(out.complete());
    EXPECT_TRUE(mean.complete());
    EXPECT_TRUE(call.training ? var.complete() : var.untouched());
    EXPECT_TRUE(inv_std.complete());
    kernels::batch_norm_maxpool_backward(p.shape, p.activation, x.data(), dy.data(), norm, gradient.data(),
                                         gamma_gradient.data(), beta_gradient.data(), workspace.data(),
                                         stream);
    EXPECT_TRUE(gradient.complete());
    EXPECT_TRUE(gamma_gradient.complete());
    EXPECT_TRUE(beta_gradient.complete());
    EXPECT_TRUE(workspace.intact());
    const auto copy = [](const Guarded& from) {
      return std::vector<float>(from.values().begin(), from.values().end());
    };
    y = copy(out);
    dgamma = copy(gamma_gradient);
    dbeta = copy(beta_gradient);
    dx = copy(gradient);
    statistics = {copy(mean), copy(var), copy(inv_std)};
  }
  explicit MaxPoolRun(const MaxPoolProblem& p) : MaxPoolRun(p, p.statistics()) {}
};

/// The statistics computed by the kernels.
inline MaxPoolRun train(const MaxPoolProblem& p, const kernels::Stream& stream = {}, std::size_t offset = 0) {
  return MaxPoolRun(p, {}, stream, {.offset = offset, .training = true});
}

inline testing::AssertionResult same_results(const MaxPoolRun& a, const MaxPoolRun& b) {
  for (const auto& [x, y] : {std::pair(&a.y, &b.y),
                             {&a.dgamma, &b.dgamma},
                             {&a.dbeta, &b.dbeta},
                             {&a.dx, &b.dx},
                             {&a.statistics.mean, &b.statistics.mean},
                             {&a.statistics.inv_std, &b.statistics.inv_std}})
    if (const auto result = same_bits(*x, *y); !result) return result;
  return testing::AssertionSuccess();
}

}  // namespace bntrain
