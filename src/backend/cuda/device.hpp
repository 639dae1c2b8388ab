// What the CUDA executable asks of the machine: memory, one stream, captured graphs, events. No CUDA header
// here: device_runtime.cpp implements it with the CUDA runtime, and tests/support/cuda_host with the executor
// that runs kernels on the host, so that the whole executable is tested without a GPU.
//
// Everything throws CudaError where the runtime fails; destructors do not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "kernels/kernels.hpp"

namespace bntrain::cuda {

// Device memory, on 256 bytes. Its contents are not set.
void* allocate(std::int64_t bytes);
void release(void* memory) noexcept;
/// Bytes that allocate() may still find, of the memory of the device.
std::int64_t free_memory();

/// Owns `size` elements of device memory.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(std::int64_t size)
      : size_(size), memory_(static_cast<T*>(allocate(size * static_cast<std::int64_t>(sizeof(T))))) {}

  T* data() const { return memory_.get(); }
  std::int64_t size() const { return size_; }
  std::int64_t bytes() const { return size_ * static_cast<std::int64_t>(sizeof(T)); }

 private:
  struct Release {
    void operator()(T* memory) const noexcept { release(memory); }
  };
  std::int64_t size_;
  std::unique_ptr<T, Release> memory_;
};

/// Work that was captured from a stream, to be enqueued again as a whole.
class Graph {
 public:
  struct Impl;
  explicit Graph(std::unique_ptr<Impl> impl);
  Graph(Graph&&) noexcept;
  ~Graph();

 private:
  friend class DeviceStream;
  std::unique_ptr<Impl> impl_;
};

/// A moment in the order of a stream.
class Event {
 public:
  Event();
  Event(Event&&) noexcept;
  ~Event();
  /// Seconds from the moment `earlier`; waits until this one is reached.
  double seconds_since(const Event& earlier) const;

 private:
  friend class DeviceStream;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The one stream of an executable. Work runs in the order in which it is enqueued.
class DeviceStream {
 public:
  DeviceStream();
  ~DeviceStream();
  DeviceStream(const DeviceStream&) = delete;
  DeviceStream& operator=(const DeviceStream&) = delete;

  /// What launchers of kernels want.
  kernels::Stream kernels() const;

  /// The host memory may be used again when it returns.
  void upload(void* device, const void* host, std::int64_t bytes);
  /// Waits for everything that was enqueued, this copy included.
  void download(void* host, const void* device, std::int64_t bytes);
  void zero(void* device, std::int64_t bytes);
  /// Within device memory.
  void copy(void* to, const void* from, std::int64_t bytes);
  /// In a capture: each launch of the graph reaches the event anew.
  void record(Event& event);
  void synchronize();

  /// What `enqueue` enqueues is kept instead of run. It may launch kernels, call the math libraries,
  /// zero() and copy(), but neither copy from or to the host nor allocate nor wait.
  Graph capture(const std::function<void()>& enqueue);
  void launch(const Graph& graph);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Names what is enqueued while it lives, for profilers (NVTX). In a capture the nodes of the graph.
class ProfileRange {
 public:
  explicit ProfileRange(const std::string& name);
  ~ProfileRange();
  ProfileRange(const ProfileRange&) = delete;
  ProfileRange& operator=(const ProfileRange&) = delete;
};

/// "NVIDIA H200 (compute capability 9.0)".
std::string device_name();

}  // namespace bntrain::cuda
