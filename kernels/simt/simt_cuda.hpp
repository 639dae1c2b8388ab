// simt.hpp for nvcc. Include simt.hpp, never this file.
#pragma once

#include <cooperative_groups.h>
#include <cuda_pipeline.h>

#include <cstring>
#include <nv/target>

/// SIMT_KERNEL(largest block[, fewest blocks per multiprocessor]) name(parameters) {...}
#define SIMT_KERNEL(...) __global__ void __launch_bounds__(__VA_ARGS__)
#define SIMT_DEVICE __device__ __forceinline__
#define SIMT_HOST_DEVICE __host__ __device__ __forceinline__
#define SIMT_UNROLL _Pragma("unroll")
#define SIMT_NO_UNROLL _Pragma("unroll 1")
/// A shared array of `count` (a constant) elements; passes as Shared<type>.
#define SIMT_SHARED(type, name, count) __shared__ __align__(16) type name[count]

#include "kernels/simt/simt_types.hpp"

namespace bntrain::simt {

/// An array in shared memory.
template <typename T>
using Shared = T*;

/// Carves the block's dynamic shared memory into arrays.
class DynamicShared {
 public:
  /// The next `count` elements; `name` is for the host's messages.
  template <typename T>
  SIMT_DEVICE Shared<T> take(const char*, std::int64_t count) {
    extern __shared__ __align__(16) unsigned char bntrain_dynamic_shared[];
    T* array = reinterpret_cast<T*>(bntrain_dynamic_shared + used_);
    used_ += carved_bytes<T>(count);
    return array;
  }

