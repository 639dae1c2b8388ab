// What the parts of a timed step are called on the CPU, and that the ceiling of its arithmetic is honest.
#include <gtest/gtest.h>

#include <atomic>

#include "backend/cpu/every_isa.hpp"
#include "backend/cpu/isa.hpp"
#include "backend/cpu/peaks.hpp"
#include "support/small_training.hpp"

namespace bntrain::cpu {
namespace {

class CpuTimingTest : public testing::TestWithParam<CpuIsa> {
 protected:
  static test::TrainingSetup setup() {
    test::TrainingSetup result;
    result.text = "conv4x3,bn,relu,maxpool2,conv3x2,relu,fc8,bn,relu,fc4";
    result.backend = test::cpu_backend(GetParam());
    return result;
  }
};

TEST_P(CpuTimingTest, VariantsTellWhatFusionMoved) {
  test::SmallTraining training(setup());
  const auto variant = [timings = training->time_ops({0, 16}, 1)](const std::string& name, StepPass pass) {
    for (const OpTiming& timing : timings)
      if (timing.name == name && timing.pass == pass) return timing.variant;
    return std::string("absent");
  };
  EXPECT_EQ(variant("0 conv4x3", StepPass::forward), "direct+block reduce");
  EXPECT_EQ(variant("0 conv4x3", StepPass::backward), "block input+weights");
  EXPECT_EQ(variant("1-3 bn+relu+maxpool2", StepPass::forward), "apply");
  EXPECT_EQ(variant("1-3 bn+relu+maxpool2", StepPass::backward), "sums");
  EXPECT_EQ(variant("4 conv3x2", StepPass::forward), "direct");
  EXPECT_EQ(variant("4 conv3x2", StepPass::backward), "block input+weights+input");
  EXPECT_EQ(variant("5 relu", StepPass::backward), "");
  EXPECT_EQ(variant("8-9 bn+relu", StepPass::forward), "reduce+apply");
  EXPECT_EQ(variant("8-9 bn+relu", StepPass::backward), "sums+input");
}

TEST_P(CpuTimingTest, LargeWinogradTilesUnlessTooMuchLiesBeyondTheImage) {
  const auto algorithm = [](std::int64_t height, std::int64_t width, const std::string& channels = "16") {
    test::TrainingSetup setup;
    setup.text = "conv" + channels + "x3p1,conv" + channels + "x3p1,fc4";
    setup.shape = {1, height, width, false};
    setup.backend = test::cpu_backend(GetParam());
    test::SmallTraining training(setup);
    for (const OpTiming& timing : training->time_ops({0, 16}, 1))
      if (timing.name.starts_with("1 conv") && timing.pass == StepPass::forward) return timing.variant;
    return std::string("absent");
  };
  const bool offered = select_kernels(GetParam()).winograd2 != nullptr;
  const std::string large = offered ? "Winograd 4x4" : "direct", small = offered ? "Winograd 2x2" : "direct";
  EXPECT_EQ(algorithm(12, 12), large);
  EXPECT_EQ(algorithm(12, 10), large);  // 9 * 36 products, less than three quarters of 30 * 16
  EXPECT_EQ(algorithm(10, 12), large);
  EXPECT_EQ(algorithm(10, 10), small);
  EXPECT_EQ(algorithm(2, 14), small);
  EXPECT_EQ(algorithm(14, 2), small);
  EXPECT_EQ(algorithm(12, 12, "15"), small);
  EXPECT_EQ(algorithm(12, 12, "14"), "direct");  // fewer than 200 pairs of channels
}

TEST_P(CpuTimingTest, TheChainsComputeWhatTheySay) {
  const Kernels& kernels = select_kernels(GetParam());
  const float lanes = static_cast<float>(kernels.lanes);
  const float chains = static_cast<float>(kernels.chain_floats) / lanes;
  const float starts = lanes * chains * (chains - 1) / 2;  // 0 + 1 + ... in every lane
  EXPECT_EQ(kernels.multiply_add_chains(0, 2, 3), starts);
  EXPECT_EQ(kernels.multiply_add_chains(1, 2, 3), 2 * starts + 3 * lanes * chains);
  EXPECT_EQ(kernels.multiply_add_chains(200, 0.5f, 0.5f), lanes * chains);
}

TEST(CpuPeaks, AreOfWorkForEveryThread) {
  Kernels kernels = select_kernels(CpuIsa::automatic);
  static std::atomic<int> calls;
  static float sum;  // what the chains end with
  sum = static_cast<float>(kernels.chain_floats);
  kernels.multiply_add_chains = [](std::int64_t, float, float) {
    ++calls;
    return sum;
  };
  EXPECT_GT(measure_peaks(9, kernels).fma_flops_per_second, 0);
  EXPECT_GE(calls, 9);
}

BNTRAIN_FOR_EVERY_ISA(CpuTimingTest);

}  // namespace
}  // namespace bntrain::cpu
