// The CUDA executable on a device whose memory, events or graphs run out, at every place where it can.
#include <gmock/gmock.h>

#include <stdexcept>

#include "support/cuda_host/backend.hpp"
#include "support/cuda_host/host_resources.hpp"
#include "support/small_training.hpp"

namespace bntrain::test {
namespace {

class ExhaustedDevice : public testing::Test {
 protected:
  ~ExhaustedDevice() override { resources.left = -1; }

  static TrainingSetup setup() {
    TrainingSetup result;
    result.backend = {"cuda on the host", [](int) { return cuda::make_host_backend(); }};
    return result;
  }

  /// Two epochs with a short last batch and an evaluation: launch by launch at first, then captured, then
  /// replayed.
  static std::vector<StepMetrics> train(SmallTraining& training) {
    training->load(initial_state(training.network(), Init::torch, 1));
    for (int epoch = 0; epoch < 3; ++epoch) {
      for (const BatchRange range : {BatchRange{0, 16}, BatchRange{16, 16}, BatchRange{32, 8}})
        training->train_step(range, SgdStep{.lr = 0.1, .momentum = 0.9});
      training->eval_step({0, 16});
    }
    return training->drain_metrics();
  }

  /// What work() took before it threw, for lack of anything.
  template <typename Work>
  bool runs_out(std::int64_t left, const Work& work) {
    resources.left = left;
    try {
      work();
      resources.left = -1;
      return false;
    } catch (const std::runtime_error& error) {
      resources.left = -1;
      EXPECT_THAT(error.what(), testing::HasSubstr("the host plays a GPU that has no "));
      return true;
    }
  }

  cuda::HostResources& resources = cuda::host_resources();
};

TEST_F(ExhaustedDevice, CompilingHalfwayLeavesNothingBehind) {
  const std::int64_t before = resources.live;
  std::int64_t left = 0;
  while (runs_out(left, [] { SmallTraining training(setup()); })) {
    ASSERT_EQ(resources.live, before) << "after " << left << " were handed out";
    ++left;
  }
  EXPECT_GT(left, 10) << "the executable takes more than that";
  EXPECT_EQ(resources.live, before);
}

TEST_F(ExhaustedDevice, AStepThatFailsLeavesAnExecutableThatTrainsAsIfNothingHadHappened) {
  const std::int64_t before = resources.live;
  std::vector<StepMetrics> expected;
  {
    SmallTraining training(setup());
    expected = train(training);
  }
  std::int64_t left = 0;
  for (bool failed = true; failed; ++left) {
    SmallTraining training(setup());
    failed = runs_out(left, [&] { train(training); });
    training->drain_metrics();
    const std::vector<StepMetrics> again = train(training);
    ASSERT_EQ(again.size(), expected.size());
    for (std::size_t i = 0; i < again.size(); ++i)
      ASSERT_EQ(again[i].loss_sum, expected[i].loss_sum)
          << "step " << i << " after " << left << " were handed out";
  }
  EXPECT_GT(left, 5) << "steps of two batch sizes and their graphs take more than that";
  EXPECT_EQ(resources.live, before);
}

TEST_F(ExhaustedDevice, OfStepsInARowThatFailNoneCounts) {
  TrainingSetup row = setup();
  row.text = "fc4";
  row.batch = 1;
  const auto steps = [](SmallTraining& training) {
    training->load(initial_state(training.network(), Init::torch, 1));
    for (std::int64_t i = 0; i < 25; ++i) training->train_step({i, 1}, SgdStep{.lr = 0.1});
    return training->drain_metrics();
  };
  std::vector<StepMetrics> expected;
  {
    SmallTraining training(row);
    expected = steps(training);
  }
  ASSERT_EQ(expected.size(), 25u);
  std::int64_t left = 0;
  for (bool failed = true; failed; ++left) {
    SmallTraining training(row);
    failed = runs_out(left, [&] { steps(training); });
    const auto made = static_cast<std::int64_t>(training->drain_metrics().size());
    if (failed) {
      EXPECT_EQ((*training).updates(), made) << "after " << left << " were handed out";
    }
    const std::vector<StepMetrics> again = steps(training);
    ASSERT_EQ(again.size(), expected.size());
    for (std::size_t i = 0; i < again.size(); ++i) ASSERT_EQ(again[i].loss_sum, expected[i].loss_sum) << i;
  }
  EXPECT_GT(left, 3);
}

TEST_F(ExhaustedDevice, TimingHalfwayLeavesNothingBehind) {
  SmallTraining training(setup());
  training->train_step({0, 16}, SgdStep{.lr = 0.1});
  const std::int64_t before = resources.live;
  std::int64_t left = 0;
  for (; runs_out(left, [&] { training->time_ops({0, 16}, 2); }); ++left) {
    ASSERT_EQ(resources.live, before) << "after " << left << " were handed out";
  }
  EXPECT_GT(left, 5);
  EXPECT_EQ(resources.live, before);
}

}  // namespace
}  // namespace bntrain::test
