// launch.hpp with the CUDA runtime.
#include "kernels/simt/launch_cuda.hpp"

#include <algorithm>
#include <string>

#include "kernels/simt/cuda_check.hpp"

namespace bntrain {

void throw_cuda_error(cudaError_t status, const char* call, const char* file, int line) {
  throw CudaError(std::string(cudaGetErrorName(status)) + " (" + cudaGetErrorString(status) + ") from " +
                  call + ", " + file + ":" + std::to_string(line));
}

}  // namespace bntrain

namespace bntrain::kernels {
namespace {

// Larger values must be requested by a function attribute.
constexpr std::int64_t kFreeSharedBytes = std::int64_t{48} * 1024;
constexpr int kPortableCluster = 8;
constexpr int kFirstDependentMajor = 9;  // compute capability 9.0

std::string describe(const LaunchConfig& config) {
  return "kernel " + std::string(config.name) + " (grid " + std::to_string(config.grid) + " x " +
         std::to_string(config.grid_y) + ", block " + std::to_string(config.block) + ", cluster " +
         std::to_string(config.cluster) + (config.cooperative ? ", cooperative" : "") +
         (config.dependent ? ", dependent, " : ", ") + std::to_string(config.shared_bytes) +
         " bytes of dynamic shared memory)";
}

void check(cudaError_t status, const LaunchConfig& config) {
  if (succeeded(status)) return;
  // A failed launch leaves its error for the next caller of cudaGetLastError.
  cudaGetLastError();
  throw CudaError(describe(config) + ": " + cudaGetErrorName(status) + " (" + cudaGetErrorString(status) +
                  ")");
}

int attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  BNTRAIN_CUDA_CHECK(cudaGetDevice(&device));
  BNTRAIN_CUDA_CHECK(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

void ask_for(const void* kernel, const LaunchConfig& config) {
  if (config.shared_bytes > kFreeSharedBytes)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(config.shared_bytes)),
          config);
  if (config.cluster > kPortableCluster)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1), config);
}

/// The runtime's form of a LaunchConfig; it points into itself.
struct Runtime {
  Runtime(const LaunchConfig& from, const Stream& stream) {
    config.gridDim = dim3(static_cast<unsigned>(from.grid), static_cast<unsigned>(from.grid_y));
    config.blockDim = dim3(static_cast<unsigned>(from.block));
    config.dynamicSmemBytes = static_cast<std::size_t>(from.shared_bytes);
    config.stream = stream.handle;
    config.attrs = attributes;
    if (from.cluster > 1) {
      attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
      attributes[config.numAttrs++].val.clusterDim = {static_cast<unsigned>(from.cluster), 1, 1};
    }
    if (from.cooperative) {
      attributes[config.numAttrs].id = cudaLaunchAttributeCooperative;
      attributes[config.numAttrs++].val.cooperative = 1;
    }
    if (from.dependent && attribute(cudaDevAttrComputeCapabilityMajor) >= kFirstDependentMajor) {
      attributes[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
      attributes[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
    }
  }
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  cudaLaunchAttribute attributes[3] = {};
  cudaLaunchConfig_t config = {};
};

}  // namespace

void launch_on_device(const KernelCall& call, const LaunchConfig& config, const Stream& stream) {
  require(config.block > 0 && config.block % 32 == 0, config.name, "the block is no multiple of 32 threads");
  ask_for(call.kernel, config);
  const Runtime runtime(config, stream);
  check(cudaLaunchKernelExC(&runtime.config, call.kernel, call.arguments), config);
}

DeviceLimits device_limits(const Stream&) {
  return {.multiprocessors = attribute(cudaDevAttrMultiProcessorCount),
          .compute_capability = 10 * attribute(cudaDevAttrComputeCapabilityMajor) +
                                attribute(cudaDevAttrComputeCapabilityMinor),
          .shared_bytes_per_block = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin),
          .l2_bytes = attribute(cudaDevAttrL2CacheSize)};
}

bool has_device_code(const void* kernel) {
  cudaFuncAttributes attributes{};
  const cudaError_t status = cudaFuncGetAttributes(&attributes, kernel);
  if (status == cudaErrorNoKernelImageForDevice || status == cudaErrorInvalidDeviceFunction) {
    cudaGetLastError();
    return false;
  }
  BNTRAIN_CUDA_CHECK(status);
  return true;
}

int co_resident_blocks_on_device(const void* kernel, const LaunchConfig& config, const Stream& stream) {
  if (config.shared_bytes > attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin)) return 0;
  ask_for(kernel, config);
  int blocks = 0;
  if (config.cluster > 1) {
    LaunchConfig one_cluster = config;
    one_cluster.grid = config.cluster;
    one_cluster.grid_y = 1;
    one_cluster.dependent = false;
    const Runtime runtime(one_cluster, stream);
    check(cudaOccupancyMaxActiveClusters(&blocks, kernel, &runtime.config), config);
    blocks *= config.cluster;
  } else {
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, config.block,
                                                        static_cast<std::size_t>(config.shared_bytes)),
          config);
    blocks *= attribute(cudaDevAttrMultiProcessorCount);
  }
  if (stream.max_blocks > 0) blocks = std::min(blocks, stream.max_blocks);
  return blocks / config.cluster * config.cluster;
}

}  // namespace bntrain::kernels
