#include "plan/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

namespace bntrain {
namespace {

using testing::ElementsAre;

constexpr FusionRules kRebuild{.rebuild_conv_gradients = true};

Plan plan_of(const char* text, Norm norm = Norm::batch, const FusionRules& rules = {},
             Purpose purpose = Purpose::training) {
  const Network network = Network::parse(text, {1, 28, 28, false}, 10, norm);
  return make_plan({network, {}, 256, purpose}, rules);
}

std::vector<std::string> names(const Plan& plan) {
  std::vector<std::string> result;
  for (const PlanOp& op : plan.ops) result.push_back(op.name);
  return result;
}

TEST(Plan, TheReference) {
  const Plan plan = plan_of("lenet-bn");
  EXPECT_THAT(names(plan), ElementsAre("0 conv20x5", "1-3 bn+relu+maxpool2", "4 conv50x3",
                                       "5-7 bn+relu+maxpool2", "9-10 fc128+relu", "11 fc10", "loss"));
  EXPECT_EQ(plan.batch_size, 256);
  EXPECT_TRUE(plan.has_gradients());
  for (std::size_t i = 0; i + 1 < plan.ops.size(); ++i) {
    EXPECT_EQ(plan.ops[i].input(), static_cast<int>(i));
    EXPECT_EQ(plan.ops[i].output, static_cast<int>(i) + 1);
  }
  const PlanOp& loss = plan.ops.back();
  EXPECT_EQ(loss.kind, OpKind::loss);
  EXPECT_EQ(loss.input(), 6);
  EXPECT_EQ(loss.output, 6);
  ASSERT_EQ(plan.values.size(), 7u);
  EXPECT_EQ(plan.values[0].shape, (Shape{1, 28, 28, false}));
  EXPECT_EQ(plan.values[4].shape, (Shape{50, 5, 5, false}));  // the flatten behind it leaves it alone
  EXPECT_EQ(plan.values[6].shape, (Shape{10, 1, 1, true}));
}

TEST(Plan, OpsKnowTheirParameters) {
  const Plan plan = plan_of("lenet-bn");
  const std::vector<Parameter>& parameters = plan.network.parameters();
  const PlanOp& conv = plan.ops[2];
  EXPECT_EQ(conv.kind, OpKind::conv);
  EXPECT_EQ(conv.kernel, 3);
  EXPECT_EQ(conv.weight, parameters[4].offset);
  EXPECT_EQ(conv.bias, parameters[5].offset);
  const PlanOp& block = plan.ops[3];
  EXPECT_EQ(block.kind, OpKind::block);
  EXPECT_EQ(block.norm, NormKind::batch);
  EXPECT_EQ(block.activation.kind, ActivationKind::relu);
  EXPECT_EQ(block.pool, 2);
  EXPECT_EQ(block.pooling, Pooling::maximum);
  EXPECT_EQ(block.gamma, parameters[6].offset);
  EXPECT_EQ(block.beta, parameters[7].offset);
  EXPECT_EQ(block.running_mean, plan.network.running()[1].mean_offset);
  EXPECT_EQ(block.running_var, plan.network.running()[1].var_offset);
  EXPECT_EQ(block.weight, -1);
  const PlanOp& linear = plan.ops[5];
  EXPECT_EQ(linear.kind, OpKind::linear);
  EXPECT_FALSE(linear.has_activation());
  EXPECT_EQ(plan.ops[4].activation.kind, ActivationKind::relu);
  EXPECT_EQ(linear.weight, parameters[10].offset);
  EXPECT_EQ(linear.gamma, -1);
}

TEST(Plan, ConvolutionsKeepStrideAndPadding) {
  const PlanOp conv = plan_of("conv8x3s2p1,fc10").ops[0];
  EXPECT_EQ(conv.kernel, 3);
  EXPECT_EQ(conv.stride, 2);
  EXPECT_EQ(conv.padding, 1);
}

TEST(Plan, FusesGreedilyInOrder) {
  EXPECT_THAT(names(plan_of("lenet-bn", Norm::none)),
              ElementsAre("0 conv20x5", "1-2 relu+maxpool2", "3 conv50x3", "4-5 relu+maxpool2",
                          "7-8 fc128+relu", "9 fc10", "loss"));
  EXPECT_THAT(names(plan_of("mlp-bn")),
              ElementsAre("1 fc256", "2-3 bn+relu", "4 fc128", "5-6 bn+relu", "7 fc10", "loss"));
  EXPECT_THAT(names(plan_of("bn,conv4x3,relu,bn,maxpool2,relu,bn,bn,fc5,relu,relu,fc10")),
              ElementsAre("0 bn", "1 conv4x3", "2 relu", "3-4 bn+maxpool2", "5 relu", "6 bn", "7 bn",
                          "9-10 fc5+relu", "11 relu", "12 fc10", "loss"));
  EXPECT_THAT(names(plan_of("conv4x3,flatten,bn,relu,fc10")),
              ElementsAre("0 conv4x3", "2-3 bn+relu", "4 fc10", "loss"));
}

TEST(Plan, FusesSigmoidsAndAverages) {
  EXPECT_THAT(names(plan_of("d2l-lenet")),
              ElementsAre("0 conv6x5", "1-3 bn+sigmoid+avgpool2", "4 conv16x5", "5-7 bn+sigmoid+avgpool2",
                          "9 fc120", "10-11 bn+sigmoid", "12 fc84", "13-14 bn+sigmoid", "15 fc10", "loss"));
  EXPECT_THAT(
      names(plan_of("mlp3-sigmoid", Norm::none)),
      ElementsAre("1 fc100", "2 sigmoid", "3 fc100", "4 sigmoid", "5 fc100", "6 sigmoid", "7 fc10", "loss"));
  EXPECT_THAT(names(plan_of("sigmoid,relu,sigmoid,maxpool2,avgpool2,bn,avgpool2,sigmoid,fc10")),
              ElementsAre("0 sigmoid", "1 relu", "2-3 sigmoid+maxpool2", "4 avgpool2", "5-6 bn+avgpool2",
                          "7 sigmoid", "9 fc10", "loss"));
  const PlanOp block = plan_of("d2l-lenet").ops[1];
  EXPECT_EQ(block.norm, NormKind::batch);
  EXPECT_EQ(block.activation.kind, ActivationKind::sigmoid);
  EXPECT_EQ(block.pool, 2);
  EXPECT_EQ(block.pooling, Pooling::average);
}

/// Says which buffers each pass of each op touches, independently of the planner, and looks for clashes.
class Alive {
 public:
  explicit Alive(const Plan& plan) : plan_(plan), moments_(2 * static_cast<int>(plan.ops.size())) {
    const int ops = static_cast<int>(plan.ops.size());
    spans_.resize(2 * plan.values.size(), {moments_, -1});
    for (int i = 0; i < ops; ++i) {
      const PlanOp& op = plan.op(i);
      for (const int input : op.inputs) touch(activation(input), i);
      touch(activation(op.output), i);
      if (!plan.has_gradients()) continue;
      const int backward = moments_ - 1 - i;
      if (op.kind != OpKind::add) touch(activation(op.input()), backward);
      if (op.kind == OpKind::loss) touch(gradient(op.input()), i);
      if (op.kind == OpKind::block || op.has_activation()) touch(activation(op.output), backward);
      for (const int input : op.inputs) touch(gradient(input), backward);
      touch(gradient(op.output), backward);
      if (op.kind == OpKind::conv && plan.value(op.output).gradient_offset < 0) {
        touch(activation(op.output), backward);
        touch(activation(op.output + 1), backward);
        touch(gradient(op.output + 1), backward);
      }
    }
  }

