// bntrain::kernels: the hand-written CUDA kernels for themselves. This header needs no CUDA header.
//
// Pointers are device pointers, sizes are counts of elements. Functions only enqueue work on the stream: they
// allocate nothing, wait for nothing and can be captured into a graph; what they need beside their arguments
// is a workspace that the caller owns. They throw std::invalid_argument for sizes that make no sense and
// std::runtime_error with the kernel's name when a launch fails. Pointers of any alignment are right,
// multiples of 16 bytes are fast. Results are bitwise the same from run to run.
#pragma once

#include <cstdint>

#include "batch_norm.hpp"
#include "training_step.hpp"

struct CUstream_st;

namespace bntrain::kernels {

/// A cudaStream_t, and how many blocks a kernel may run at most (0: as many as fill the device). The bits of
/// the results do not depend on that number.
struct Stream {
  Stream(CUstream_st* stream = nullptr, int most_blocks = 0) : handle(stream), max_blocks(most_blocks) {}

  CUstream_st* handle;
  int max_blocks;
};

/// Whether the library was compiled for the device of the calling thread: its architecture, or code that the
/// driver can translate to it. Throws std::runtime_error where no device can be asked.
bool have_device_code();

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
