// device.hpp with the CUDA runtime.
#include <cuda_runtime_api.h>
#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#endif

#include "backend/cuda/device.hpp"
#include "bntrain/error.hpp"
#include "kernels/simt/cuda_check.hpp"

namespace bntrain::cuda {
namespace {

// Destroying fails only where the device is lost, and then there is nothing left to destroy.
struct DestroyStream {
  void operator()(CUstream_st* stream) const noexcept { cudaStreamDestroy(stream); }
};
struct DestroyEvent {
  void operator()(CUevent_st* event) const noexcept { cudaEventDestroy(event); }
};
struct DestroyGraph {
  void operator()(CUgraph_st* graph) const noexcept { cudaGraphDestroy(graph); }
};
struct DestroyGraphExec {
  void operator()(CUgraphExec_st* graph) const noexcept { cudaGraphExecDestroy(graph); }
};
using OwnedGraph = std::unique_ptr<CUgraph_st, DestroyGraph>;

/// The capture must end before the stream can be used again, also where capturing failed.
OwnedGraph end_capture(cudaStream_t stream, cudaError_t& status) {
  cudaGraph_t graph = nullptr;
  status = cudaStreamEndCapture(stream, &graph);
  return OwnedGraph(graph);
}

}  // namespace

void* allocate(std::int64_t bytes) {
  BNTRAIN_EXPECTS(bytes >= 0);
  if (bytes == 0) return nullptr;
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, static_cast<std::size_t>(bytes));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // else the next launch would report it
    throw CudaError("the GPU has no " + std::to_string(bytes) + " bytes of memory left");
  }
  BNTRAIN_CUDA_CHECK(status);
  return memory;
}

void release(void* memory) noexcept {
  cudaFree(memory);
}

std::int64_t free_memory() {
  std::size_t free = 0, total = 0;
  BNTRAIN_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return static_cast<std::int64_t>(free);
}

struct Graph::Impl {
  std::unique_ptr<CUgraphExec_st, DestroyGraphExec> exec;
};
Graph::Graph(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Graph::Graph(Graph&&) noexcept = default;
Graph::~Graph() = default;

struct Event::Impl {
  std::unique_ptr<CUevent_st, DestroyEvent> event;
};
Event::Event() : impl_(std::make_unique<Impl>()) {
  cudaEvent_t event = nullptr;
  BNTRAIN_CUDA_CHECK(cudaEventCreate(&event));
  impl_->event.reset(event);
}
Event::Event(Event&&) noexcept = default;
Event::~Event() = default;

double Event::seconds_since(const Event& earlier) const {
  BNTRAIN_CUDA_CHECK(cudaEventSynchronize(impl_->event.get()));
  float milliseconds = 0;
  BNTRAIN_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, earlier.impl_->event.get(), impl_->event.get()));
  return static_cast<double>(milliseconds) / 1000;
}

struct DeviceStream::Impl {
  std::unique_ptr<CUstream_st, DestroyStream> stream;
};
DeviceStream::DeviceStream() : impl_(std::make_unique<Impl>()) {
  cudaStream_t stream = nullptr;
  // Not the default stream's follower: a library that works there would otherwise wait for ours.
  BNTRAIN_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  impl_->stream.reset(stream);
}
DeviceStream::~DeviceStream() = default;

kernels::Stream DeviceStream::kernels() const {
  return {impl_->stream.get()};
}

void DeviceStream::upload(void* device, const void* host, std::int64_t bytes) {
  if (bytes == 0) return;
  BNTRAIN_CUDA_CHECK(cudaMemcpyAsync(device, host, static_cast<std::size_t>(bytes), cudaMemcpyHostToDevice,
                                     impl_->stream.get()));
  // Pinned memory, and any memory where the GPU reads the host's pages, is read after the call returned.
  synchronize();
}

void DeviceStream::download(void* host, const void* device, std::int64_t bytes) {
  if (bytes > 0)
    BNTRAIN_CUDA_CHECK(cudaMemcpyAsync(host, device, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToHost,
                                       impl_->stream.get()));
  synchronize();
}

void DeviceStream::zero(void* device, std::int64_t bytes) {
  if (bytes == 0) return;
  BNTRAIN_CUDA_CHECK(cudaMemsetAsync(device, 0, static_cast<std::size_t>(bytes), impl_->stream.get()));
}

void DeviceStream::copy(void* to, const void* from, std::int64_t bytes) {
  if (bytes == 0) return;
  BNTRAIN_CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice,
                                     impl_->stream.get()));
}

void DeviceStream::record(Event& event) {
  const cudaStream_t stream = impl_->stream.get();
  cudaStreamCaptureStatus capturing = cudaStreamCaptureStatusNone;
  BNTRAIN_CUDA_CHECK(cudaStreamIsCapturing(stream, &capturing));
  // In a capture a plain record would only order the nodes of the graph; outside of one the flag is invalid.
  BNTRAIN_CUDA_CHECK(cudaEventRecordWithFlags(
      event.impl_->event.get(), stream,
      capturing == cudaStreamCaptureStatusNone ? cudaEventRecordDefault : cudaEventRecordExternal));
}

void DeviceStream::synchronize() {
  BNTRAIN_CUDA_CHECK(cudaStreamSynchronize(impl_->stream.get()));
}

Graph DeviceStream::capture(const std::function<void()>& enqueue) {
  const cudaStream_t stream = impl_->stream.get();
  // Thread-local: other threads of the program may use CUDA meanwhile.
  BNTRAIN_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  cudaError_t ended = cudaSuccess;
  try {
    enqueue();
  } catch (...) {
    end_capture(stream, ended);
    cudaGetLastError();
    throw;
  }
  const OwnedGraph graph = end_capture(stream, ended);
  BNTRAIN_CUDA_CHECK(ended);

  auto impl = std::make_unique<Graph::Impl>();
  cudaGraphExec_t exec = nullptr;
  BNTRAIN_CUDA_CHECK(cudaGraphInstantiate(&exec, graph.get(), 0));
  impl->exec.reset(exec);
  BNTRAIN_CUDA_CHECK(cudaGraphUpload(exec, stream));
  return Graph(std::move(impl));
}

void DeviceStream::launch(const Graph& graph) {
  BNTRAIN_CUDA_CHECK(cudaGraphLaunch(graph.impl_->exec.get(), impl_->stream.get()));
}

#if __has_include(<nvtx3/nvToolsExt.h>)
ProfileRange::ProfileRange(const std::string& name) {
  nvtxRangePushA(name.c_str());
}
ProfileRange::~ProfileRange() {
  nvtxRangePop();
}
#else
ProfileRange::ProfileRange(const std::string&) {}
ProfileRange::~ProfileRange() = default;
#endif

std::string device_name() {
  int device = 0;
  cudaDeviceProp properties{};
  BNTRAIN_CUDA_CHECK(cudaGetDevice(&device));
  BNTRAIN_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  return std::string(properties.name) + " (compute capability " + std::to_string(properties.major) + "." +
         std::to_string(properties.minor) + ")";
}

}  // namespace bntrain::cuda