  void expect_no_clash() const {
    for (std::size_t a = 0; a < spans_.size(); ++a) {
      if (offset(a) < 0) continue;
      EXPECT_LE(offset(a) + size(a), plan_.arena_floats_per_image);
      for (std::size_t b = a + 1; b < spans_.size(); ++b) {
        if (offset(b) < 0) continue;
        if (is_shared(a, b)) continue;
        const bool together = spans_[a].first <= spans_[b].last && spans_[b].first <= spans_[a].last;
        const bool overlap = offset(a) < offset(b) + size(b) && offset(b) < offset(a) + size(a);
        EXPECT_FALSE(together && overlap) << "buffers " << a << " and " << b;
      }
    }
  }
  /// Whether a sum says that the two gradients are the same memory.
  bool is_shared(std::size_t a, std::size_t b) const {
    const auto root = [&](std::size_t buffer) {
      for (bool moved = true; moved;) {
        moved = false;
        for (const PlanOp& op : plan_.ops)
          for (std::size_t k = 0; k < op.inputs.size(); ++k)
            if (op.input_gradients[k] == InputGradient::shared && gradient(op.inputs[k]) == buffer) {
              buffer = gradient(op.output);
              moved = true;
            }
      }
      return buffer;
    };
    return root(a) == root(b);
  }
  std::int64_t peak() const {
    std::int64_t highest = 0;
    for (int moment = 0; moment < moments_; ++moment) {
      std::int64_t alive = 0;
      for (std::size_t i = 0; i < spans_.size(); ++i) {
        if (offset(i) >= 0 && spans_[i].first <= moment && moment <= spans_[i].last && !is_copy(i))
          alive += size(i);
      }
      highest = std::max(highest, alive);
    }
    return highest;
  }
  std::int64_t sum() const {
    std::int64_t all = 0;
    for (std::size_t i = 0; i < spans_.size(); ++i) all += offset(i) >= 0 && !is_copy(i) ? size(i) : 0;
    return all;
  }

