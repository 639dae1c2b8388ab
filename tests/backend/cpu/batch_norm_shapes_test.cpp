// Batch norm against the fp64 reference over shapes. The set covers every value of every axis, and every pair
// of small, odd and large sizes of batch, channels and spatial.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>

#include "backend/cpu/batch_norm_case.hpp"

namespace bntrain::test {
namespace {

using Parameters = std::tuple<CpuIsa, BatchNormShape>;

std::string parameters_name(const testing::TestParamInfo<Parameters>& info) {
  const auto& [isa, s] = info.param;
  return to_string(isa) + "_" + std::to_string(s.batch) + "x" + std::to_string(s.channels) + "x" +
         std::to_string(s.spatial);
}

class BatchNormShapes : public testing::TestWithParam<Parameters> {
 protected:
  CpuIsa isa() const { return std::get<0>(GetParam()); }
  NormCase norm_case() const { return make_case(std::get<1>(GetParam())); }
};

TEST_P(BatchNormShapes, Training) {
  check_training(norm_case(), isa());
}
TEST_P(BatchNormShapes, Inference) {
  check_inference(norm_case(), isa());
}

const auto kCovering =
    testing::Values(BatchNormShape{1, 1, 5}, BatchNormShape{2, 3, 1}, BatchNormShape{255, 1, 49},
                    BatchNormShape{256, 3, 100}, BatchNormShape{257, 20, 1}, BatchNormShape{96, 33, 49},
                    BatchNormShape{7, 50, 576}, BatchNormShape{256, 1000, 1}, BatchNormShape{3, 1000, 49},
                    BatchNormShape{2, 1000, 100}, BatchNormShape{257, 1000, 1}, BatchNormShape{255, 3, 576});
INSTANTIATE_TEST_SUITE_P(Covering, BatchNormShapes,
                         testing::Combine(testing::ValuesIn(available_cpu_isas()), kCovering),
                         parameters_name);

// Around the limits of 16-bit counters, and long sums.
const auto kExtreme =
    testing::Values(BatchNormShape{65535, 1, 1}, BatchNormShape{65536, 1, 1}, BatchNormShape{131071, 1, 1},
                    BatchNormShape{880802, 1, 1}, BatchNormShape{2, 65536, 1}, BatchNormShape{1, 1, 131071});
INSTANTIATE_TEST_SUITE_P(Extreme, BatchNormShapes,
                         testing::Combine(testing::ValuesIn(available_cpu_isas()), kExtreme),
                         parameters_name);

// Every length of a last group of images, at every vector length; and chunks of rows of every remainder.
class BatchNormTails : public PerIsa {};
INSTANTIATE_TEST_SUITE_P(, BatchNormTails, testing::ValuesIn(available_cpu_isas()), isa_name);

TEST_P(BatchNormTails, EveryBatchUpToTwoGroups) {
  for (std::int64_t batch = 1; batch <= 34 && !HasFailure(); ++batch) {
    SCOPED_TRACE(batch);
    check_training(make_case({batch, 2, 3}), isa());
    check_inference(make_case({batch, 2, 3}), isa());
  }
}

TEST_P(BatchNormTails, EveryPlaneAroundTheChunks) {
  for (const std::int64_t multiple : {0, 64, 128, 256})
    for (std::int64_t spatial = std::max<std::int64_t>(1, multiple - 5); spatial <= multiple + 5; ++spatial) {
      SCOPED_TRACE(spatial);
      check_training(make_case({3, 2, spatial}), isa());
      if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace bntrain::test
