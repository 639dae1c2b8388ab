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
#define SIMT_ROLL _Pragma("unroll 1")
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
/// A barrier of the `threads` threads, a multiple of 32, of the block that call it with this `id`, 1 to 15.
/// Always the same whole warps meet at one id.
SIMT_DEVICE void part_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
SIMT_DEVICE void grid_sync() {
  cooperative_groups::this_grid().sync();
}
/// grid_sync() in two halves, between which a thread may do other work: grid_wait(grid_arrive()). Each half
/// is a barrier of the block too.
using GridArrival = cooperative_groups::grid_group::arrival_token;
SIMT_DEVICE GridArrival grid_arrive() {
  return cooperative_groups::this_grid().barrier_arrive();
}
SIMT_DEVICE void grid_wait(GridArrival arrival) {
  cooperative_groups::this_grid().barrier_wait(static_cast<GridArrival&&>(arrival));
}
SIMT_DEVICE void thread_fence() {
  __threadfence();
}

// A launch with LaunchConfig::dependent may start before the launch before it has ended (CUDA: programmatic
// dependent launch). Nothing happens in other launches and before compute capability 9.0.

/// Returns when all earlier launches of the stream have ended and what they wrote is visible. Every thread
/// calls it before it writes, and before it reads what the launch before may have written.
SIMT_DEVICE void grid_dependency_wait() {
  NV_IF_TARGET(NV_PROVIDES_SM_90, (asm volatile("griddepcontrol.wait;" ::: "memory");))
}
/// The next launch, if it is a dependent one, may start when all blocks have called this or ended. It is only
/// a matter of time: what the next launch may read after its own wait does not depend on it.
SIMT_DEVICE void grid_dependency_launch() {
  NV_IF_TARGET(NV_PROVIDES_SM_90, (asm volatile("griddepcontrol.launch_dependents;" ::: "memory");))
}

// Clusters begin with compute capability 9.0; launch() refuses them before, so the traps are never reached.
SIMT_DEVICE int cluster_rank() {
  NV_IF_ELSE_TARGET(NV_PROVIDES_SM_90, (return static_cast<int>(__clusterRelativeBlockRank());), (return 0;))
}
SIMT_DEVICE int cluster_size() {
  NV_IF_ELSE_TARGET(NV_PROVIDES_SM_90, (return static_cast<int>(__clusterSizeInBlocks());), (return 1;))
}
/// Each block of a cluster tells the others that it has started, and waits for them: the first access to
/// their shared memory comes after it. In pairs, and no order of memory: work in between hides the wait.
SIMT_DEVICE void cluster_announce() {
  NV_IF_ELSE_TARGET(NV_PROVIDES_SM_90,
                    (asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::
                                      : "memory");),
                    (__trap();))
}
SIMT_DEVICE void cluster_wait_started() {
  NV_IF_ELSE_TARGET(NV_PROVIDES_SM_90,
                    (asm volatile("barrier.cluster.wait.acquire.aligned;" ::
                                      : "memory");),
                    (__trap();))
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
/// An element of global memory. Plain accesses on the device; the executor counts and checks them.
template <typename T>
SIMT_DEVICE T load(const T* p) {
  return *p;
}
template <typename T>
SIMT_DEVICE void store(T* p, T value) {
  *p = value;
}

namespace detail {

// The hint is a policy in a register. These are not volatile, so that a kernel makes each policy once. Before
// compute capability 8.0 there are no hints, and the policy is not used.
SIMT_DEVICE std::uint64_t evict_first() {
  std::uint64_t policy = 0;
  NV_IF_TARGET(NV_PROVIDES_SM_80, (asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;"
                                       : "=l"(policy));))
  return policy;
}
SIMT_DEVICE std::uint64_t evict_last() {
  std::uint64_t policy = 0;
  NV_IF_TARGET(NV_PROVIDES_SM_80, (asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;"
                                       : "=l"(policy));))
  return policy;
}

template <typename T>
SIMT_DEVICE Vec<T> load_vec_hinted(const T* p, std::uint64_t policy) {
  uint4 bits;
  NV_IF_ELSE_TARGET(NV_PROVIDES_SM_80,
                    (asm volatile("ld.global.L2::cache_hint.v4.u32 {%0, %1, %2, %3}, [%4], %5;"
                                  : "=r"(bits.x), "=r"(bits.y), "=r"(bits.z), "=r"(bits.w)
                                  : "l"(p), "l"(policy)
                                  : "memory");),
                    (bits = *reinterpret_cast<const uint4*>(p);))
  Vec<T> values;
  memcpy(&values, &bits, sizeof bits);
  return values;
}

