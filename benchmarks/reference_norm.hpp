// What must come out of a case, in double precision, computed and compared where the tensors are: the largest
// shapes have 205 million elements, for which one thread of a CPU takes minutes.
#pragma once

#include "benchmarks/norm_case.hpp"

namespace bntrain::benchmarks {

/// Of one channel over its n elements: mean and 1 / sqrt(var + eps) of x; the sums of g and of g * xhat,
/// where g is dy, with pooling dy at the argmax of each window whose output is positive.
struct ChannelReference {
  double mean, inv_std, dgamma, dbeta;
};

/// Sums of squares over a channel: of actual - expected, and of expected.
struct ChannelError {
  double difference, expected;
};

/// values[i] = uniform in [low, high), by the i-th number of the seed (Steele, Lea, Flood 2014, "Fast
/// splittable pseudorandom number generators").
void fill_uniform(std::int64_t size, std::uint64_t seed, float low, float high, float* values,
                  const kernels::Stream& stream);

/// channels: [channels]. dy null: without the gradients' sums. All pointers are of device memory.
void reference_sums(const NormCase& c, double eps, const float* x, const float* dy, const float* gamma,
                    const float* beta, ChannelReference* channels, const kernels::Stream& stream);

/// y, or, where dy is given, dx, against the expected one; errors: [channels]. With ReLU gradients are not
/// compared in windows whose maximum before the ReLU is within 1e-5 of 0: there either side is right.
void reference_errors(const NormCase& c, const ChannelReference* channels, const float* x, const float* dy,
                      const float* gamma, const float* beta, const float* actual, ChannelError* errors,
                      const kernels::Stream& stream);

}  // namespace bntrain::benchmarks
