// bntrain::kernels: kernels that measure the peaks of a device. The rules of kernels.hpp hold here too.
#pragma once

#include "kernels/kernels.hpp"

namespace bntrain::kernels {

/// to[i] = from[i]. size: a multiple of 4; the pointers are 16-byte aligned and the arrays do not overlap.
void copy_floats(std::int64_t size, const float* from, float* to, const Stream& stream);

/// The chains that occupy the whole device.
struct ChainSize {
  std::int64_t threads;
  std::int64_t chains_per_thread;
};
ChainSize multiply_add_chain_size(const Stream& stream);

/// `iterations` times v = v * factor + addend in every chain; chain k of a thread begins with k. sums: one
/// element per thread, the sum of its chains.
void multiply_add_chains(std::int64_t iterations, float factor, float addend, float* sums,
                         const Stream& stream);

}  // namespace bntrain::kernels
