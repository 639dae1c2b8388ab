// The batch norm kernels against the fp64 reference over shapes: every value of every axis, every pair of
// small, odd and large sizes, both layouts, all variants.
#include <gtest/gtest.h>

#include <string>

#include "kernels/batch_norm/run.hpp"

namespace bntrain::test {
namespace {

class NormKernelShapes : public testing::TestWithParam<BatchNormShape> {};

std::string shape_name(const testing::TestParamInfo<BatchNormShape>& info) {
  const BatchNormShape& s = info.param;
  return std::to_string(s.batch) + "x" + std::to_string(s.channels) + "x" + std::to_string(s.spatial);
}

TEST_P(NormKernelShapes, Training) {
  for (const Way& way : every_way(GetParam())) check_kernel_training(make_case(GetParam()), way);
}
TEST_P(NormKernelShapes, Inference) {
  for (const Way& way : both_layouts(GetParam())) check_kernel_inference(make_case(GetParam()), way);
}

INSTANTIATE_TEST_SUITE_P(Covering, NormKernelShapes,
                         testing::Values(BatchNormShape{1, 1, 5}, BatchNormShape{2, 3, 1},
                                         BatchNormShape{255, 1, 49}, BatchNormShape{256, 3, 100},
                                         BatchNormShape{257, 20, 1}, BatchNormShape{96, 33, 49},
                                         BatchNormShape{7, 50, 576}, BatchNormShape{256, 1000, 1},
                                         BatchNormShape{3, 1000, 5}, BatchNormShape{2, 200, 100},
                                         BatchNormShape{257, 1000, 1}, BatchNormShape{255, 3, 576}),
                         shape_name);

// Around the limits of 16-bit counters, and long sums.
INSTANTIATE_TEST_SUITE_P(Extreme, NormKernelShapes,
                         testing::Values(BatchNormShape{65535, 1, 1}, BatchNormShape{65536, 1, 1},
                                         BatchNormShape{131071, 1, 1}, BatchNormShape{880802, 1, 1},
                                         BatchNormShape{2, 65536, 1}),
                         shape_name);

// Lines of every length against a thread's step; one value more and less than a chunk holds (8192 values, or
// 32 for each of the threads that share a channel); packs of every kind.
INSTANTIATE_TEST_SUITE_P(Chunks, NormKernelShapes,
                         testing::Values(BatchNormShape{1, 2, 8188}, BatchNormShape{1, 2, 8192},
                                         BatchNormShape{1, 2, 8196}, BatchNormShape{1, 2, 8193},
                                         BatchNormShape{700, 2, 12}, BatchNormShape{2731, 2, 3},
                                         BatchNormShape{12, 2, 1028}, BatchNormShape{9, 2, 1025},
                                         BatchNormShape{4097, 6, 1}, BatchNormShape{4097, 5, 1},
                                         BatchNormShape{513, 132, 1}, BatchNormShape{300, 33, 1}),
                         shape_name);

}  // namespace
}  // namespace bntrain::test
