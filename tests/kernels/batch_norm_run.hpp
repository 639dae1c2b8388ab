// Runs the batch norm kernels on the host, for the cases and bounds of backend/cpu/batch_norm_case.hpp.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "backend/cpu/batch_norm_case.hpp"
#include "kernels/kernels.hpp"
#include "support/simt_host/executor.hpp"

namespace bntrain::test {

/// How a case is run. Cases are channels first; for channels last the tensors are turned there and back.
struct Way {
  kernels::Layout layout = kernels::Layout::channels_first;
  Memory memory{};
  int max_blocks = 0;
  simt_host::Settings settings{};
};

/// Both layouts; only one without pixels, where they are the same.
std::vector<Way> both_layouts(const BatchNormShape& shape);
std::string to_string(kernels::Layout layout);
inline std::string layout_name(const testing::TestParamInfo<kernels::Layout>& info) {
  return info.param == kernels::Layout::channels_first ? "channels_first" : "channels_last";
}

kernels::NormShape kernel_shape(const NormCase& c, kernels::Layout layout);
kernels::NormOptions kernel_options(const NormCase& c);
/// (batch, channels, spatial) as (batch, spatial, channels), and back.
Floats to_channels_last(const NormCase& c, const Floats& tensor);
Floats to_channels_first(const NormCase& c, const Floats& tensor);

struct KernelForward : ForwardResult {
  Floats invstd;
};

// Each checks that every output was written and nothing around the buffers, the workspace included.
KernelForward kernel_forward(const NormCase& c, const Way& way = {});
BackwardResult kernel_backward(const NormCase& c, const KernelForward& forward, const Way& way = {});
Floats kernel_inference(const NormCase& c, const Way& way = {});
BackwardResult kernel_inference_backward(const NormCase& c, const Way& way = {});

/// Every output of both passes against the reference.
void check_kernel_training(const NormCase& c, const Way& way = {});
void check_kernel_inference(const NormCase& c, const Way& way = {});

testing::AssertionResult same_bits(const KernelForward& a, const KernelForward& b);
testing::AssertionResult same_bits(const BackwardResult& a, const BackwardResult& b);

}  // namespace bntrain::test
