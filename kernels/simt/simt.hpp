// What a kernel may use. The same kernel source is compiled by nvcc for a GPU (simt_cuda.hpp) and by the host
// compiler for an executor that needs no GPU (host/).
//
// How to write a kernel here (elementwise/activation.cu is the pattern)
// - Include simt.hpp, reduce.cuh, launch.hpp, kernels.hpp; nothing of CUDA's. `using namespace simt;`
// - `SIMT_KERNEL(256) scale_kernel(const float* x, ...) {...}` in an unnamed namespace; the number is the
//   largest block (a second one, the fewest resident blocks per multiprocessor). Helpers are `SIMT_DEVICE
//   float f(...)`.
// - Blocks are one-dimensional, a multiple of 32. Work is strided, from grid_thread() by grid_threads(), and
//   right for every grid. Results do not depend on the grid: partial sums belong to fixed chunks of the data.
// - `SIMT_SHARED(float, partial, 32);` is a shared array. `DynamicShared dynamic;` and then
//   `Shared<float> tile = dynamic.take<float>("tile", n);` carve dynamic shared memory, the same way in all
//   threads; launch with the sum of carved_bytes<float>(n). Helpers take arrays as Shared<T>.
// - Read into a type, `float v = tile[i];`, never auto; a struct as a whole. `tile + i` is a view from i on.
// - A block_sync() separates a write from another thread's access to the element; within a warp warp_sync()
//   suffices, a shuffle does not. Every thread reaches every barrier, every lane of its mask every shuffle
//   and vote: guard the work, not the barrier, and return early only where the whole block (grid) does.
// - load_vec / store_vec move 16 aligned bytes; take the scalar path where is_aligned(p) is false.
// - copy_async<n>(tile + i, p) copies to shared memory asynchronously: copies_wait() before the thread itself
//   reads the elements, and a barrier after that before other threads do.
// - copies_commit() ends a group of copies, copies_wait<n>() waits for all groups but the n youngest.
// - part_sync(id, threads) is a barrier of some of the block's warps, always the same ones for an id.
// - map_shared(array, rank) is the same array in another block of the cluster: cluster_sync() before the
//   first access (that block has started: or cluster_announce() at the kernel's start and
//   cluster_wait_started() then) and after the last (it has not exited). grid_sync(): cooperative launches.
// - The last block sums what all wrote: is_last_block() in reduce.cuh. Atomics are for integers. Blocks of a
//   cooperative launch exchange values that tell that they are new: store_message(), load_message().
// - load(p) and store(p, v) access an element of global memory, load_vec(p) and the others 16 bytes: what the
//   executor counts (host/access_counts.hpp) and checks. Plain dereferences it does not see.
// - LaunchConfig::dependent: each thread calls grid_dependency_wait() before it writes to global memory or
//   reads what the launch before wrote, and grid_dependency_launch() where the next launch may start.
// - nvcc contracts a*b+c to one rounding, the host build never does: the tests' bounds allow both.
// - The executor finds races, uninitialised reads, divergence, wrong masks, bad indices and pointers,
//   misalignment and deadlock. It does not check the order of global memory accesses between blocks.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__
#include "kernels/simt/simt_cuda.hpp"
#else
#include "kernels/simt/host/device.hpp"
#endif

namespace bntrain::simt {

/// The index of this thread in the grid along x, and the number of threads there.
SIMT_DEVICE std::int64_t grid_thread() {
  return static_cast<std::int64_t>(block_index()) * block_size() + thread_index();
}
SIMT_DEVICE std::int64_t grid_threads() {
  return static_cast<std::int64_t>(grid_size()) * block_size();
}

/// Divided unsigned: a signed division by 32 takes four instructions.
SIMT_DEVICE int lane_index() {
  return static_cast<int>(static_cast<unsigned>(thread_index()) % kWarpSize);
}
SIMT_DEVICE int warp_index() {
  return static_cast<int>(static_cast<unsigned>(thread_index()) / kWarpSize);
}
/// Warps of the block.
SIMT_DEVICE int warp_count() {
  return static_cast<int>(static_cast<unsigned>(block_size()) / kWarpSize);
}

/// Whether load_vec and store_vec may touch p.
SIMT_HOST_DEVICE bool is_aligned(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p) % kVecBytes == 0;
}

}  // namespace bntrain::simt
