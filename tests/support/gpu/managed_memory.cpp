// The tests of the kernels were written for kernels that run on the host: they hand over plain pointers to
// what lives in vectors. Here operator new gives memory that host and device share, so that the same tests
// run on a GPU.
#include <cuda_runtime_api.h>

#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>

namespace {

// Blocks of a power of two, kept for the next of their size: cudaMallocManaged() takes longer than most
// tests.
constexpr std::size_t kSmallest = 256;  // as aligned as the device likes it
constexpr std::size_t kChunk = std::size_t{64} << 20;
constexpr int kSizes = 64;

struct Block {
  Block* next;
};

struct Pool {
  std::mutex mutex;
  Block* free[kSizes] = {};
  unsigned char* chunk = nullptr;
  std::size_t left = 0;
};

Pool& pool() {
  static Pool one;
  return one;
}

void* from_system(std::size_t bytes) {
  void* memory = nullptr;
  if (cudaMallocManaged(&memory, bytes, cudaMemAttachGlobal) == cudaSuccess) return memory;
  cudaGetLastError();
  return std::aligned_alloc(kSmallest, bytes);  // no GPU: the tests are skipped, but listed
}

void* take(std::size_t bytes) {
  const std::size_t size = std::bit_ceil(bytes < kSmallest ? kSmallest : bytes);
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  Block*& first = p.free[std::countr_zero(size)];
  if (first != nullptr) {
    Block* block = first;
    first = block->next;
    return block;
  }
  if (size > kChunk) return from_system(size);
  if (p.left < size) {
    p.chunk = static_cast<unsigned char*>(from_system(kChunk));
    p.left = p.chunk != nullptr ? kChunk : 0;
  }
  if (p.left < size) return nullptr;
  void* memory = p.chunk;
  p.chunk += size;
  p.left -= size;
  return memory;
}

void give_back(void* memory, std::size_t bytes) {
  const std::size_t size = std::bit_ceil(bytes < kSmallest ? kSmallest : bytes);
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  Block*& first = p.free[std::countr_zero(size)];
  first = new (memory) Block{first};
}

// Unsized deletes need the size: it stands in front, in a header that keeps the alignment.
void* with_header(std::size_t bytes, std::size_t alignment) {
  const std::size_t header = alignment < kSmallest ? kSmallest : alignment;
  auto* memory = static_cast<unsigned char*>(take(bytes + header));
  if (memory == nullptr) return nullptr;
  unsigned char* result = memory + header;
  reinterpret_cast<std::size_t*>(result)[-1] = bytes + header;
  reinterpret_cast<void**>(result)[-2] = memory;
  return result;
}

void without_header(void* result) {
  if (result == nullptr) return;
  give_back(static_cast<void**>(result)[-2], static_cast<std::size_t*>(result)[-1]);
}

void* or_throw(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) {
  return or_throw(with_header(bytes, 1));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return or_throw(with_header(bytes, static_cast<std::size_t>(alignment)));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return with_header(bytes, 1);
}
void operator delete(void* memory) noexcept {
  without_header(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  without_header(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  without_header(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  without_header(memory);
}