 private:
  std::int64_t used_ = 0;
};

SIMT_DEVICE int thread_index() {
  return static_cast<int>(threadIdx.x);
}
SIMT_DEVICE int block_size() {
  return static_cast<int>(blockDim.x);
}
SIMT_DEVICE int block_index() {
  return static_cast<int>(blockIdx.x);
}
SIMT_DEVICE int block_index_y() {
  return static_cast<int>(blockIdx.y);
}
SIMT_DEVICE int grid_size() {
  return static_cast<int>(gridDim.x);
}
SIMT_DEVICE int grid_size_y() {
  return static_cast<int>(gridDim.y);
}

SIMT_DEVICE void block_sync() {
  __syncthreads();
}
SIMT_DEVICE void warp_sync() {
  __syncwarp();
}
SIMT_DEVICE void grid_sync() {
  cooperative_groups::this_grid().sync();
}
SIMT_DEVICE void thread_fence() {
  __threadfence();
}

// Clusters begin with compute capability 9.0; launch() refuses them before, so the traps are never reached.
SIMT_DEVICE int cluster_rank() {
  NV_IF_ELSE_TARGET(NV_PROVIDES_SM_90, (return static_cast<int>(__clusterRelativeBlockRank());), (return 0;))
}
SIMT_DEVICE int cluster_size() {
  NV_IF_ELSE_TARGET(NV_PROVIDES_SM_90, (return static_cast<int>(__clusterSizeInBlocks());), (return 1;))
}
SIMT_DEVICE void cluster_sync() {
  NV_IF_ELSE_TARGET(NV_PROVIDES_SM_90, (__cluster_barrier_arrive(); __cluster_barrier_wait();), (__trap();))
}
/// The same array in block `rank` of the cluster.
template <typename T>
SIMT_DEVICE Shared<T> map_shared(Shared<T> array, int rank) {
  NV_IF_ELSE_TARGET(NV_PROVIDES_SM_90,
                    (return static_cast<T*>(__cluster_map_shared_rank(array, static_cast<unsigned>(rank)));),
                    (__trap(); return array;))
}

namespace detail {

/// One 32-bit shuffle for each word of the value.
template <typename T, typename Shuffle>
SIMT_DEVICE T by_words(T value, Shuffle shuffle) {
  static_assert(sizeof(T) % sizeof(unsigned) == 0);
  unsigned words[sizeof(T) / sizeof(unsigned)];
  memcpy(words, &value, sizeof(T));
#pragma unroll
  for (unsigned& word : words) word = shuffle(word);
  memcpy(&value, words, sizeof(T));
  return value;
}

}  // namespace detail

/// The value of lane `source`, of lane + delta (its own value beyond lane 31), of lane ^ bits.
template <typename T>
SIMT_DEVICE T shuffle(T value, int source, unsigned mask = kFullMask) {
  return detail::by_words(value, [=](unsigned word) { return __shfl_sync(mask, word, source); });
}
template <typename T>
SIMT_DEVICE T shuffle_down(T value, int delta, unsigned mask = kFullMask) {
  return detail::by_words(
      value, [=](unsigned word) { return __shfl_down_sync(mask, word, static_cast<unsigned>(delta)); });
}
template <typename T>
SIMT_DEVICE T shuffle_xor(T value, int bits, unsigned mask = kFullMask) {
  return detail::by_words(value, [=](unsigned word) { return __shfl_xor_sync(mask, word, bits); });
}

SIMT_DEVICE unsigned vote_ballot(bool predicate, unsigned mask = kFullMask) {
  return __ballot_sync(mask, predicate);
}
SIMT_DEVICE bool vote_any(bool predicate, unsigned mask = kFullMask) {
  return __any_sync(mask, predicate);
}
SIMT_DEVICE bool vote_all(bool predicate, unsigned mask = kFullMask) {
  return __all_sync(mask, predicate);
}
SIMT_DEVICE int count_bits(unsigned bits) {
  return __popc(bits);
}
/// The number of the lowest set bit, -1 for 0.
SIMT_DEVICE int lowest_bit(unsigned bits) {
  return __ffs(static_cast<int>(bits)) - 1;
}

/// 16 aligned bytes of global or shared memory in one access. Through uint4, because nvcc does not merge the
/// members of a struct of bytes into one access.
template <typename T>
SIMT_DEVICE Vec<T> load_vec(const T* p) {
  const uint4 bits = *reinterpret_cast<const uint4*>(p);
  Vec<T> values;
  memcpy(&values, &bits, sizeof bits);
  return values;
}
template <typename T>
SIMT_DEVICE void store_vec(T* p, Vec<T> values) {
  uint4 bits;
  memcpy(&bits, &values, sizeof bits);
  *reinterpret_cast<uint4*>(p) = bits;
}
/// The same for global memory that is not used again soon: first to be evicted from the caches.
template <typename T>
SIMT_DEVICE Vec<T> load_vec_once(const T* p) {
  const uint4 bits = __ldcs(reinterpret_cast<const uint4*>(p));
  Vec<T> values;
  memcpy(&values, &bits, sizeof bits);
  return values;
}
template <typename T>
SIMT_DEVICE void store_vec_once(T* p, Vec<T> values) {
  uint4 bits;
  memcpy(&bits, &values, sizeof bits);
  __stcs(reinterpret_cast<uint4*>(p), bits);
}

/// Copies `count` values, 4, 8 or 16 bytes aligned to their size, from global to shared memory asynchronously
/// (before compute capability 8.0 at once). The thread itself may read them after copies_wait(), others after
/// a barrier that follows it.
template <int count, typename T>
SIMT_DEVICE void copy_async(T* to, const T* from) {
  __pipeline_memcpy_async(to, from, count * sizeof(T));
}
/// Waits for all copies of this thread.
SIMT_DEVICE void copies_wait() {
  __pipeline_commit();
  __pipeline_wait_prior(0);
}

/// Integers only: the order of atomics is not fixed, so float ones would change the bits from run to run.
SIMT_DEVICE unsigned atomic_add(unsigned* p, unsigned value) {
  return atomicAdd(p, value);
}
SIMT_DEVICE unsigned long long atomic_add(unsigned long long* p, unsigned long long value) {
  return atomicAdd(p, value);
}
SIMT_DEVICE unsigned atomic_max(unsigned* p, unsigned value) {
  return atomicMax(p, value);
}
/// *p = *p >= last ? 0 : *p + 1; returns the old value.
SIMT_DEVICE unsigned atomic_inc(unsigned* p, unsigned last) {
  return atomicInc(p, last);
}

/// 1 / sqrt(x), both steps rounded as IEEE says whatever the compiler's flags: rsqrt() is an approximation.
SIMT_DEVICE float inverse_sqrt(float x) {
  return __frcp_rn(__fsqrt_rn(x));
}
SIMT_DEVICE double inverse_sqrt(double x) {
  return __drcp_rn(__dsqrt_rn(x));
}

}  // namespace bntrain::simt
