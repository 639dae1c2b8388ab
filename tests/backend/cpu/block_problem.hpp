// One block over one group: its values, its reference, its kernels called in the order of a training step.
#pragma once

#include <string>
#include <vector>

#include "backend/cpu/kernel_test.hpp"
#include "support/plan_reference.hpp"

namespace bntrain::cpu {

struct BlockCase {
  std::int64_t height, width, pool;
  bool norm;
  Activation activation = {};
  bool average = false;

  std::string name() const {
    const std::string keyword = activation.kind == ActivationKind::none
                                    ? ""
                                    : ", " + std::string(activation_type(activation.kind).keyword);
    return std::to_string(height) + "x" + std::to_string(width) + (norm ? ", norm" : "") + keyword +
           (average ? ", average of " : ", maximum of ") + std::to_string(pool);
  }
};

inline constexpr Activation kNoActivation{}, kRelu{ActivationKind::relu}, kSigmoid{ActivationKind::sigmoid};

/// Whether its values and derivatives are rounded.
inline bool is_smooth(const Activation& activation) {
  return activation != kNoActivation && activation != kRelu;
}

/// All combinations of the three parts on even and odd planes; the last is longer than a chunk.
inline std::vector<BlockCase> block_cases() {
  const Activation activations[] = {kNoActivation,
                                    kRelu,
                                    kSigmoid,
                                    {ActivationKind::gelu},
                                    {ActivationKind::silu},
                                    {ActivationKind::leaky_relu, 0.25f}};
  std::vector<BlockCase> cases;
  for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{6, 6}, {7, 5}, {3, 40}, {12, 13}})
    for (std::int64_t pool = 1; pool <= 3; ++pool)
      for (const bool norm : {false, true})
        for (const Activation& activation : activations)
          for (const bool average : {false, true}) {
            // A maximum is taken before the activation, which must keep the order.
            const bool monotone = activation == kNoActivation || activation_type(activation.kind).monotone;
            if (pool > 1 ? average || monotone : !average)
              cases.push_back({height, width, pool, norm, activation, average});
          }
  for (const Activation& activation : activations)
    if (activation != kNoActivation) cases.push_back({1, 1, 1, true, activation});
  return cases;
}

/// Reference results, dense (valid, channels, ...).
struct BlockReference {
  reference::Values mean, var, y, dx, dgamma, dbeta;
  reference::Values activation_dy;   ///< gradient of the activation's output
  reference::Values norm_dy;         ///< gradient of its input
  std::vector<std::int64_t> argmax;  ///< per output: index into x; empty where averages are taken
};

struct BlockProblem {
  BlockShape shape;
  int valid;
  double eps = 1e-5;
  std::vector<float> x, gamma, beta, dy;

  Planes input() const { return {shape.channels, shape.in_height, shape.in_width}; }
  Planes output() const { return {shape.channels, shape.out_height, shape.out_width}; }
  std::int64_t spatial() const { return shape.in_height * shape.in_width; }
  std::int64_t values_per_channel() const { return valid * spatial(); }
  std::int64_t channel_of(std::size_t x_index) const {
    return static_cast<std::int64_t>(x_index) / spatial() % shape.channels;
  }

  BlockReference reference() const {
    using namespace reference;
    const NormShape norm{valid, shape.channels, spatial()};
    const PoolShape pool{valid, shape.channels, shape.in_height, shape.in_width, shape.pool};
    const Values wide = widen(x);
    const NormForward n = norm_forward(wide, widen(gamma), widen(beta), norm, eps);
    const Values normed = shape.norm ? n.y : wide;
    const Values active = activation_forward(shape.activation, normed);
    BlockReference r;
    r.mean = n.mean;
    r.var = n.var;
    if (averages(shape)) {
      r.y = avgpool_forward(active, pool);
      r.activation_dy = avgpool_backward(widen(dy), pool);
    } else {
      const PoolForward pooled = maxpool_forward(active, pool);
      r.y = pooled.y;
      r.argmax = pooled.argmax;
      r.activation_dy = maxpool_backward(pooled, widen(dy), pool);
    }
    r.norm_dy = activation_backward(shape.activation, normed, r.activation_dy);
    r.dx = r.norm_dy;
    if (!shape.norm) return r;
    NormGradients g = norm_backward(wide, r.norm_dy, widen(gamma), norm, eps);
    r.dx = std::move(g.x);
    r.dgamma = std::move(g.gamma);
    r.dbeta = std::move(g.beta);
    return r;
  }
};

