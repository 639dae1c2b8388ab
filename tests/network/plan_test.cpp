#include "bntrain/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

namespace bntrain {
namespace {

using testing::ElementsAre;

Plan plan_of(const char* text, const PlanOptions& options = {}, Norm norm = Norm::batch) {
  return make_plan(Network::parse(text, {1, 28, 28, false}, 10, norm), {}, 256, options);
}

std::vector<std::string> names(const Plan& plan) {
  std::vector<std::string> result;
  for (const PlanStep& step : plan.steps) result.push_back(step.name);
  return result;
}

TEST(Plan, TheReference) {
  const Plan plan = plan_of("lenet-bn");
  EXPECT_THAT(names(plan), ElementsAre("0 conv20x5", "1-3 bn+relu+maxpool2", "4 conv50x3",
                                       "5-7 bn+relu+maxpool2", "9-10 fc128+relu", "11 fc10", "loss"));
  EXPECT_EQ(plan.batch_size, 256);
  EXPECT_TRUE(plan.training);
  for (std::size_t i = 0; i + 1 < plan.steps.size(); ++i) {
    EXPECT_EQ(plan.steps[i].input, static_cast<int>(i));
    EXPECT_EQ(plan.steps[i].output, static_cast<int>(i) + 1);
  }
  const PlanStep& loss = plan.steps.back();
  EXPECT_EQ(loss.kind, StepKind::loss);
  EXPECT_EQ(loss.input, 6);
  EXPECT_EQ(loss.output, 6);
  ASSERT_EQ(plan.values.size(), 7u);
  EXPECT_EQ(plan.values[0].shape, (Shape{1, 28, 28, false}));
  EXPECT_EQ(plan.values[4].shape, (Shape{50, 5, 5, false}));  // the flatten behind it leaves it alone
  EXPECT_EQ(plan.values[6].shape, (Shape{10, 1, 1, true}));
}

TEST(Plan, StepsKnowTheirParameters) {
  const Plan plan = plan_of("lenet-bn");
  const std::vector<Parameter>& parameters = plan.network.parameters();
  const PlanStep& conv = plan.steps[2];
  EXPECT_EQ(conv.kind, StepKind::conv);
  EXPECT_EQ(conv.kernel, 3);
  EXPECT_EQ(conv.weight, parameters[4].offset);
  EXPECT_EQ(conv.bias, parameters[5].offset);
  const PlanStep& block = plan.steps[3];
  EXPECT_EQ(block.kind, StepKind::block);
  EXPECT_TRUE(block.norm);
  EXPECT_EQ(block.activation, Activation::relu);
  EXPECT_EQ(block.pool, 2);
  EXPECT_EQ(block.pooling, Pooling::maximum);
  EXPECT_EQ(block.gamma, parameters[6].offset);
  EXPECT_EQ(block.beta, parameters[7].offset);
  EXPECT_EQ(block.running_mean, plan.network.running()[1].mean_offset);
  EXPECT_EQ(block.running_var, plan.network.running()[1].var_offset);
  EXPECT_EQ(block.weight, -1);
  const PlanStep& linear = plan.steps[5];
  EXPECT_EQ(linear.kind, StepKind::linear);
  EXPECT_EQ(linear.activation, Activation::none);
  EXPECT_EQ(plan.steps[4].activation, Activation::relu);
  EXPECT_EQ(linear.weight, parameters[10].offset);
  EXPECT_EQ(linear.gamma, -1);
}

TEST(Plan, ConvolutionsKeepStrideAndPadding) {
  const PlanStep conv = plan_of("conv8x3s2p1,fc10").steps[0];
  EXPECT_EQ(conv.kernel, 3);
  EXPECT_EQ(conv.stride, 2);
  EXPECT_EQ(conv.padding, 1);
}

TEST(Plan, FusesGreedilyInOrder) {
  EXPECT_THAT(names(plan_of("lenet-bn", {}, Norm::none)),
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
      names(plan_of("mlp3-sigmoid", {}, Norm::none)),
      ElementsAre("1 fc100", "2 sigmoid", "3 fc100", "4 sigmoid", "5 fc100", "6 sigmoid", "7 fc10", "loss"));
  EXPECT_THAT(names(plan_of("sigmoid,relu,sigmoid,maxpool2,avgpool2,bn,avgpool2,sigmoid,fc10")),
              ElementsAre("0 sigmoid", "1 relu", "2-3 sigmoid+maxpool2", "4 avgpool2", "5-6 bn+avgpool2",
                          "7 sigmoid", "9 fc10", "loss"));
  const PlanStep block = plan_of("d2l-lenet").steps[1];
  EXPECT_TRUE(block.norm);
  EXPECT_EQ(block.activation, Activation::sigmoid);
  EXPECT_EQ(block.pool, 2);
  EXPECT_EQ(block.pooling, Pooling::average);
}

/// Says which buffers each pass of each step touches, independently of the planner, and looks for clashes.
class Alive {
 public:
  Alive(const Plan& plan, bool rebuild) : plan_(plan), moments_(2 * static_cast<int>(plan.steps.size())) {
    const int steps = static_cast<int>(plan.steps.size());
    spans_.resize(2 * plan.values.size(), {moments_, -1});
    for (int i = 0; i < steps; ++i) {
      const PlanStep& step = plan.steps[static_cast<std::size_t>(i)];
      touch(activation(step.input), i);
      touch(activation(step.output), i);
      if (!plan.training) continue;
      const int backward = moments_ - 1 - i;
      touch(activation(step.input), backward);
      if (step.kind == StepKind::loss) touch(gradient(step.input), i);
      if (step.kind == StepKind::block ||
          (step.kind == StepKind::linear && step.activation != Activation::none)) {
        touch(activation(step.output), backward);
      }
      touch(gradient(step.input), backward);
      touch(gradient(step.output), backward);
      if (rebuild && step.kind == StepKind::conv &&
          plan.values[static_cast<std::size_t>(step.output)].gradient_offset < 0) {
        touch(activation(step.output), backward);
        touch(activation(step.output + 1), backward);
        touch(gradient(step.output + 1), backward);
      }
    }
  }

