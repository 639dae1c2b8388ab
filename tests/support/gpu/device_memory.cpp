// simt_host's device memory on a GPU: managed memory, which tests fill and read as kernels do.
#include "kernels/simt/host/device_memory.hpp"

#include <bit>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "kernels/simt/cuda_check.hpp"

namespace bntrain::simt_host {
namespace {

// Blocks of a power of two, kept for the next of their size: cudaMallocManaged() takes longer than most
// tests.
constexpr std::size_t kSmallest = 256;  // as aligned as the device likes it
constexpr std::size_t kChunk = std::size_t{64} << 20;

struct Pool {
  std::mutex mutex;
  std::map<std::size_t, std::vector<void*>> free;
  std::map<void*, std::size_t> sizes;  ///< of what was ever taken
  std::byte* chunk = nullptr;
  std::size_t left = 0;
};

Pool& pool() {
  static Pool& one = *new Pool;  // outlives every buffer
  return one;
}

std::byte* managed(std::size_t bytes) {
  void* memory = nullptr;
  BNTRAIN_CUDA_CHECK(cudaMallocManaged(&memory, bytes, cudaMemAttachGlobal));
  return static_cast<std::byte*>(memory);
}

}  // namespace

void* allocate_device(std::size_t bytes) {
  const std::size_t size = std::bit_ceil(bytes < kSmallest ? kSmallest : bytes);
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  std::vector<void*>& free = p.free[size];
  if (!free.empty()) {
    void* const memory = free.back();
    free.pop_back();
    return memory;
  }
  std::byte* memory;
  if (size > kChunk) {
    memory = managed(size);
  } else {
    if (p.left < size) {
      p.chunk = managed(kChunk);
      p.left = kChunk;
    }
    memory = p.chunk;
    p.chunk += size;
    p.left -= size;
  }
  p.sizes[memory] = size;
  return memory;
}

void release_device(void* memory) noexcept {
  if (memory == nullptr) return;
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  p.free[p.sizes[memory]].push_back(memory);
}

}  // namespace bntrain::simt_host
