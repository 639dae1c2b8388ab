// Plans for inspection fuse nothing: every activation and gradient can be read, and is that of the reference.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/random.hpp"
#include "support/plan_reference.hpp"
#include "support/small_training.hpp"
#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

using reference::LayerValue;
using reference::Rounding;
using support::bound;
using support::kFloatEps;
using support::largest;

std::vector<TrainingSetup> setups() {
  std::vector<TrainingSetup> all;
  for (const char* text :
       {"conv4x3,bn,relu,maxpool2,conv5x3,bn,relu,fc8,relu,fc4", "fc9,bn,relu,fc7,bn,relu,fc4",
        "conv4x3p1,relu,maxpool2,bn,fc4", "bn,relu,conv3x3,flatten,bn,fc4", "conv3x3s2,bn,maxpool2,fc4",
        "conv4x3nobias,bn,fc5nobias,fc4", "relu,fc4",
        "conv4x3p1,res(conv4x3p1,bn,relu,conv4x3p1,bn),relu,fc4",
        "conv4x3,gelu,maxpool2,res(conv4x1,silu|conv4x1,bn),leakyrelu0.3,fc4"}) {
    TrainingSetup setup;
    setup.text = text;
    setup.shape = {2, 9, 8, false};
    setup.batch = 19;  // no multiple of any number of lanes
    setup.train = 19 + 6;
    setup.purpose = Purpose::inspection;
    all.push_back(setup);
  }
  all.push_back(all[0]);
  all.back().norm = Norm::none;
  return all;
}

/// As near to `exact` as float32 lets it be, see executable_test.cpp.
testing::AssertionResult is_near(const std::vector<float>& actual, const reference::Values& exact,
                                 const reference::Values& rounded) {
  double moved = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) moved = std::max(moved, std::abs(rounded[i] - exact[i]));
  return support::close(actual, exact, 10 * moved + bound(kFloatEps, 64, largest(exact)));
}

class InspectionTest : public BackendTest {};

TEST_P(InspectionTest, IsThatOfTheReferenceForwardAndBackward) {
  for (TrainingSetup setup : setups()) {
    SCOPED_TRACE(setup.text + (setup.norm == Norm::none ? " without norm" : ""));
    setup.backend = GetParam();
    SmallTraining training(setup);
    const Network& network = training.network();
    const Plan& plan = training->plan();
    const std::vector<std::int64_t> order = epoch_order(setup.train, 3, 0, true);
    training->set_order(order);
    const double scale = 1 / static_cast<double>(setup.batch);
    for (const BatchRange range : {BatchRange{0, 19}, BatchRange{19, 6}, BatchRange{0, 19}}) {
      const reference::State state = reference::widen(training->save());
      const reference::Batch batch = reference::read_batch(
          training.data().train, std::span(order).subspan(static_cast<std::size_t>(range.first),
                                                          static_cast<std::size_t>(range.count)));
      const auto inputs = [&](Rounding rounding) {
        return reference::layer_values(network, setup.batch_norm, scale, batch, state, rounding);
      };
      const std::vector<LayerValue> exact = inputs(Rounding::none), rounded = inputs(Rounding::to_float);
      training->train_step(range, SgdStep{.lr = 0.05, .gradient_scale = scale});
      for (const PlanOp& op : plan.ops) {
        if (op.kind == OpKind::loss) continue;
        SCOPED_TRACE("output of " + op.name + ", " + std::to_string(range.count) + " images");
        const auto output = static_cast<std::size_t>(op.last_layer) + 1;
        EXPECT_TRUE(is_near(training->read_value(op.output, StepPass::forward, range.count),
                            exact[output].value, rounded[output].value));
        EXPECT_TRUE(is_near(training->read_value(op.output, StepPass::backward, range.count),
                            exact[output].gradient, rounded[output].gradient))
            << "the gradient";
      }
      if (HasFailure()) return;
    }
  }
}

TEST_P(InspectionTest, TheStepItselfIsTheFusedOne) {
  TrainingSetup setup = setups()[0];
  setup.backend = GetParam();
  SmallTraining whole(setup);
  setup.purpose = Purpose::training;
  SmallTraining fused(setup);
  for (SmallTraining* training : {&whole, &fused})
    (*training)->train_step({0, 19}, SgdStep{.lr = 0.05, .gradient_scale = 1 / 19.0});
  const double loss = fused->drain_metrics().at(0).loss_sum;
  EXPECT_NEAR(whole->drain_metrics().at(0).loss_sum, loss, bound(kFloatEps, 64, loss));
  const ModelState state = whole->save(), expected = fused->save();
  for (const Tensor& tensor : expected.tensors) {
    if (!std::holds_alternative<std::vector<float>>(tensor.values)) continue;
    const reference::Values values = reference::widen(std::span<const float>(tensor.floats()));
    EXPECT_TRUE(support::close(state.find(tensor.name)->floats(), values, 1e-5 * (1 + largest(values))))
        << tensor.name;
  }
}

BNTRAIN_FOR_EVERY_BACKEND(InspectionTest);

}  // namespace
}  // namespace bntrain::test
