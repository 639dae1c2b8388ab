// A batch norm to test: inputs, guarded runs of the public functions, and what the fp64 reference allows.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bntrain/batch_norm.hpp"
#include "support/reference.hpp"

namespace bntrain::test {

using Floats = std::vector<float>;
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

/// `count` numbers in [-1, 1) on a grid of 2^-20, the same for the same seed.
Floats numbers(std::size_t count, std::uint32_t seed);

/// x is uniform with this mean and deviation (a little different in each channel), gammas have both signs.
NormCase make_case(const BatchNormShape& shape, double mean = 0.5, double deviation = 1);
/// One channel of given values in N images of one pixel; gamma 1.5, beta 0.25.
NormCase one_channel(const Floats& x);

struct ForwardResult {
  Floats y, mean, var, running_mean, running_var;
};
struct BackwardResult {
  Floats dx, dgamma, dbeta;
};

/// How a run lays out its memory: all pointers `offset` floats behind a 64-byte boundary, the result in place
/// of its input (y = x, dx = dy).
struct Memory {
  std::size_t offset = 0;
  bool in_place = false;
};

// Each checks that every output element was written and nothing around the buffers.
ForwardResult forward_train(const NormCase& c, CpuIsa isa, Memory memory = {});
BackwardResult backward(const NormCase& c, const ForwardResult& forward, CpuIsa isa, Memory memory = {});
Floats inference(const NormCase& c, CpuIsa isa, Memory memory = {});
BackwardResult inference_backward(const NormCase& c, CpuIsa isa, Memory memory = {});

/// What the reference gives, and by how much float32 may miss it; see the derivation in the source.
struct Expected {
  Values y, mean, var, dx, dgamma, dbeta;
  struct Bounds {
    Values y, mean, var, dx, dgamma, dbeta;
  } bounds;
};
Expected expect_training(const NormCase& c);
Expected expect_inference(const NormCase& c);

/// Every output of both passes against the reference.
void check_training(const NormCase& c, CpuIsa isa, Memory memory = {});
void check_inference(const NormCase& c, CpuIsa isa, Memory memory = {});

/// Element by element, also NaN.
testing::AssertionResult same_bits(const Floats& a, const Floats& b);

/// A suite that runs on every instruction set that this processor has.
class PerIsa : public testing::TestWithParam<CpuIsa> {
 protected:
  CpuIsa isa() const { return GetParam(); }
};
inline std::string isa_name(const testing::TestParamInfo<CpuIsa>& info) {
  return to_string(info.param);
}

}  // namespace bntrain::test
