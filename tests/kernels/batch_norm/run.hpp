// Runs the batch norm kernels, on the host executor or on a GPU.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "batch_norm/implementation.hpp"
#include "kernels/kernels.hpp"
#include "kernels/simt/host/executor.hpp"

namespace bntrain::test {

/// How a case is run. Cases are channels first; for channels last the tensors are turned there and back.
struct Way {
  kernels::Layout layout = kernels::Layout::channels_first;
  Memory memory{};
  int max_blocks = 0;
  simt_host::Settings settings{};
  kernels::NormVariant variant = kernels::NormVariant::automatic;  ///< of the training passes
};

/// Both layouts; only one without pixels, where they are the same.
std::vector<Way> both_layouts(const BatchNormShape& shape);
/// The ways of every implementation() that serve the shape.
std::vector<Way> every_way(const BatchNormShape& shape);
/// Whether the way's variant can serve both training passes on its device.
bool serves(const Way& way, const BatchNormShape& shape);
std::string to_string(kernels::Layout layout);
std::string to_string(const Way& way);

/// A layout and a variant as the parameters of a test, each for any shape.
using LayoutAndVariant = std::tuple<kernels::Layout, kernels::NormVariant>;
inline const auto kLayouts = testing::Values(kernels::Layout::channels_first, kernels::Layout::channels_last);
inline const auto kVariants =
    testing::Values(kernels::NormVariant::naive, kernels::NormVariant::plain, kernels::NormVariant::resident);
inline std::string layout_name(const testing::TestParamInfo<kernels::Layout>& info) {
  return info.param == kernels::Layout::channels_first ? "channels_first" : "channels_last";
}
inline std::string variant_name(const testing::TestParamInfo<LayoutAndVariant>& info) {
  const auto& [layout, variant] = info.param;
  return layout_name({layout, 0}) + "_" + kernels::to_string(variant);
}

kernels::NormShape kernel_shape(const NormCase& c, kernels::Layout layout);
kernels::NormOptions kernel_options(const NormCase& c);
/// (batch, channels, spatial) as (batch, spatial, channels), and back.
Floats to_channels_last(const NormCase& c, const Floats& tensor);
Floats to_channels_first(const NormCase& c, const Floats& tensor);

// Each checks that every output was written and nothing around the buffers, the workspace included, and that
// the kernels of the way's variant were launched, in grids no larger than it allows.
ForwardResult kernel_forward(const NormCase& c, const Way& way = {});
/// The array that forward() wrote and backward() reads: the means' high parts, then the low ones.
Floats kernel_mean(const ForwardResult& forward);
BackwardResult kernel_backward(const NormCase& c, const ForwardResult& forward, const Way& way = {});
Floats kernel_inference(const NormCase& c, const Way& way = {});
BackwardResult kernel_inference_backward(const NormCase& c, const Way& way = {});

}  // namespace bntrain::test
