// Tests that need a GPU; where there is none they are skipped with the reason.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <vector>

#include "backend/cuda/device.hpp"
#include "backend/cuda/gpu.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cuda {

class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    try {
      usable_gpu();
    } catch (const Error& error) {
      // cuDNN and cuBLAS run nowhere else; what is built on them runs on the executor in every build.
      GTEST_SKIP() << error.what();
    }
  }
};

/// Device memory with these numbers.
template <typename T>
DeviceArray<T> on_device(DeviceStream& stream, const std::vector<T>& values) {
  DeviceArray<T> array(static_cast<std::int64_t>(values.size()));
  stream.upload(array.data(), values.data(), array.bytes());
  return array;
}

template <typename T>
std::vector<T> on_host(DeviceStream& stream, const DeviceArray<T>& array) {
  std::vector<T> values(static_cast<std::size_t>(array.size()));
  stream.download(values.data(), array.data(), array.bytes());
  return values;
}

}  // namespace bntrain::cuda
