// kernels/launch.hpp with the executor: the stream's handle is one.
#include "kernels/simt/launch.hpp"

#include <algorithm>

#include "kernels/simt/host/executor.hpp"

namespace bntrain::kernels {
namespace {

using simt_host::Executor;

const simt_host::Settings kDefaults;

const simt_host::Settings& settings_of(const Stream& stream) {
  return stream.handle != nullptr ? reinterpret_cast<Executor*>(stream.handle)->settings() : kDefaults;
}

}  // namespace

void launch(const KernelCall& call, const LaunchConfig& config, const Stream& stream) {
  if (stream.handle != nullptr)
    reinterpret_cast<Executor*>(stream.handle)->launch(call, config);
  else
    Executor().launch(call, config);
}

DeviceLimits device_limits(const Stream& stream) {
  return settings_of(stream).device;
}

bool has_device_code(const void*) {
  return true;
}

int co_resident_blocks(const void*, const LaunchConfig& config, const Stream& stream) {
  constexpr int kThreadsPerSm = 2048;
  constexpr std::int64_t kSharedReserve = 1024;  // reserved by CUDA in that of each block
  const DeviceLimits device = device_limits(stream);
  if (config.shared_bytes > device.shared_bytes_per_block) return 0;
  const std::int64_t by_memory =
      (device.shared_bytes_per_block + kSharedReserve) / (config.shared_bytes + kSharedReserve);
  std::int64_t blocks =
      std::min<std::int64_t>(by_memory, kThreadsPerSm / config.block) * device.multiprocessors;
  if (stream.max_blocks > 0) blocks = std::min<std::int64_t>(blocks, stream.max_blocks);
  return static_cast<int>(blocks / config.cluster * config.cluster);
}

}  // namespace bntrain::kernels
