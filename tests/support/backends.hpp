// The backends that whole training steps are tested on.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "bntrain/backend.hpp"

namespace bntrain::test {

struct BackendCase {
  std::string name;
  std::function<std::unique_ptr<Backend>(int threads)> make;
};

inline void PrintTo(const BackendCase& backend, std::ostream* out) {
  *out << backend.name;
}

BackendCase cpu_backend(CpuIsa isa = CpuIsa::automatic);
/// The kernels for one image a group, whatever the batch.
BackendCase one_image_backend(CpuIsa isa = CpuIsa::automatic);

/// Every instruction set of this processor, one image a group, and the CUDA backend with its kernels on the
/// host executor.
std::vector<BackendCase> host_backends();

/// The CUDA backend on a GPU. "" or why there is none.
BackendCase gpu_backend();
std::string why_no_gpu();

/// Tests over BackendCase, skipped where their backend needs a GPU and there is none.
class BackendTest : public testing::TestWithParam<BackendCase> {
 protected:
  void SetUp() override;
};

inline std::string backend_name(const testing::TestParamInfo<BackendCase>& info) {
  return info.param.name;
}

/// `suite` is a BackendTest.
#define BNTRAIN_FOR_EVERY_BACKEND(suite)                                                               \
  INSTANTIATE_TEST_SUITE_P(Host, suite, testing::ValuesIn(test::host_backends()), test::backend_name); \
  INSTANTIATE_TEST_SUITE_P(Gpu, suite, testing::Values(test::gpu_backend()), test::backend_name)

}  // namespace bntrain::test
