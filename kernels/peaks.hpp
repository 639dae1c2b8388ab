// bntrain::kernels: what a device reaches at most. The rules of kernels.hpp hold here too.
#pragma once

#include "kernels/kernels.hpp"

namespace bntrain::kernels {

/// to[i] = from[i], as fast as it goes. size: a multiple of 4; pointers on 16 bytes; no overlap.
void copy_floats(std::int64_t size, const float* from, float* to, const Stream& stream);

/// The chains that fill the device.
struct ChainSize {
  std::int64_t threads;
  std::int64_t chains_a_thread;
};
ChainSize multiply_add_chain_size(const Stream& stream);

/// `links` times v = v * factor + addend in every chain; chain k of a thread begins with k. sums: one number
/// a thread, the sum of its chains.
void multiply_add_chains(std::int64_t links, float factor, float addend, float* sums, const Stream& stream);

}  // namespace bntrain::kernels
