// bntrain::kernels: the hand-written CUDA kernels for themselves. This header needs no CUDA header.
//
// Pointers are device pointers, sizes are counts of elements. Functions only enqueue work on the stream: they
// allocate nothing, wait for nothing and can be captured into a graph; what they need beside their arguments
// is a workspace that the caller owns. They throw std::invalid_argument for sizes that make no sense and
// std::runtime_error with the kernel's name when a launch fails. Pointers of any alignment are right,
// multiples of 16 bytes are fast. Results are bitwise the same from run to run.
#pragma once

#include "batch_norm/batch_norm.hpp"
#include "batch_norm/maxpool.hpp"
#include "convolution/convolution.hpp"
#include "convolution/patches.hpp"
#include "elementwise/elementwise.hpp"
#include "linear/linear.hpp"
#include "loss/softmax_cross_entropy.hpp"
#include "optimizer/optimizer.hpp"
#include "stream.hpp"

namespace bntrain::kernels {

/// Whether the library was compiled for the device of the calling thread: its architecture, or code that the
/// driver can translate to it. Throws std::runtime_error where no device can be asked.
bool have_device_code();

}  // namespace bntrain::kernels
