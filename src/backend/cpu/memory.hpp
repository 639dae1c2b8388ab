// Aligned, zeroed memory for floats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace bntrain::cpu {

/// Owns `size` floats, 128-byte aligned (large buffers on huge pages where the system has them),
/// zeroed.
class FloatBuffer {
 public:
  FloatBuffer() = default;
  explicit FloatBuffer(std::int64_t size);

  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  std::int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(float* p) const;
  };
  std::unique_ptr<float, Free> data_;
  std::int64_t size_ = 0;
};

}  // namespace bntrain::cpu
