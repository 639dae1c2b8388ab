#include "backend/cuda/gpu.hpp"

#include <cuda_runtime_api.h>

#include "backend/cuda/math_handles.hpp"
#include "bntrain/error.hpp"
#include "kernels/kernels.hpp"
#include "kernels/simt/cuda_check.hpp"

namespace bntrain::cuda {
namespace {

/// From major * 1000 + minor * 10.
std::string version_text(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number / 10 % 100);
}

std::string capability_text(int capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

/// The newest CUDA that the driver knows; 0 without a driver.
int driver_version() {
  int version = 0;
  BNTRAIN_CUDA_CHECK(cudaDriverGetVersion(&version));
  return version;
}

/// Throws Error(runtime) with the reason when there is none.
int device_count() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver) {
    const int driver = driver_version();
    throw Error(ErrorKind::runtime, driver == 0 ? std::string("this machine has no NVIDIA driver")
                                                : "the NVIDIA driver is too old: it knows CUDA up to " +
                                                      version_text(driver) + " and this build wants " +
                                                      runtime_version());
  }
  if (status == cudaErrorNoDevice || (succeeded(status) && count == 0))
    throw Error(ErrorKind::runtime, "the NVIDIA driver shows no GPU (CUDA_VISIBLE_DEVICES may hide it)");
  if (!succeeded(status))
    throw Error(ErrorKind::runtime, std::string("the NVIDIA driver does not answer: ") +
                                        cudaGetErrorName(status) + ", " + cudaGetErrorString(status));
  return count;
}

Gpu describe(int device) {
  cudaDeviceProp properties{};
  BNTRAIN_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  return {device, properties.name, properties.major * 10 + properties.minor, properties.multiProcessorCount,
          static_cast<std::int64_t>(properties.totalGlobalMem)};
}

std::string describe_driver() {
  const int driver = driver_version();
  return driver == 0 ? "none" : "for CUDA " + version_text(driver);
}

std::string describe_devices() {
  std::vector<Gpu> gpus(static_cast<std::size_t>(device_count()));
  for (std::size_t i = 0; i < gpus.size(); ++i) gpus[i] = describe(static_cast<int>(i));
  return list(gpus);
}

/// What `ask` says, or why it cannot.
Fact fact(const std::string& name, std::string (*ask)()) {
  try {
    return {name, ask()};
  } catch (const std::exception& error) {
    return {name, std::string("none: ") + error.what()};
  }
}

}  // namespace

std::string runtime_version() {
  int version = 0;
  BNTRAIN_CUDA_CHECK(cudaRuntimeGetVersion(&version));
  return version_text(version);
}

std::string to_string(const Gpu& gpu) {
  return gpu.name + ", compute capability " + capability_text(gpu.compute_capability) + ", " +
         std::to_string(gpu.multiprocessors) + " multiprocessors, " + std::to_string(gpu.memory_bytes >> 30) +
         " GiB";
}

std::string list(const std::vector<Gpu>& gpus) {
  std::string text;
  for (const Gpu& gpu : gpus)
    text += (text.empty() ? "" : "; ") + std::to_string(gpu.index) + ": " + to_string(gpu);
  return text;
}

void use_gpu(int index) {
  BNTRAIN_CUDA_CHECK(cudaSetDevice(index));
}

Gpu usable_gpu(int index) {
  if (index >= device_count())
    throw Error(ErrorKind::usage,
                "there is no GPU " + std::to_string(index) + "; the driver shows " + describe_devices());
  use_gpu(index);
  Gpu gpu = describe(index);
  if (!kernels::have_device_code())
    throw Error(ErrorKind::runtime,
                gpu.name + " has compute capability " + capability_text(gpu.compute_capability) +
                    ", and this build has code for the architectures " + BNTRAIN_CUDA_ARCHITECTURES +
                    "; build with -DCMAKE_CUDA_ARCHITECTURES=" + std::to_string(gpu.compute_capability));
  return gpu;
}

Facts gpu_facts() {
  return {fact("cuda-runtime", runtime_version),
          fact("cuda-driver", describe_driver),
          fact("cudnn", cudnn_version),
          fact("cublaslt", cublas_version),
          {"cuda-architectures", BNTRAIN_CUDA_ARCHITECTURES},
          fact("cuda-devices", describe_devices)};
}

}  // namespace bntrain::cuda