inline BlockShape block_shape(std::int64_t channels, const BlockCase& c) {
  return {channels, c.height, c.width,   c.height / c.pool, c.width / c.pool,
          c.pool,   c.norm,   c.average, c.activation};
}

/// The kernels of a whole training step, one after the other.
struct BlockRun {
  std::vector<Moments> moments;
  std::vector<float> mean, inv_std, dbeta_mean, dgamma_mean;
  std::vector<double> sums;
  std::vector<float> y, dx;    ///< dense (valid, channels, ...)
  std::vector<float> dead_dx;  ///< dx in the lanes without an image

  /// `statistics`: another run whose mean and inv_std are used instead of the block's own.
  BlockRun(const Kernels& k, const BlockProblem& p, const BlockRun* statistics = nullptr) {
    using support::Guarded;
    const auto channels = at(p.shape.channels);
    const bool norm = p.shape.norm;
    const Guarded x = to_lanes(p.x, p.input().size(), k.lanes, 1e3f);
    const Guarded dy = to_lanes(p.dy, p.output().size(), k.lanes);
    Guarded pooled(at(p.output().size() * k.lanes)), out(at(p.output().size() * k.lanes)),
        gradient(at(p.input().size() * k.lanes));
    moments.assign(channels, {});
    k.block_reduce(p.shape, x.data(), norm ? p.gamma.data() : nullptr, p.valid,
                   norm ? moments.data() : nullptr, pooled.data());
    EXPECT_TRUE(pools_raw(p.shape) ? pooled.complete() : pooled.untouched());
    const Guarded& raw = pools_raw(p.shape) ? pooled : x;

    const auto n = static_cast<double>(p.values_per_channel());
    for (const Moments& m : moments) {
      mean.push_back(static_cast<float>(m.mean));
      inv_std.push_back(static_cast<float>(1 / std::sqrt(m.m2 / n + p.eps)));
    }
    if (statistics != nullptr) mean = statistics->mean, inv_std = statistics->inv_std;
    dbeta_mean.assign(channels, 0);
    dgamma_mean.assign(channels, 0);
    const NormCoefficients coefficients{mean.data(),   inv_std.data(),    p.gamma.data(),
                                        p.beta.data(), dbeta_mean.data(), dgamma_mean.data()};
    k.block_forward(p.shape, raw.data(), coefficients, out.data());
    EXPECT_TRUE(out.complete());
    if (norm) {
      sums.assign(2 * channels, std::nan(""));
      k.block_backward_sums(p.shape, raw.data(), out.data(), dy.data(), coefficients, sums.data());
      for (std::size_t c = 0; c < channels; ++c) {
        dbeta_mean[c] = static_cast<float>(sums[2 * c] / n);
        dgamma_mean[c] = static_cast<float>(sums[2 * c + 1] / n);
      }
    }
    k.block_backward_input(p.shape, x.data(), raw.data(), out.data(), dy.data(), coefficients, p.valid,
                           dense(p.input()), gradient.data());
    EXPECT_TRUE(gradient.complete());
    y = from_lanes(out.values(), k.lanes, p.valid);
    dx = from_lanes(gradient.values(), k.lanes, p.valid);
    for (std::size_t i = 0; i < gradient.size(); ++i)
      if (static_cast<int>(i) % k.lanes >= p.valid) dead_dx.push_back(gradient.data()[i]);
  }
};

}  // namespace bntrain::cpu
