// The one way to launch a kernel. No CUDA header here: launch_cuda.cpp implements it with the CUDA runtime,
// host/launch.cpp with the executor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "kernels/stream.hpp"

// The executor looks for pointers in the arguments; what padding happens to hold is none. nvcc's front end
// does not know the function.
#if !defined(__CUDACC__) && defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
#define BNTRAIN_CLEARS_PADDING
#endif
#endif

namespace bntrain::kernels {

struct LaunchConfig {
  const char* name;  ///< for messages and profiles
  std::int64_t grid = 1;
  std::int64_t grid_y = 1;
  int block = 256;           ///< threads, a multiple of 32
  int cluster = 1;           ///< blocks that share their shared memory; above 1 from compute capability 9.0
  bool cooperative = false;  ///< all blocks at once, for grid_sync() and messages
  bool dependent = false;    ///< may start before the launch before it has ended: grid_dependency_wait()
  std::int64_t shared_bytes = 0;  ///< dynamic shared memory of a block
};

/// A kernel and its arguments. The runtime takes the address of each; the executor calls `invoke`, and uses
/// the sizes to copy the arguments of a launch that it records.
struct KernelCall {
  const void* kernel;
  void** arguments;
  void (*invoke)(const void* kernel, void** arguments);
  std::span<const std::size_t> sizes;
};

/// Throws std::runtime_error with the kernel's name, the configuration and the reason.
void launch(const KernelCall& call, const LaunchConfig& config, const Stream& stream);

/// The device of the calling thread.
struct DeviceLimits {
  int multiprocessors = 0;
  int compute_capability = 0;               ///< 90 for 9.0
  std::int64_t shared_bytes_per_block = 0;  ///< static and dynamic together
  std::int64_t l2_bytes = 0;
};
DeviceLimits device_limits(const Stream& stream);

/// How many blocks of this configuration can be resident on the device at once, whole clusters and at most
/// stream.max_blocks: the largest grid of a cooperative launch. config.grid is ignored. 0 when not even one
/// fits.
int co_resident_blocks(const void* kernel, const LaunchConfig& config, const Stream& stream);

/// Whether the kernel was compiled for the device of the calling thread.
bool has_device_code(const void* kernel);

/// The number of blocks for `work` items at `per_block` per block, at most `blocks_per_sm` times the
/// multiprocessors and at most stream.max_blocks; at least 1.
std::int64_t strided_grid(std::int64_t work, std::int64_t per_block, int blocks_per_sm, const Stream& stream);

/// Throws std::invalid_argument("<kernel>: <what>") unless `condition` holds.
void require(bool condition, const char* kernel, const char* what);

namespace detail {

template <typename... Params, std::size_t... index>
void invoke(void (*kernel)(Params...), void** arguments, std::index_sequence<index...>) {
  kernel(*static_cast<Params*>(arguments[index])...);
}

template <typename... Params>
void invoke(const void* kernel, void** arguments) {
  invoke(reinterpret_cast<void (*)(Params...)>(const_cast<void*>(kernel)), arguments,
         std::index_sequence_for<Params...>{});
}

}  // namespace detail

template <typename... Params>
const void* address(void (*kernel)(Params...)) {
  return reinterpret_cast<const void*>(kernel);
}

template <typename... Params>
void launch(void (*kernel)(Params...), const LaunchConfig& config, const Stream& stream,
            std::type_identity_t<Params>... params) {
  static_assert((std::is_trivially_copyable_v<Params> && ...));
#ifdef BNTRAIN_CLEARS_PADDING
  (__builtin_clear_padding(&params), ...);
#endif
  void* arguments[] = {&params..., nullptr};
  static constexpr std::array<std::size_t, sizeof...(Params)> kSizes = {sizeof(Params)...};
  launch({address(kernel), arguments, &detail::invoke<Params...>, kSizes}, config, stream);
}

}  // namespace bntrain::kernels
