// A batch norm to test: inputs, and what the fp64 reference allows.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bntrain/batch_norm.hpp"
#include "support/device_vector.hpp"
#include "support/reference.hpp"

namespace bntrain::test {

/// Kernels may be handed them.
using Floats = support::DeviceVector<float>;
using reference::Values;

struct NormCase {
  BatchNormShape shape{};
  BatchNormOptions options{};
  Floats x, dy;        ///< (batch, channels, spatial)
  Floats gamma, beta;  ///< [channels]
  Floats running_mean, running_var;

  std::size_t channels() const { return static_cast<std::size_t>(shape.channels); }
  std::int64_t values_per_channel() const { return shape.batch * shape.spatial; }
  reference::NormShape reference_shape() const { return {shape.batch, shape.channels, shape.spatial}; }
  /// The channel of element `i` of x.
  std::size_t channel_of(std::size_t i) const {
    return i / static_cast<std::size_t>(shape.spatial) % channels();
  }
};

/// `count` values in [-1, 1) on a grid of 2^-20, the same for the same seed.
Floats numbers(std::size_t count, std::uint32_t seed);

/// x is uniform with this mean and deviation (a little different in each channel), gammas have both signs.
NormCase make_case(const BatchNormShape& shape, double mean = 0.5, double deviation = 1);
/// One channel of given values in N images of one pixel; gamma 1.5, beta 0.25.
NormCase one_channel(const Floats& x);

/// What the reference gives, and by how much float32 may miss it; see the derivation in the source.
struct Expected {
  Values y, mean, var, dx, dgamma, dbeta;
  struct Bounds {
    Values y, mean, var, dx, dgamma, dbeta;
  } bounds;
};
Expected expect_training(const NormCase& c);
Expected expect_inference(const NormCase& c);

/// Element by element, also NaN.
testing::AssertionResult same_bits(const Floats& a, const Floats& b);

}  // namespace bntrain::test