template <int bytes>
SIMT_DEVICE void copy_async_hinted(void* to, const void* from, std::uint64_t policy) {
  static_assert(bytes == 4 || bytes == 8 || bytes == 16);
  // Only 16 bytes may bypass L1.
  // ptxas 13.0 folds a part of the address that all threads share into LDGSTS [R + UR0], desc[UR1], which is
  // illegal on the device. It cannot fold an exclusive or with a zero that it does not know: the grid has no
  // z.
  NV_IF_ELSE_TARGET(
      NV_PROVIDES_SM_80,
      (unsigned zero; asm("mov.u32 %0, %%ctaid.z;"
                          : "=r"(zero));
       const auto shared = static_cast<unsigned>(__cvta_generic_to_shared(to)) ^ zero;
       if constexpr (bytes == 16) asm volatile(
           "cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2;" ::"r"(shared), "l"(from),
           "l"(policy)
           : "memory");
       else asm volatile("cp.async.ca.shared.global.L2::cache_hint [%0], [%1], %2, %3;" ::"r"(shared),
                         "l"(from), "n"(bytes), "l"(policy)
                         : "memory");),
      (__pipeline_memcpy_async(to, from, bytes);))
}

}  // namespace detail

/// load_vec and store_vec with a hint to the L2 cache. once: global memory that is not used again soon, the
/// first to be evicted. keep: memory that is read again, the last to be evicted.
template <typename T>
SIMT_DEVICE Vec<T> load_vec_once(const T* p) {
  return detail::load_vec_hinted(p, detail::evict_first());
}
template <typename T>
SIMT_DEVICE Vec<T> load_vec_keep(const T* p) {
  return detail::load_vec_hinted(p, detail::evict_last());
}
template <typename T>
SIMT_DEVICE void store_vec_once(T* p, Vec<T> values) {
  uint4 bits;
  memcpy(&bits, &values, sizeof bits);
  NV_IF_ELSE_TARGET(
      NV_PROVIDES_SM_80,
      (asm volatile("st.global.L2::cache_hint.v4.u32 [%0], {%1, %2, %3, %4}, %5;" ::"l"(p), "r"(bits.x),
                    "r"(bits.y), "r"(bits.z), "r"(bits.w), "l"(detail::evict_first())
                    : "memory");),
      (*reinterpret_cast<uint4*>(p) = bits;))
}

/// Copies `count` values, 4, 8 or 16 bytes aligned to their size, from global to shared memory asynchronously
/// (before compute capability 8.0 at once). The thread itself may read them after copies_wait(), others after
/// a barrier that follows it.
template <int count, typename T>
SIMT_DEVICE void copy_async(T* to, const T* from) {
  __pipeline_memcpy_async(to, from, count * sizeof(T));
}
/// With the hints of load_vec_once and load_vec_keep.
template <int count, typename T>
SIMT_DEVICE void copy_async_once(T* to, const T* from) {
  detail::copy_async_hinted<count* static_cast<int>(sizeof(T))>(to, from, detail::evict_first());
}
template <int count, typename T>
SIMT_DEVICE void copy_async_keep(T* to, const T* from) {
  detail::copy_async_hinted<count* static_cast<int>(sizeof(T))>(to, from, detail::evict_last());
}
/// Ends a group: this thread's copies since the last call, also when there are none.
SIMT_DEVICE void copies_commit() {
  __pipeline_commit();
}
/// Waits for all groups of this thread but the `pending` youngest.
template <int pending>
SIMT_DEVICE void copies_wait() {
  static_assert(pending >= 0);
  // __pipeline_wait_prior() knows no more than 8.
  NV_IF_TARGET(NV_PROVIDES_SM_80, (asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");))
}
/// Waits for all copies of this thread.
SIMT_DEVICE void copies_wait() {
  copies_commit();
  copies_wait<0>();
}

/// Messages between resident blocks: values of 8 or 16 bytes in global memory that one thread stores while
/// others poll. Each 8 bytes arrive as a whole, in no order with any other memory: so each 8 bytes must tell
/// that they are new, and nothing else may be concluded from them.
template <typename T>
SIMT_DEVICE void store_message(T* p, T value) {
  static_assert(sizeof(T) == 8 || sizeof(T) == 16);
  unsigned long long words[sizeof(T) / 8];
  memcpy(words, &value, sizeof value);
  if constexpr (sizeof(T) == 16)
    asm volatile("st.relaxed.gpu.global.v2.u64 [%0], {%1, %2};" ::"l"(p), "l"(words[0]), "l"(words[1])
                 : "memory");
  else
    asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(p), "l"(words[0]) : "memory");
}
template <typename T>
SIMT_DEVICE T load_message(const T* p) {
  static_assert(sizeof(T) == 8 || sizeof(T) == 16);
  unsigned long long words[sizeof(T) / 8];
  if constexpr (sizeof(T) == 16)
    asm volatile("ld.relaxed.gpu.global.v2.u64 {%0, %1}, [%2];"
                 : "=l"(words[0]), "=l"(words[1])
                 : "l"(p)
                 : "memory");
  else
    asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(words[0]) : "l"(p) : "memory");
  T value;
  memcpy(&value, words, sizeof value);
  return value;
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
/// 1 / sqrt(x) with a relative error below 2^-22.
SIMT_DEVICE float inverse_sqrt_approximately(float x) {
  return rsqrtf(x);
}

}  // namespace bntrain::simt
