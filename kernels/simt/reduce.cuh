// Reductions over a warp and a block. Every thread gets the same bits, and they depend on the block's size
// and the values alone: lanes are paired in a fixed order, warps likewise.
#pragma once

#include "kernels/simt/simt.hpp"

namespace bntrain::simt {

inline constexpr int kMaxWarps = 32;  ///< of a block

/// Two sums that are reduced together.
template <typename T>
struct Pair {
  T first, second;
};

/// Count, mean and sum of squared deviations of some values. The count is of type T as well: it is a factor.
template <typename T>
struct Moments {
  T count, mean, m2;
};

struct Add {
  template <typename T>
  SIMT_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
  template <typename T>
  SIMT_DEVICE Pair<T> operator()(Pair<T> a, Pair<T> b) const {
    return {a.first + b.first, a.second + b.second};
  }
};

/// Chan, Golub, LeVeque (1979), "Updating formulae and a pairwise algorithm for computing sample variances":
///   n = na + nb;  d = mean_b - mean_a;  mean = mean_a + d * nb / n;  m2 = m2_a + m2_b + d^2 * na * nb / n
/// The form with the difference of the means: averaging them, (na * mean_a + nb * mean_b) / n, loses half of
/// what this keeps where the mean is large against the deviation.
struct Merge {
  template <typename T>
  SIMT_DEVICE Moments<T> operator()(Moments<T> a, Moments<T> b) const {
    if (b.count == 0) return a;
    if (a.count == 0) return b;
    const T count = a.count + b.count;
    const T share = b.count / count;
    const T difference = b.mean - a.mean;
    return {count, a.mean + difference * share, a.m2 + b.m2 + difference * difference * (a.count * share)};
  }
};

/// Combines the values of each `lanes` adjacent lanes, a power of two, in log2(lanes) shuffles. The
/// lower lane's value is the left operand on both sides, so that all lanes agree on the bits also where
/// `combine` rounds differently for swapped operands.
template <typename T, typename Combine>
SIMT_DEVICE T warp_reduce(T value, Combine combine, int lanes = kWarpSize) {
  SIMT_UNROLL
  for (int bits = 1; bits < kWarpSize; bits *= 2) {
    if (bits >= lanes) break;
    const T other = shuffle_xor(value, bits);
    value = (lane_index() & bits) != 0 ? combine(other, value) : combine(value, other);
  }
  return value;
}

/// Combines the values of all threads of the block; every thread gets the result. `scratch` has kMaxWarps
/// elements and may have been used before: a barrier comes first. `none` is the neutral value (Pair{0, 0},
/// count 0).
template <typename T, typename Combine>
SIMT_DEVICE T block_reduce(T value, T none, Combine combine, Shared<T> scratch) {
  value = warp_reduce(value, combine);
  block_sync();
  if (lane_index() == 0) scratch[warp_index()] = value;
  block_sync();
  value = none;
  if (lane_index() < warp_count()) value = scratch[lane_index()];
  return warp_reduce(value, combine);
}

template <typename T>
SIMT_DEVICE T warp_sum(T value) {
  return warp_reduce(value, Add{});
}

template <typename T>
SIMT_DEVICE T block_sum(T value, Shared<T> scratch) {
  return block_reduce(value, T{}, Add{}, scratch);
}

template <typename T>
SIMT_DEVICE Moments<T> block_moments(Moments<T> value, Shared<Moments<T>> scratch) {
  return block_reduce(value, Moments<T>{0, 0, 0}, Merge{}, scratch);
}

/// Whether this block is the last of `blocks` to call this; the same result in all its threads. What the
/// others wrote before is visible to it (not through `const __restrict__` pointers: their reads may be
/// cached). *counter is 0 at first and is 0 again afterwards, so that a graph can replay the kernel.
SIMT_DEVICE bool is_last_block(unsigned* counter, unsigned blocks, Shared<unsigned> flag) {
  thread_fence();
  block_sync();
  if (thread_index() == 0) flag[0] = atomic_inc(counter, blocks - 1);
  block_sync();
  const unsigned arrived = flag[0];
  thread_fence();
  return arrived == blocks - 1;
}

}  // namespace bntrain::simt
