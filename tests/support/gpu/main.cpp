// Runs the tests on a GPU, or skips them all with the reason.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdio>

int main(int argc, char** argv) {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess || devices == 0) {
    std::printf("skipped, there is no GPU: %s\n",
                status != cudaSuccess ? cudaGetErrorString(status) : "no device");
    return 0;
  }
  // Only now: which tests there are depends on the device.
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
