// Buffers for kernels that notice what was not written and what was written outside.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/simt/host/device_memory.hpp"

namespace bntrain::support {

/// `size` floats on a 64-byte boundary (plus `offset` floats, for tests of misaligned pointers), filled with
/// NaN and ringed with NaN of another pattern. Both are NaN so that a value read too early or from outside
/// spoils results.
class Guarded {
 public:
  explicit Guarded(std::size_t size, std::size_t offset = 0)
      : size_(size),
        first_(kRing + offset),
        total_(size + 2 * kRing + offset),
        memory_(simt_host::allocate_device(total_ * sizeof(float))) {
    for (std::size_t i = 0; i < total_; ++i)
      put(i, i >= first_ && i < first_ + size_ ? kUnwritten : kSentinel);
  }
  /// The same around a copy of `values`: for inputs, and for results that replace them.
  explicit Guarded(std::span<const float> values, std::size_t offset = 0) : Guarded(values.size(), offset) {
    std::copy(values.begin(), values.end(), data());
  }

  float* data() { return cells() + first_; }
  const float* data() const { return cells() + first_; }
  std::size_t size() const { return size_; }
  std::span<const float> values() const { return {data(), size_}; }

  /// Nothing outside was changed.
  testing::AssertionResult intact() const {
    for (std::size_t i = 0; i < total_; ++i)
      if ((i < first_ || i >= first_ + size_) && bits(i) != kSentinel)
        return testing::AssertionFailure()
               << "written outside: element "
               << static_cast<std::int64_t>(i) - static_cast<std::int64_t>(first_) << " of " << size_;
    return testing::AssertionSuccess();
  }

  /// Everything inside was written, nothing outside.
  testing::AssertionResult complete() const {
    for (std::size_t i = first_; i < first_ + size_; ++i)
      if (bits(i) == kUnwritten)
        return testing::AssertionFailure() << "never written: element " << i - first_ << " of " << size_;
    return intact();
  }

  /// Neither inside nor outside was written.
  testing::AssertionResult untouched() const {
    for (std::size_t i = first_; i < first_ + size_; ++i)
      if (bits(i) != kUnwritten)
        return testing::AssertionFailure() << "written: element " << i - first_ << " of " << size_;
    return intact();
  }

 private:
  static constexpr std::size_t kRing = 64;
  static constexpr std::uint32_t kUnwritten = 0x7fc0'beef;
  static constexpr std::uint32_t kSentinel = 0x7fc0'dead;

  struct Release {
    void operator()(void* memory) const { simt_host::release_device(memory); }
  };

  float* cells() { return static_cast<float*>(memory_.get()); }
  const float* cells() const { return static_cast<const float*>(memory_.get()); }
  void put(std::size_t i, std::uint32_t pattern) { cells()[i] = std::bit_cast<float>(pattern); }
  std::uint32_t bits(std::size_t i) const { return std::bit_cast<std::uint32_t>(cells()[i]); }

  std::size_t size_, first_, total_;
  std::unique_ptr<void, Release> memory_;
};

/// What is in one.
inline std::vector<float> copy(const Guarded& from) {
  return {from.values().begin(), from.values().end()};
}

}  // namespace bntrain::support
