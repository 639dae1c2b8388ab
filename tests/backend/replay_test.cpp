// What a captured step must not remember: it is replayed with the arguments that it was captured with.
#include <gtest/gtest.h>

#include <utility>

#include "core/random.hpp"
#include "support/small_training.hpp"

namespace bntrain::test {
namespace {

class ReplayTest : public BackendTest {
 protected:
  static TrainingSetup setup() {
    TrainingSetup result;
    result.text = "conv4x3,bn,relu,maxpool2,conv3x2,relu,fc8,bn,relu,fc4";
    result.backend = GetParam();
    return result;
  }
  /// Step number `i` of a run in which everything changes that may.
  static void step(TestedExecutable& executable, std::int64_t i) {
    if (i % 4 == 0) executable.set_order(epoch_order(40, 3, static_cast<std::uint64_t>(i), true));
    const SgdStep params{.lr = 0.05 / static_cast<double>(i + 1),
                         .momentum = i % 5 < 3 ? 0.9 : 0.0,
                         .weight_decay = 1e-3 * static_cast<double>(i),
                         .gradient_scale = i < 6 ? 1.0 / 16 : 1.0 / 8};
    executable.train_step({i * 7 % 24, i % 3 == 2 ? 9 : 16}, params);
    executable.eval_step({i % 3, i % 2 == 0 ? 13 : 5});
  }
};

TEST_P(ReplayTest, ReplayedStepsHaveTheBitsOfStepsThatRunForTheFirstTime) {
  SmallTraining replayed(setup());
  ModelState state = replayed->save(), momentum = replayed->save_momentum();
  for (std::int64_t i = 0; i < 12; ++i) {
    SCOPED_TRACE("step " + std::to_string(i));
    // Everything is new in this one but the state; it is given the order that is in force.
    SmallTraining fresh(setup());
    fresh->set_order(epoch_order(40, 3, static_cast<std::uint64_t>(i / 4 * 4), true));
    fresh->load(state);
    fresh->load_momentum(momentum);
    step(*fresh.operator->(), i);
    step(*replayed.operator->(), i);
    state = replayed->save();
    momentum = replayed->save_momentum();
    ASSERT_TRUE(same_bits(fresh->save(), state));
    ASSERT_TRUE(same_bits(fresh->save_momentum(), momentum));
    ASSERT_TRUE(same_bits(fresh->save_gradients(), replayed->save_gradients()));
    const std::vector<StepMetrics> a = fresh->drain_metrics(), b = replayed->drain_metrics();
    ASSERT_EQ(a.size(), 2u);
    ASSERT_EQ(b.size(), 2u);
    for (std::size_t k = 0; k < a.size(); ++k) {
      EXPECT_EQ(a[k].loss_sum, b[k].loss_sum);
      EXPECT_EQ(a[k].correct, b[k].correct);
      EXPECT_EQ(a[k].count, b[k].count);
    }
  }
}

// A device may enqueue steps that follow each other together.
TEST_P(ReplayTest, StepsInARowHaveTheBitsOfStepsThatAreWaitedFor) {
  TrainingSetup s = setup();
  s.batch = 3;
  s.train = 40;
  SmallTraining row(s), one_by_one(s);
  std::vector<StepMetrics> each;
  for (int epoch = 0; epoch < 4; ++epoch)
    for (SmallTraining* training : {&row, &one_by_one}) {
      (*training)->set_order(epoch_order(s.train, 3, epoch, true));
      for (std::int64_t step = 0; step < 14; ++step) {
        const SgdStep params{.lr = 0.05 / static_cast<double>(step + 1), .momentum = 0.9};
        (*training)->train_step({step * 3, step == 13 ? 1 : 3}, params);
        if (training == &row) continue;
        each.push_back((*training)->drain_metrics().at(0));
        (*training)->save();
      }
    }
  EXPECT_TRUE(same_bits(row->save(), one_by_one->save()));
  EXPECT_TRUE(same_bits(row->save_momentum(), one_by_one->save_momentum()));
  const std::vector<StepMetrics> all = row->drain_metrics();
  ASSERT_EQ(all.size(), each.size());
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].loss_sum, each[i].loss_sum) << i;
}

TEST_P(ReplayTest, DrainingSeldomLosesNoMetrics) {
  TrainingSetup s = setup();
  s.text = "fc4";
  s.shape = {1, 2, 2, false};
  s.batch = 1;
  SmallTraining seldom(s), often(s);
  std::vector<StepMetrics> each;
  const int steps = 1200;  // more than the device has room for
  for (int i = 0; i < steps; ++i) {
    for (SmallTraining* training : {&seldom, &often}) {
      if (i % 3 == 2)
        (*training)->eval_step({i % 16, 1});
      else
        (*training)->train_step({i % 40, 1}, SgdStep{.lr = 0.01});
    }
    const std::vector<StepMetrics> one = often->drain_metrics();
    each.insert(each.end(), one.begin(), one.end());
  }
  const std::vector<StepMetrics> all = seldom->drain_metrics();
  ASSERT_EQ(all.size(), each.size());
  ASSERT_EQ(all.size(), static_cast<std::size_t>(steps));
  for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i].loss_sum, each[i].loss_sum) << i;
  EXPECT_TRUE(seldom->drain_metrics().empty());
}

BNTRAIN_FOR_EVERY_BACKEND(ReplayTest);

}  // namespace
}  // namespace bntrain::test
