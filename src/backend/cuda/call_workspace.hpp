// Device memory for the calls of libraries on one stream: they run one after the other and share it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "backend/cuda/device.hpp"

namespace bntrain::cuda {

/// First everything that will be called says what it needs, then allocate() makes room for the largest.
class CallWorkspace {
 public:
  /// Notes the need. False, and nothing is noted, where it is more than half of the device's free memory:
  /// what is allocated later must find some.
  bool reserve(std::int64_t bytes) {
    if (bytes > needed_ && bytes > free_memory() / 2) return false;
    needed_ = std::max(needed_, bytes);
    return true;
  }

  /// What was outgrown stays, because captured graphs may use it: data() changes for later calls only.
  void allocate() {
    if (needed_ > bytes()) arrays_.emplace_back(needed_);
  }

  std::byte* data() const { return arrays_.empty() ? nullptr : arrays_.back().data(); }
  std::int64_t bytes() const { return arrays_.empty() ? 0 : arrays_.back().bytes(); }

 private:
  std::int64_t needed_ = 0;
  std::vector<DeviceArray<std::byte>> arrays_;
};

}  // namespace bntrain::cuda