  void expect_no_clash() const {
    for (std::size_t a = 0; a < spans_.size(); ++a) {
      if (offset(a) < 0) continue;
      EXPECT_LE(offset(a) + size(a), plan_.arena_floats_per_image);
      for (std::size_t b = a + 1; b < spans_.size(); ++b) {
        if (offset(b) < 0) continue;
        const bool together = spans_[a].first <= spans_[b].last && spans_[b].first <= spans_[a].last;
        const bool overlap = offset(a) < offset(b) + size(b) && offset(b) < offset(a) + size(a);
        EXPECT_FALSE(together && overlap) << "buffers " << a << " and " << b;
      }
    }
  }
  std::int64_t peak() const {
    std::int64_t highest = 0;
    for (int moment = 0; moment < moments_; ++moment) {
      std::int64_t alive = 0;
      for (std::size_t i = 0; i < spans_.size(); ++i) {
        if (offset(i) >= 0 && spans_[i].first <= moment && moment <= spans_[i].last) alive += size(i);
      }
      highest = std::max(highest, alive);
    }
    return highest;
  }
  std::int64_t sum() const {
    std::int64_t all = 0;
    for (std::size_t i = 0; i < spans_.size(); ++i) all += offset(i) >= 0 ? size(i) : 0;
    return all;
  }

 private:
  struct Span {
    int first, last;
  };
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
  for (const PlanOptions& options :
       {PlanOptions{true, false}, PlanOptions{true, true}, PlanOptions{false, false}}) {
    for (const Norm norm : {Norm::batch, Norm::none}) {
      const Plan plan = plan_of(GetParam(), options, norm);
      const Alive alive(plan, options.rebuild_conv_gradients);
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

  const Plan inference = plan_of(GetParam(), {false, false});
  for (const PlanValue& value : inference.values) EXPECT_EQ(value.gradient_offset, -1);
  EXPECT_LT(inference.arena_floats_per_image, full.arena_floats_per_image);
}

INSTANTIATE_TEST_SUITE_P(Networks, PlanArenaOf,
                         testing::Values("lenet-bn", "mlp-bn", "d2l-lenet", "mlp3-sigmoid",
                                         "conv4x3,conv4x3,bn,relu,conv4x3,maxpool2,fc10",
                                         "bn,conv4x3,flatten,bn,relu,fc30,relu,bn,bn,relu,fc10",
                                         "conv8x3,relu,bn,maxpool2,relu,conv8x3,bn,relu,fc10",
                                         "fc10,relu,fc10"));

TEST(Plan, RebuiltConvGradientsAreLeftOut) {
  const auto without_gradient = [](const char* text) {
    const Plan plan = plan_of(text, {true, true});
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
  EXPECT_LT(plan_of("lenet-bn", {true, true}).arena_floats_per_image,
            plan_of("lenet-bn").arena_floats_per_image);
}

TEST(Plan, OfEveryValueFusesNothingAndSharesNoMemory) {
  const Plan plan = plan_of("lenet-bn", {.rebuild_conv_gradients = true, .every_value = true});
  EXPECT_TRUE(plan.every_value);
  EXPECT_THAT(names(plan), ElementsAre("0 conv20x5", "1 bn", "2 relu", "3 maxpool2", "4 conv50x3", "5 bn",
                                       "6 relu", "7 maxpool2", "9 fc128", "10 relu", "11 fc10", "loss"));
  for (const PlanStep& step : plan.steps) {
    const bool activates = step.activation != Activation::none;
    EXPECT_LE(step.norm + activates + (step.pool > 1), 1) << step.name;
  }
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

TEST(Plan, IsDeterministic) {
  const Plan one = plan_of("lenet-bn", {true, true}), other = plan_of("lenet-bn", {true, true});
  for (std::size_t i = 0; i < one.values.size(); ++i) {
    EXPECT_EQ(one.values[i].offset, other.values[i].offset);
    EXPECT_EQ(one.values[i].gradient_offset, other.values[i].gradient_offset);
  }
}

TEST(Plan, NeedsABatch) {
  const Network network = Network::parse("lenet-bn", {1, 28, 28, false}, 10);
  EXPECT_THROW(make_plan(network, {}, 0, {}), std::logic_error);
}

}  // namespace
}  // namespace bntrain