 private:
  struct Span {
    int first, last;
  };
  /// Of a gradient with another number.
  bool is_copy(std::size_t i) const {
    for (std::size_t other = 0; other < i; ++other)
      if (is_shared(i, other)) return true;
    return false;
  }
  std::size_t activation(int value) const { return static_cast<std::size_t>(value); }
  std::size_t gradient(int value) const { return plan_.values.size() + static_cast<std::size_t>(value); }
  void touch(std::size_t buffer, int moment) {
    spans_.at(buffer).first = std::min(spans_[buffer].first, moment);
    spans_[buffer].last = std::max(spans_[buffer].last, moment);
  }
  std::int64_t offset(std::size_t buffer) const {
    const std::size_t values = plan_.values.size();
    return buffer < values ? plan_.values[buffer].offset : plan_.values[buffer - values].gradient_offset;
  }
  std::int64_t size(std::size_t buffer) const {
    return plan_.values[buffer % plan_.values.size()].shape.size();
  }

  const Plan& plan_;
  int moments_;
  std::vector<Span> spans_;
};

class PlanArenaOf : public testing::TestWithParam<const char*> {};

TEST_P(PlanArenaOf, BuffersAliveTogetherNeverOverlap) {
  for (const auto& [purpose, rules] : {std::pair{Purpose::training, FusionRules{}},
                                       {Purpose::training, kRebuild},
                                       {Purpose::inference, {}}}) {
    for (const Norm norm : {Norm::batch, Norm::none}) {
      const Plan plan = plan_of(GetParam(), norm, rules, purpose);
      const Alive alive(plan);
      alive.expect_no_clash();
      EXPECT_GE(plan.arena_floats_per_image, alive.peak());
      EXPECT_LE(plan.arena_floats_per_image, alive.peak() * 5 / 4);
      EXPECT_LT(plan.arena_floats_per_image, alive.sum());
    }
  }
}

TEST_P(PlanArenaOf, GradientsExistWhereTheyAreMaterialised) {
  const Plan full = plan_of(GetParam());
  EXPECT_EQ(full.values[0].gradient_offset, -1);
  for (std::size_t i = 1; i < full.values.size(); ++i) EXPECT_GE(full.values[i].gradient_offset, 0);

  const Plan inference = plan_of(GetParam(), Norm::batch, {}, Purpose::inference);
  for (const PlanValue& value : inference.values) EXPECT_EQ(value.gradient_offset, -1);
  EXPECT_LT(inference.arena_floats_per_image, full.arena_floats_per_image);
}

INSTANTIATE_TEST_SUITE_P(
    Networks, PlanArenaOf,
    testing::Values("lenet-bn", "mlp-bn", "d2l-lenet", "mlp3-sigmoid",
                    "conv4x3,conv4x3,bn,relu,conv4x3,maxpool2,fc10",
                    "bn,conv4x3,flatten,bn,relu,fc30,relu,bn,bn,relu,fc10",
                    "conv8x3,relu,bn,maxpool2,relu,conv8x3,bn,relu,fc10", "fc10,relu,fc10",
                    "conv8x3p1,res(conv8x3p1,bn,relu,conv8x3p1,bn),relu,fc10",
                    "conv8x3,bn,relu,res(conv8x3s2p1,bn,relu,conv8x3p1,bn|conv8x1s2,bn),relu,"
                    "res(res(conv8x3p1,gelu),conv8x1),bn,silu,maxpool2,fc10",
                    "fc20,res(res(fc20)),res(fc20,relu|fc20,bn),relu,fc10"));

TEST(Plan, RebuiltConvGradientsAreLeftOut) {
  const auto without_gradient = [](const char* text) {
    const Plan plan = plan_of(text, Norm::batch, kRebuild);
    std::vector<int> values;
    for (std::size_t i = 1; i < plan.values.size(); ++i) {
      if (plan.values[i].gradient_offset < 0) values.push_back(static_cast<int>(i));
    }
    return values;
  };
  EXPECT_THAT(without_gradient("lenet-bn"), ElementsAre(1, 3));
  EXPECT_THAT(without_gradient("conv4x3,conv4x3,relu,fc10"), ElementsAre(2));
  EXPECT_THAT(without_gradient("bn,conv4x3,bn,bn,fc10"), ElementsAre(2));
  EXPECT_THAT(without_gradient("conv4x3,fc10"), ElementsAre());
  EXPECT_THAT(without_gradient("conv4x3,flatten,bn,fc10"), ElementsAre());  // its channels are other ones
  EXPECT_THAT(without_gradient("mlp-bn"), ElementsAre());
  EXPECT_LT(plan_of("lenet-bn", Norm::batch, kRebuild).arena_floats_per_image,
            plan_of("lenet-bn").arena_floats_per_image);
}

TEST(Plan, ForInspectionFusesNothingAndSharesNoMemory) {
  const Plan plan = plan_of("lenet-bn", Norm::batch, kRebuild, Purpose::inspection);
  EXPECT_THAT(names(plan), ElementsAre("0 conv20x5", "1 bn", "2 relu", "3 maxpool2", "4 conv50x3", "5 bn",
                                       "6 relu", "7 maxpool2", "9 fc128", "10 relu", "11 fc10", "loss"));
  for (const PlanOp& op : plan.ops)
    EXPECT_LE(op.has_norm() + op.has_activation() + (op.pool > 1), 1) << op.name;
  EXPECT_EQ(plan.values[0].gradient_offset, -1);
  std::int64_t floats = plan.values[0].shape.size();
  std::vector<std::pair<std::int64_t, std::int64_t>> buffers{{plan.values[0].offset, floats}};
  for (std::size_t i = 1; i < plan.values.size(); ++i) {
    const PlanValue& value = plan.values[i];
    ASSERT_GE(value.gradient_offset, 0) << i;
    buffers.emplace_back(value.offset, value.shape.size());
    buffers.emplace_back(value.gradient_offset, value.shape.size());
    floats += 2 * value.shape.size();
  }
  std::ranges::sort(buffers);
  for (std::size_t i = 1; i < buffers.size(); ++i)
    EXPECT_GE(buffers[i].first, buffers[i - 1].first + buffers[i - 1].second);
  EXPECT_GE(plan.arena_floats_per_image, floats);
}

TEST(Plan, AnActivationThatIsNotMonotoneStaysBeforeItsMaximum) {
  EXPECT_THAT(names(plan_of("conv4x3,bn,gelu,maxpool2,silu,avgpool2,leakyrelu0.2,maxpool2,fc10")),
              ElementsAre("0 conv4x3", "1-2 bn+gelu", "3 maxpool2", "4-5 silu+avgpool2",
                          "6-7 leakyrelu0.2+maxpool2", "9 fc10", "loss"));
}

TEST(Plan, ResidualBlocks) {
  const Plan plan = plan_of("conv8x3p1,res(conv8x3p1,bn,relu,conv8x3p1,bn),relu,maxpool2,fc10");
  EXPECT_THAT(names(plan),
              ElementsAre("0 conv8x3p1", "1.body.0 conv8x3p1", "1.body.1-2 bn+relu", "1.body.3 conv8x3p1",
                          "1.body.4 bn", "1-2 add+relu", "3 maxpool2", "5 fc10", "loss"));
  const PlanOp& sum = plan.ops[5];
  EXPECT_EQ(sum.kind, OpKind::add);
  EXPECT_THAT(sum.inputs, ElementsAre(5, 1));
  EXPECT_THAT(sum.input_gradients, ElementsAre(InputGradient::shared, InputGradient::store));
  EXPECT_EQ(plan.values[5].gradient_offset, plan.values[6].gradient_offset);
  EXPECT_THAT(plan.ops[1].input_gradients, ElementsAre(InputGradient::add));
  EXPECT_EQ(plan.ops[0].block_after, -1);  // two read its output
}

TEST(Plan, AProjectionIsABranchOfItsOwn) {
  const Plan plan = plan_of("res(conv8x3s2p1,bn|conv8x1s2,bn),gelu,fc10");
  EXPECT_THAT(names(plan), ElementsAre("0.body.0 conv8x3s2p1", "0.body.1 bn", "0.shortcut.0 conv8x1s2",
                                       "0.shortcut.1 bn", "0 add", "1 gelu", "3 fc10", "loss"));
  EXPECT_THAT(plan.ops[0].input_gradients, ElementsAre(InputGradient::none));
  EXPECT_EQ(plan.ops[2].block_after, 3);
  EXPECT_TRUE(plan.ops[2].bias_absorbed);
  EXPECT_THAT(plan.ops[4].inputs, ElementsAre(2, 4));
}

TEST(Plan, WeightDecayOfWeightsAloneEndsWithTheWeights) {
  const Network network = Network::parse("conv4x3,bn,relu,fc10", {1, 28, 28, false}, 10);
  EXPECT_EQ(make_plan({network, {}, 16}, {}).decayed_floats, network.parameter_floats());
  const Plan plan =
      make_plan({.network = network, .batch_norm = {}, .batch_size = 16, .decay_weights_only = true}, {});
  for (const Parameter& p : network.parameters())
    EXPECT_EQ(p.offset < plan.decayed_floats, p.role == TensorRole::weight) << p.name;
}

TEST(Plan, IsDeterministic) {
  const Plan one = plan_of("lenet-bn", Norm::batch, kRebuild),
             other = plan_of("lenet-bn", Norm::batch, kRebuild);
  for (std::size_t i = 0; i < one.values.size(); ++i) {
    EXPECT_EQ(one.values[i].offset, other.values[i].offset);
    EXPECT_EQ(one.values[i].gradient_offset, other.values[i].gradient_offset);
  }
}

TEST(Plan, NeedsABatch) {
  const Network network = Network::parse("lenet-bn", {1, 28, 28, false}, 10);
  EXPECT_THROW(make_plan({network, {}, 0}, {}), std::logic_error);
}

}  // namespace
}  // namespace bntrain
