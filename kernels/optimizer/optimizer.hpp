// bntrain::kernels: updates of the parameters. Part of kernels.hpp, whose rules hold here too.
#pragma once

#include <cstdint>

namespace bntrain::kernels {

struct Stream;

/// What may change from step to step. It lives in device memory, so that a captured graph sees the new
/// values.
struct SgdScalars {
  float lr, momentum, weight_decay;

  bool operator==(const SgdScalars&) const = default;
};

/// One step of stochastic gradient descent over a flat buffer, as torch.optim.SGD with dampening 0:
///   g = gradient + weight_decay * w;  velocity = momentum * velocity + g;  w -= lr * velocity
/// gradient, weights, velocity: [size], no two overlap; velocity starts as zeros, or is null: no momentum.
/// scalars: device memory. halted: device memory or null; where it is not 0, nothing is changed.
void sgd(std::int64_t size, const float* gradient, const SgdScalars* scalars, const unsigned* halted,
         float* weights, float* velocity, const Stream& stream);

}  // namespace bntrain::kernels
