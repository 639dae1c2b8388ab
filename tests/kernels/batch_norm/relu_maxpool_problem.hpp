// One batch norm, ReLU and max pooling: its numbers, its reference, its kernels called as a training step
// does.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "support/guarded.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {

struct ReluPoolReference {
  reference::Values mean, var, y, argmax_dy, dx, dgamma, dbeta;
  std::vector<std::int64_t> argmax;  ///< per output: index into x
};

struct ReluPoolProblem {
  kernels::PoolShape shape;
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
  std::string name() const {
    return std::to_string(shape.batch) + "x" + std::to_string(shape.channels) + "x" +
           std::to_string(shape.height) + "x" + std::to_string(shape.width) + (norm ? ", norm" : "") +
           (shape.relu ? ", relu" : "") + ", pool " + std::to_string(shape.pool);
  }

  ReluPoolReference reference() const {
    using namespace bntrain::reference;
    const NormShape channels{shape.batch, shape.channels, spatial()};
    const PoolShape windows{shape.batch, shape.channels, shape.height, shape.width, shape.pool};
    const Values wide = widen(x);
    const NormForward n = norm_forward(wide, widen(gamma), widen(beta), channels, eps);
    const Values normed = norm ? n.y : wide;
    const PoolForward pooled = maxpool_forward(shape.relu ? relu_forward(normed) : normed, windows);
    ReluPoolReference r;
    r.mean = n.mean;
    r.var = n.var;
    r.y = pooled.y;
    r.argmax = pooled.argmax;
    r.argmax_dy = maxpool_backward(pooled, widen(dy), windows);
    if (shape.relu) r.argmax_dy = relu_backward(normed, r.argmax_dy);
    r.dx = r.argmax_dy;
    if (!norm) return r;
    NormGradients g = norm_backward(wide, r.argmax_dy, widen(gamma), channels, eps);
    r.dx = std::move(g.x);
    r.dgamma = std::move(g.gamma);
    r.dbeta = std::move(g.beta);
    return r;
  }

  /// The statistics that the kernels are given.
  struct Statistics {
    std::vector<float> mean, inv_std;
  };
  Statistics statistics() const {
    Statistics s;
    const ReluPoolReference r = reference();
    for (std::size_t c = 0; c < r.mean.size(); ++c) {
      s.mean.push_back(static_cast<float>(r.mean[c]));
      s.inv_std.push_back(static_cast<float>(1 / std::sqrt(r.var[c] + eps)));
    }
    return s;
  }
};

/// Channels with gamma positive, negative, 0, tiny, and positive with a mean far from 0.
inline ReluPoolProblem make_problem(const kernels::PoolShape& shape, bool norm) {
  ReluPoolProblem p{shape, norm, {}, {}, {}, {}};
  const float gammas[] = {1.5f, -0.7f, 0.0f, 1e-20f, 0.9f};
  const float betas[] = {0.3f, -0.2f, 0.4f, 0.0f, 0.1f};  // beside 1e-20 a beta would make every y tie
  for (std::int64_t c = 0; c < shape.channels; ++c) {
    p.gamma.push_back(gammas[c % 5]);
    p.beta.push_back(betas[c % 5]);
  }
  p.x = random_values(p.size(), 1, 0.5f);
  for (std::int64_t i = 0; i < p.size(); ++i)
    if (p.channel_of(i) == 4) p.x[at(i)] += 100;
  p.dy = random_values(p.out_size(), 2);
  return p;
}

/// All combinations of the three parts, on planes that leave a rest and on rows of whole vectors.
inline std::vector<ReluPoolProblem> problems(std::int64_t channels = 5) {
  std::vector<ReluPoolProblem> result;
  for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{7, 5}, {3, 40}, {12, 13}})
    for (std::int64_t pool = 1; pool <= 3; ++pool)
      for (const bool norm : {false, true})
        for (const bool relu : {false, true})
          result.push_back(make_problem(
              {1 + static_cast<std::int64_t>(result.size()) % 3, channels, height, width, pool, relu}, norm));
  result.push_back(make_problem({1, channels, 1, 1, 1, true}, true));  // one value per channel
  return result;
}

/// How the kernels are called, which must not matter.
struct ReluPoolCall {
  bool argmax_values = true;  ///< kept by the forward pass, or found again
  std::size_t offset = 0;     ///< of every tensor, in floats from a 64-byte boundary
};

struct ReluPoolRun {
  std::vector<float> y, argmax_values, dgamma, dbeta, dx;

  ReluPoolRun(const ReluPoolProblem& p, const ReluPoolProblem::Statistics& statistics,
              const kernels::Stream& stream = {}, const ReluPoolCall& call = {}) {
    using support::Guarded;
    const std::size_t channels = p.norm ? p.gamma.size() : 0;
    const Guarded x(p.x, call.offset), dy(p.dy, call.offset);
    const Guarded mean(statistics.mean), inv_std(statistics.inv_std), gamma(p.gamma), beta(p.beta);
    Guarded out(at(p.out_size()), call.offset), won(at(p.out_size()), call.offset),
        gradient(at(p.size()), call.offset);
    Guarded gamma_gradient(channels), beta_gradient(channels);
    Guarded workspace(at(kernels::batch_norm_relu_maxpool_backward_workspace(p.shape)) / sizeof(float));
    kernels::ChannelNorm norm;
    if (p.norm) norm = {mean.data(), inv_std.data(), gamma.data(), beta.data()};
    float* kept = call.argmax_values ? won.data() : nullptr;
    kernels::batch_norm_relu_maxpool_forward(p.shape, x.data(), norm, out.data(), kept, stream);
    EXPECT_TRUE(out.complete());
    EXPECT_TRUE(call.argmax_values ? won.complete() : won.untouched());
    kernels::batch_norm_relu_maxpool_backward(p.shape, x.data(), kept, dy.data(), norm, gamma_gradient.data(),
                                              beta_gradient.data(), gradient.data(), workspace.data(),
                                              stream);
    EXPECT_TRUE(gradient.complete());
    EXPECT_TRUE(gamma_gradient.complete());
    EXPECT_TRUE(beta_gradient.complete());
    EXPECT_TRUE(workspace.intact());
    const auto copy = [](const Guarded& from) {
      return std::vector<float>(from.values().begin(), from.values().end());
    };
    y = copy(out);
    if (call.argmax_values) argmax_values = copy(won);
    dgamma = copy(gamma_gradient);
    dbeta = copy(beta_gradient);
    dx = copy(gradient);
  }
  explicit ReluPoolRun(const ReluPoolProblem& p) : ReluPoolRun(p, p.statistics()) {}
};

inline testing::AssertionResult same_gradients(const ReluPoolRun& a, const ReluPoolRun& b) {
  for (const auto& [x, y] :
       {std::pair(&a.y, &b.y), {&a.dgamma, &b.dgamma}, {&a.dbeta, &b.dbeta}, {&a.dx, &b.dx}})
    if (const auto result = same_bits(*x, *y); !result) return result;
  return testing::AssertionSuccess();
}

}  // namespace bntrain
