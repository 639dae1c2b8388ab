// A vector that kernels can be handed: on a GPU its memory is managed, on the host the executor knows it.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/simt/host/device_memory.hpp"

namespace bntrain::support {

template <typename T>
struct DeviceAllocator {
  using value_type = T;

  DeviceAllocator() = default;
  template <typename U>
  DeviceAllocator(const DeviceAllocator<U>&) {}  // NOLINT(google-explicit-constructor): as allocators are

  T* allocate(std::size_t count) { return static_cast<T*>(simt_host::allocate_device(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t) noexcept { simt_host::release_device(memory); }

  template <typename U>
  bool operator==(const DeviceAllocator<U>&) const {
    return true;
  }
};

/// Never std::vector<bool>.
template <typename T>
using DeviceVector = std::vector<T, DeviceAllocator<T>>;

/// A copy for kernels to read.
template <typename T>
DeviceVector<T> on_device(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

}  // namespace bntrain::support
