// backend/cuda/device.hpp on the host: memory of its own, kernels on the executor.
#include "backend/cuda/device.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/simt/host/device_memory.hpp"
#include "support/cuda_host/host_resources.hpp"
#include "support/cuda_host/host_stream.hpp"

namespace bntrain::cuda {
namespace {

void take(const char* what) {
  HostResources& resources = host_resources();
  if (resources.left == 0)
    throw std::runtime_error(std::string("the host plays a GPU that has no ") + what + " left");
  if (resources.left > 0) --resources.left;
  ++resources.live;
}
void give_back() noexcept {
  --host_resources().live;
}

/// As long as it lives, a resource is taken.
class Taken {
 public:
  explicit Taken(const char* what) { take(what); }
  ~Taken() { give_back(); }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;
};

}  // namespace

HostResources& host_resources() {
  static HostResources resources;
  return resources;
}

void* allocate(std::int64_t bytes) {
  take("memory");
  const auto size = static_cast<std::size_t>(bytes);
  void* memory = simt_host::allocate_device(size);
  std::memset(memory, 0xff, size);  // NaN as float, -1 as integer: what is read before it was written shows
  return memory;
}

void release(void* memory) noexcept {
  give_back();
  simt_host::release_device(memory);
}

struct Graph::Impl {
  Taken taken{"graph"};
  std::function<void()> replay;
};
Graph::Graph(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Graph::Graph(Graph&&) noexcept = default;
Graph::~Graph() = default;

struct Event::Impl {
  Taken taken{"event"};
  std::chrono::steady_clock::time_point moment;
};
Event::Event() : impl_(std::make_unique<Impl>()) {}
Event::Event(Event&&) noexcept = default;
Event::~Event() = default;
double Event::seconds_since(const Event& earlier) const {
  return std::chrono::duration<double>(impl_->moment - earlier.impl_->moment).count();
}

struct DeviceStream::Impl {
  Taken taken{"stream"};
  simt_host::Executor executor = host_executor();
};
DeviceStream::DeviceStream() : impl_(std::make_unique<Impl>()) {}
DeviceStream::~DeviceStream() = default;

kernels::Stream DeviceStream::kernels() const {
  return impl_->executor.stream(kHostBlocks);
}

void DeviceStream::upload(void* device, const void* host, std::int64_t bytes) {
  if (impl_->executor.is_recording()) throw std::logic_error("a copy from the host inside of a capture");
  std::copy_n(static_cast<const std::byte*>(host), bytes, static_cast<std::byte*>(device));
}

void DeviceStream::download(void* host, const void* device, std::int64_t bytes) {
  if (impl_->executor.is_recording()) throw std::logic_error("a copy to the host inside of a capture");
  std::copy_n(static_cast<const std::byte*>(device), bytes, static_cast<std::byte*>(host));
}

void DeviceStream::zero(void* device, std::int64_t bytes) {
  impl_->executor.enqueue([=] { std::fill_n(static_cast<std::byte*>(device), bytes, std::byte{}); });
}

void DeviceStream::copy(void* to, const void* from, std::int64_t bytes) {
  impl_->executor.enqueue(
      [=] { std::copy_n(static_cast<const std::byte*>(from), bytes, static_cast<std::byte*>(to)); });
}

void DeviceStream::record(Event& event) {
  impl_->executor.enqueue([moment = &event.impl_->moment] { *moment = std::chrono::steady_clock::now(); });
}

void DeviceStream::synchronize() {}

Graph DeviceStream::capture(const std::function<void()>& enqueue) {
  impl_->executor.begin_recording();
  try {
    enqueue();
  } catch (...) {
    impl_->executor.end_recording();
    throw;
  }
  std::function<void()> recorded = impl_->executor.end_recording();
  auto graph = std::make_unique<Graph::Impl>();
  graph->replay = std::move(recorded);
  return Graph(std::move(graph));
}

void DeviceStream::launch(const Graph& graph) {
  graph.impl_->replay();
}

std::string device_name() {
  return "host executor";
}

}  // namespace bntrain::cuda
