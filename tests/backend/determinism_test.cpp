// The bits depend on seed, shapes and instruction set, and on nothing else.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/random.hpp"
#include "support/small_training.hpp"

namespace bntrain::test {
namespace {

class DeterminismTest : public BackendTest {
 protected:
  static ModelState after_five_steps(const TrainingSetup& setup, bool evaluates = false) {
    SmallTraining training(setup);
    training->set_order(epoch_order(setup.train, 9, 0, true));
    const SgdStep params{.lr = 0.1, .momentum = 0.9, .weight_decay = 1e-4, .gradient_scale = 1.0 / 64};
    for (std::int64_t step = 0; step < 5; ++step) {
      training->train_step({step * 64, step == 4 ? 37 : 64}, params);
      if (evaluates) training->eval_step({0, setup.test});
    }
    return training->save();
  }
  static TrainingSetup setup_of(const char* text) {
    TrainingSetup setup;
    setup.text = text;
    setup.batch = 64;
    setup.train = 64 * 4 + 37;
    setup.backend = GetParam();
    return setup;
  }
};

TEST_P(DeterminismTest, ThreadsDoNotShowAndNeitherDoRuns) {
  for (const char* text : {"conv6x3,bn,relu,maxpool2,conv8x3p1,bn,relu,fc40,relu,fc4",
                           "bn,conv6x3,relu,conv5x2s2,fc4", "fc70,bn,relu,fc33,bn,relu,fc4",
                           "conv6x3,bn,sigmoid,avgpool2,conv5x2,sigmoid,avgpool2,fc9,sigmoid,fc4"}) {
    SCOPED_TRACE(text);
    TrainingSetup setup = setup_of(text);
    const ModelState one = after_five_steps(setup);
    for (const int threads : {1, 2, 3, 5}) {
      setup.threads = threads;
      EXPECT_TRUE(same_bits(one, after_five_steps(setup))) << threads << " threads";
    }
  }
}

TEST_P(DeterminismTest, EvaluationsBetweenTheStepsDoNotShow) {
  for (const char* text : {"conv6x3,bn,relu,maxpool2,conv8x3p1,bn,relu,fc40,relu,fc4", "fc70,bn,relu,fc4"}) {
    const TrainingSetup setup = setup_of(text);
    EXPECT_TRUE(same_bits(after_five_steps(setup), after_five_steps(setup, true))) << text;
  }
}

TEST_P(DeterminismTest, TheOrderIsTheOneThatWasSet) {
  TrainingSetup setup;
  setup.backend = GetParam();
  const std::vector<std::int64_t> order = epoch_order(setup.train, 2, 1, true);
  SmallTraining ordered(setup), plain(setup);
  ordered->set_order(order);
  for (SmallTraining* training : {&ordered, &plain})
    for (const BatchRange range : {BatchRange{0, 16}, {16, 16}, {32, 8}})
      (*training)->train_step(range, SgdStep{});
  EXPECT_FALSE(same_bits(ordered->save(), plain->save()));

  // The same images one batch at a time, each brought to the front by an order of its own.
  SmallTraining moved(setup);
  for (const BatchRange range : {BatchRange{0, 16}, {16, 16}, {32, 8}}) {
    moved->set_order(
        std::vector<std::int64_t>(order.begin() + range.first, order.begin() + range.first + range.count));
    moved->train_step({0, range.count}, SgdStep{});
  }
  EXPECT_TRUE(same_bits(ordered->save(), moved->save()));
}

TEST_P(DeterminismTest, AnOrderThatLeavesTheSetIsRefused) {
  TrainingSetup setup;
  setup.backend = GetParam();
  SmallTraining training(setup);
  EXPECT_THROW(training->set_order(std::vector<std::int64_t>{0, setup.train}), std::logic_error);
  EXPECT_THROW(training->train_step({setup.train - 1, 2}, SgdStep{}), std::logic_error);
  EXPECT_THROW(training->train_step({0, setup.batch + 1}, SgdStep{}), std::logic_error);
}

TEST_P(DeterminismTest, WithoutNormTheWeightsStartTheSame) {
  for (const Init init : {Init::tutorial, Init::gluon, Init::torch, Init::he}) {
    TrainingSetup setup;
    setup.text = "conv4x3,bn,relu,maxpool2,conv3x2,bn,fc8,bn,relu,fc4";
    setup.backend = GetParam();
    setup.init = init;
    SmallTraining with(setup);
    setup.norm = Norm::none;
    SmallTraining without(setup);
    const auto weights = [](SmallTraining& training) {
      std::vector<std::vector<float>> values;
      for (const Parameter& p : training.network().parameters())
        if (p.role == TensorRole::weight || p.role == TensorRole::bias)
          values.push_back(training->save().find(p.name)->floats());
      return values;
    };
    EXPECT_EQ(weights(with), weights(without));
    EXPECT_EQ(weights(with).size(), 8u);
  }
}

TEST_P(DeterminismTest, LoadingBringsEverythingBackButTheMomentum) {
  TrainingSetup setup;
  setup.backend = GetParam();
  const SgdStep params{.lr = 0.1, .momentum = 0.9};
  SmallTraining training(setup), fresh(setup);
  training->train_step({0, 16}, params);
  const ModelState saved = training->save();
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(saved.find("1.num_batches_tracked")->values).at(0), 1);
  training->train_step({16, 16}, params);
  training->load(saved);
  EXPECT_TRUE(same_bits(training->save(), saved));
  fresh->load(saved);
  training->train_step({16, 16}, params);
  fresh->train_step({16, 16}, params);
  EXPECT_TRUE(same_bits(training->save(), fresh->save()));
}

TEST_P(DeterminismTest, LoadingStateAndMomentumContinuesTheRun) {
  TrainingSetup setup;
  setup.backend = GetParam();
  const SgdStep params{.lr = 0.1, .momentum = 0.9, .weight_decay = 1e-3};
  SmallTraining whole(setup), resumed(setup);
  const auto steps = [&](SmallTraining& training) {
    training->train_step({0, 16}, params);
    training->train_step({16, 16}, params);
    training->train_step({32, 8}, params);
  };
  steps(whole);
  resumed->train_step({8, 16}, params);  // its momentum is replaced, not added to
  resumed->load(whole->save());
  resumed->load_momentum(whole->save_momentum());
  steps(whole);
  steps(resumed);
  EXPECT_TRUE(same_bits(whole->save(), resumed->save()));
  EXPECT_TRUE(same_bits(whole->save_momentum(), resumed->save_momentum()));
}

TEST_P(DeterminismTest, TheMomentumIsZeroThenTheFirstGradientThenTorchsBuffer) {
  TrainingSetup setup;
  setup.backend = GetParam();
  SmallTraining training(setup);
  const auto momentum = [&](const std::string& name) {
    return training->save_momentum().find(name)->floats();
  };
  const ModelState zeros = training->save_momentum();
  ASSERT_EQ(zeros.tensors.size(), training.network().parameters().size());
  for (std::size_t i = 0; i < zeros.tensors.size(); ++i) {
    const Parameter& p = training.network().parameters()[i];
    EXPECT_EQ(zeros.tensors[i].name, p.name);
    EXPECT_EQ(zeros.tensors[i].shape, p.shape);
    EXPECT_EQ(zeros.tensors[i].floats(), std::vector<float>(static_cast<std::size_t>(p.size), 0.0f));
  }
  training->train_step({0, 16}, SgdStep{.momentum = 0.9});
  const ModelState first = training->save_gradients();
  EXPECT_TRUE(same_bits(training->save_momentum(), first));
  training->train_step({16, 16}, SgdStep{.momentum = 0.5});
  const ModelState second = training->save_gradients();
  for (const Tensor& g : second.tensors) {
    const std::vector<float> buffer = momentum(g.name);
    for (std::size_t i = 0; i < buffer.size(); ++i) {
      const float before = first.find(g.name)->floats()[i];
      EXPECT_NEAR(buffer[i], 0.5f * before + g.floats()[i],
                  1e-6f * (std::abs(before) + std::abs(g.floats()[i])))
          << g.name << "[" << i << "]";
    }
  }
  training->load(training->save());
  EXPECT_TRUE(same_bits(training->save_momentum(), zeros));
}

TEST_P(DeterminismTest, MomentumOfAnotherNetworkIsRefused) {
  TrainingSetup setup;
  setup.backend = GetParam();
  SmallTraining training(setup);
  ModelState momentum = training->save_momentum();
  momentum.tensors.pop_back();
  EXPECT_THROW(training->load_momentum(momentum), std::logic_error);
}

TEST_P(DeterminismTest, EveryRuleContinuesFromItsState) {
  for (const UpdateRule rule :
       {UpdateRule::sgd, UpdateRule::sgd_momentum, UpdateRule::sgd_nesterov, UpdateRule::adamw}) {
    TrainingSetup setup;
    setup.backend = GetParam();
    setup.update = rule;
    setup.decay_weights_only = true;
    const OptimizerOptions options{
        .kind = rule == UpdateRule::adamw ? OptimizerKind::adamw : OptimizerKind::sgd,
        .weight_decay = 0.01,
        .momentum = 0.9,
        .nesterov = rule == UpdateRule::sgd_nesterov};
    SmallTraining whole(setup), resumed(setup);
    const auto steps = [&](SmallTraining& training, std::int64_t first, std::int64_t end) {
      for (std::int64_t step = first; step < end; ++step)
        training->train_step({0, 16}, StepParams{update_scalars(options, 0.01, step), 1.0 / 16});
    };
    steps(whole, 0, 3);
    EXPECT_EQ(whole->save_optimizer().size(), static_cast<std::size_t>(state_count(rule)));
    resumed->load(whole->save());
    resumed->load_optimizer(whole->save_optimizer());
    steps(whole, 3, 6);
    steps(resumed, 3, 6);
    EXPECT_TRUE(same_bits(whole->save(), resumed->save())) << static_cast<int>(rule);
  }
}

BNTRAIN_FOR_EVERY_BACKEND(DeterminismTest);

}  // namespace
}  // namespace bntrain::test
