#include "backend/cpu/memory.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "bntrain/error.hpp"

namespace bntrain::cpu {

FloatBuffer::FloatBuffer(std::int64_t size) : size_(size) {
  BNTRAIN_EXPECTS(size >= 0);
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(float);
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : 128;  // of the widest vector of doubles
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  data_.reset(static_cast<float*>(std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded)));
  if (!data_) throw std::bad_alloc();
  if (alignment == kHugePage)
    madvise(data_.get(), rounded, MADV_HUGEPAGE);  // advice: a refusal changes nothing
  std::memset(data_.get(), 0, rounded);
}

void FloatBuffer::Free::operator()(float* p) const {
  std::free(p);
}

}  // namespace bntrain::cpu
