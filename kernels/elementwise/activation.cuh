// The activations on a GPU: one functor each. A new one is a functor here and a case of with_activation().
//
// Formulas: bntrain/activation.hpp. forward(x) gives y; backward(saved, dy) gives dx, where `saved` is y for
// the activations whose gradient_from_output says so, else x. kKind: its row there. NaN passes through all of
// them.
//
// Errors, with eps = 2^-23 and expf() and erfcf() as accurate as the CUDA programming guide says (2 and 4
// ulp):
//   sigmoid, silu  e = exp(-|x|) <= 1 cannot overflow, and neither sigmoid(x) nor sigmoid(-x) is a difference
//                  of nearly equal numbers: 4 eps and 5 eps, relative
//   gelu           Phi(x) = erfc(-x / sqrt(2)) / 2, which 1 + erf(x / sqrt(2)) would cancel for x < 0. The
//                  rounded argument moves Phi by its condition number, 1 + x^2: (7 + x^2) eps, relative
// Where exp() or erfc() is subnormal, their ulp is 2^-149.
#pragma once

#include <cmath>
#include <stdexcept>

#include "bntrain/activation.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {

struct Identity {
  static constexpr ActivationKind kKind = ActivationKind::none;
  SIMT_DEVICE float forward(float x) const { return x; }
  SIMT_DEVICE float backward(float, float dy) const { return dy; }
};

struct Relu {
  static constexpr ActivationKind kKind = ActivationKind::relu;
  // Not fmaxf(x, 0), which would hide a NaN.
  SIMT_DEVICE float forward(float x) const { return x <= 0 ? 0.0f : x; }
  SIMT_DEVICE float backward(float y, float dy) const { return y <= 0 ? 0.0f : dy; }
};

struct LeakyRelu {
  static constexpr ActivationKind kKind = ActivationKind::leaky_relu;
  float slope;

  SIMT_DEVICE float forward(float x) const { return x > 0 ? x : slope * x; }
  /// The sign of y is that of x, as the slope is not negative.
  SIMT_DEVICE float backward(float y, float dy) const { return y > 0 ? dy : slope * dy; }
};

struct Sigmoid {
  static constexpr ActivationKind kKind = ActivationKind::sigmoid;
  SIMT_DEVICE float forward(float x) const {
    const float e = std::exp(-std::fabs(x));
    return (x < 0 ? e : 1.0f) / (1.0f + e);
  }
  SIMT_DEVICE float backward(float y, float dy) const { return dy * (y * (1.0f - y)); }
};

struct Silu {
  static constexpr ActivationKind kKind = ActivationKind::silu;
  SIMT_DEVICE float forward(float x) const { return x * Sigmoid{}.forward(x); }
  SIMT_DEVICE float backward(float x, float dy) const {
    return dy * (Sigmoid{}.forward(x) * (1.0f + x * Sigmoid{}.forward(-x)));
  }
};

struct Gelu {
  static constexpr ActivationKind kKind = ActivationKind::gelu;
  /// The normal distribution function Phi.
  SIMT_DEVICE static float distribution(float x) {
    constexpr float kInverseRoot2 = 0.707106781186547524f;
    return 0.5f * std::erfc(-x * kInverseRoot2);
  }
  SIMT_DEVICE static float density(float x) {
    constexpr float kInverseRoot2Pi = 0.398942280401432678f;
    return kInverseRoot2Pi * std::exp(-0.5f * x * x);
  }
  SIMT_DEVICE float forward(float x) const { return x * distribution(x); }
  SIMT_DEVICE float backward(float x, float dy) const { return dy * (distribution(x) + x * density(x)); }
};

/// Returns use(functor) for the activation; `slope` is that of leaky_relu.
template <typename Use>
auto with_activation(ActivationKind kind, float slope, const Use& use) {
  switch (kind) {
    case ActivationKind::none:
      return use(Identity{});
    case ActivationKind::relu:
      return use(Relu{});
    case ActivationKind::sigmoid:
      return use(Sigmoid{});
    case ActivationKind::gelu:
      return use(Gelu{});
    case ActivationKind::silu:
      return use(Silu{});
    case ActivationKind::leaky_relu:
      // The gradient comes from y, which does not tell the sign of x where the slope is negative.
      if (!(slope >= 0)) throw std::invalid_argument("leaky_relu: the slope is negative or NaN");
      return use(LeakyRelu{slope});
  }
  throw std::invalid_argument("activation: the kind is not a known one");
}

}  // namespace bntrain::kernels
