// Costs against figures worked out by hand from the shapes.
#include "plan/cost.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace bntrain {
namespace {

using testing::ElementsAre;

constexpr FusionRules kRebuilt{.rebuild_conv_gradients = true};

class CostsOf {
 public:
  explicit CostsOf(const char* text, const FusionRules& rules = {}, std::int64_t images = 256,
                   Norm norm = Norm::batch, UpdateRule update = UpdateRule::sgd) {
    const Network network = Network::parse(text, {1, 28, 28, false}, 10, norm);
    costs_ = plan_costs(make_plan({network, {}, 256, Purpose::training, update}, rules), images);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const OpCost& cost : costs_)
      result.push_back((cost.pass == StepPass::forward    ? "f "
                        : cost.pass == StepPass::backward ? "b "
                                                          : "u ") +
                       cost.name);
    return result;
  }
  // The gather is before all ops, the update after all gradients.
  const OpCost& forward(std::size_t op) const { return costs_.at(op + 1); }
  const OpCost& backward(std::size_t op) const { return costs_.at(costs_.size() - 2 - op); }
  const OpCost& gather() const { return costs_.front(); }
  const OpCost& update() const { return costs_.back(); }

 private:
  std::vector<OpCost> costs_;
};

// lenet-bn at a batch of 256: 784 -> conv 20x24x24 = 11520 -> block 20x12x12 = 2880 -> conv 50x10x10 = 5000
// -> block 50x5x5 = 1250 -> fc 128 -> fc 10.
constexpr std::int64_t kN = 256;

TEST(PlanCost, ListsThePartsInTheOrderOfTheStep) {
  EXPECT_THAT(CostsOf("conv4x3,bn,relu,fc10").names(),
              ElementsAre("f gather", "f 0 conv4x3", "f 1-2 bn+relu", "f 4 fc10", "f loss", "b 4 fc10",
                          "b 1-2 bn+relu", "b 0 conv4x3", "u update"));
}

TEST(PlanCost, GatherReadsBytesAndWritesFloats) {
  EXPECT_EQ(CostsOf("lenet-bn").gather().flops, kN * 784);
  EXPECT_EQ(CostsOf("lenet-bn").gather().bytes, kN * 784 * 5);
}

TEST(PlanCost, Convolutions) {
  const CostsOf lenet("lenet-bn");
  EXPECT_EQ(lenet.forward(0).name, "0 conv20x5");
  EXPECT_EQ(lenet.forward(0).flops, 2 * kN * 20 * 24 * 24 * 25);
  EXPECT_EQ(lenet.forward(0).bytes, 4 * (kN * 784 + 500 + kN * 11520));
  EXPECT_EQ(lenet.backward(0).name, "0 conv20x5");
  EXPECT_EQ(lenet.backward(0).flops, 147'456'000);  // no gradient of the image: once
  EXPECT_EQ(lenet.backward(0).bytes, 4 * (kN * 784 + kN * 11520 + 500));

  EXPECT_EQ(lenet.forward(2).flops, 2 * kN * 50 * 10 * 10 * 20 * 9);
  EXPECT_EQ(lenet.forward(2).bytes, 4 * (kN * 2880 + 9000 + kN * 5000));
  EXPECT_EQ(lenet.backward(2).name, "4 conv50x3");
  EXPECT_EQ(lenet.backward(2).flops, 921'600'000);
  EXPECT_EQ(lenet.backward(2).bytes, 4 * (kN * 2880 + kN * 5000 + 9000 + 9000 + kN * 2880));
}

TEST(PlanCost, ConvolutionsWithStrideAndPadding) {
  const CostsOf costs("conv8x3s2p1,fc10");  // 8x14x14
  EXPECT_EQ(costs.forward(0).flops, 2 * kN * 8 * 14 * 14 * 9);
  EXPECT_EQ(costs.forward(0).bytes, 4 * (kN * 784 + 72 + kN * 1568));
}

TEST(PlanCost, Blocks) {
  const CostsOf lenet("lenet-bn");
  EXPECT_EQ(lenet.forward(1).name, "1-3 bn+relu+maxpool2");
  EXPECT_EQ(lenet.forward(1).flops, kN * (4 * 11520 + 3 * 2880));
  EXPECT_EQ(lenet.forward(1).bytes, 4 * kN * (11520 + 2880));
  EXPECT_EQ(lenet.backward(1).name, "1-3 bn+relu+maxpool2");
  EXPECT_EQ(lenet.backward(1).flops, kN * (5 * 2880 + 6 * 11520));
  EXPECT_EQ(lenet.backward(1).bytes, 4 * kN * (11520 + 2880 + 11520));
}

TEST(PlanCost, BlocksWithoutNormOnlyCompare) {
  const CostsOf lenet("lenet-bn", {}, kN, Norm::none);
  EXPECT_EQ(lenet.forward(1).name, "1-2 relu+maxpool2");
  EXPECT_EQ(lenet.forward(1).flops, 0);
  EXPECT_EQ(lenet.forward(1).bytes, 4 * kN * (11520 + 2880));
  EXPECT_EQ(lenet.backward(1).flops, 0);
  EXPECT_EQ(lenet.backward(1).bytes, 4 * kN * (11520 + 2880 + 11520));
}

TEST(PlanCost, BlocksOnTheImageHaveNoInputGradient) {
  const CostsOf norm("bn,relu,fc10");
  EXPECT_EQ(norm.backward(0).flops, kN * 5 * 784);
  EXPECT_EQ(norm.backward(0).bytes, 4 * kN * (784 + 784));
  const CostsOf pool("relu,maxpool2,fc10");
  EXPECT_EQ(pool.backward(0).flops, 0);
  EXPECT_EQ(pool.backward(0).bytes, 0);
}

TEST(PlanCost, SigmoidsAndAverages) {
  // 784 -> conv 6x24x24 = 3456 -> block 6x12x12 = 864
  const CostsOf d2l("d2l-lenet");
  EXPECT_EQ(d2l.forward(1).name, "1-3 bn+sigmoid+avgpool2");
  EXPECT_EQ(d2l.forward(1).flops, kN * (4 + 3 + 3 + 1) * 3456);
  EXPECT_EQ(d2l.forward(1).bytes, 4 * kN * (3456 + 864));
  EXPECT_EQ(d2l.backward(1).flops, kN * ((5 + 3 + 6) * 3456 + 864));
  EXPECT_EQ(d2l.backward(1).bytes, 4 * kN * (3456 + 864 + 3456));
  const CostsOf maximum("conv6x5,sigmoid,maxpool2,fc10");
  EXPECT_EQ(maximum.forward(1).flops, kN * 3 * 864);
  EXPECT_EQ(maximum.backward(1).flops, kN * 3 * 864);

  const CostsOf rebuilt("d2l-lenet", kRebuilt);
  EXPECT_EQ(rebuilt.forward(0).bytes, d2l.forward(0).bytes);  // nothing pooled is left behind
  EXPECT_EQ(rebuilt.forward(1).bytes, 4 * kN * (3456 + 864));
  EXPECT_EQ(rebuilt.backward(1).bytes, 4 * kN * (3456 + 864));
  const CostsOf no_norm("conv6x5,sigmoid,avgpool2,fc10", kRebuilt), plain("conv6x5,sigmoid,avgpool2,fc10");
  EXPECT_EQ(no_norm.backward(1).flops, 0);
  EXPECT_EQ(no_norm.backward(1).bytes, 0);
  EXPECT_EQ(no_norm.backward(0).flops, 2 * kN * 3456 * 25 + kN * (3 * 3456 + 864));
  // The arithmetic is the same, wherever it is done.
  for (const auto& [one, other] : {std::pair{&rebuilt, &d2l}, {&no_norm, &plain}}) {
    EXPECT_EQ(one->forward(0).flops + one->forward(1).flops,
              other->forward(0).flops + other->forward(1).flops);
    EXPECT_EQ(one->backward(0).flops + one->backward(1).flops,
              other->backward(0).flops + other->backward(1).flops);
  }
}

TEST(PlanCost, MatrixProducts) {
  const CostsOf lenet("lenet-bn");
  EXPECT_EQ(lenet.forward(4).name, "9-10 fc128+relu");
  EXPECT_EQ(lenet.forward(4).flops, 2 * kN * 1250 * 128);
  EXPECT_EQ(lenet.forward(4).bytes, 4 * (kN * 1250 + 160'000 + kN * 128));
  EXPECT_EQ(lenet.backward(4).flops, 2 * 2 * kN * 1250 * 128);
  EXPECT_EQ(lenet.backward(4).bytes, 4 * (2 * kN * 1250 + 2 * 160'000 + 2 * kN * 128));
  EXPECT_EQ(lenet.backward(5).name, "11 fc10");
  EXPECT_EQ(lenet.backward(5).bytes, 4 * (2 * kN * 128 + 2 * 1280 + kN * 10));  // no ReLU, no mask
  EXPECT_EQ(CostsOf("fc10").backward(0).flops, 2 * kN * 784 * 10);
}

TEST(PlanCost, LossAndUpdate) {
  const CostsOf lenet("lenet-bn");
  EXPECT_EQ(lenet.forward(6).name, "loss");
  EXPECT_EQ(lenet.forward(6).flops, kN * 6 * 10);
  EXPECT_EQ(lenet.forward(6).bytes, 4 * kN * 20);
  const std::int64_t parameters = 520 + 40 + 9050 + 100 + 160'128 + 1290;
  EXPECT_EQ(lenet.update().flops, 2 * parameters);
  EXPECT_EQ(lenet.update().bytes, 12 * parameters);
}

TEST(PlanCost, RebuiltGradientsMoveWorkIntoTheConvolution) {
  const CostsOf lenet("lenet-bn", kRebuilt), plain("lenet-bn");
  EXPECT_EQ(lenet.forward(0).flops, 147'456'000 + kN * 4 * 11520);
  EXPECT_EQ(lenet.forward(0).bytes, 4 * (kN * 784 + 500 + kN * 11520 + kN * 2880));
  EXPECT_EQ(lenet.forward(1).flops, kN * 3 * 2880);
  EXPECT_EQ(lenet.forward(1).bytes, 4 * kN * (2880 + 2880));
  EXPECT_EQ(lenet.backward(1).flops, kN * 5 * 2880);
  EXPECT_EQ(lenet.backward(1).bytes, 4 * kN * (2880 + 2880));
  EXPECT_EQ(lenet.backward(0).flops, 147'456'000 + kN * 6 * 11520);
  EXPECT_EQ(lenet.backward(0).bytes, 4 * (kN * 784 + kN * 11520 + kN * 2880 + 500));
  // The arithmetic is the same, wherever it is done.
  for (const std::size_t conv : {0u, 2u}) {
    EXPECT_EQ(lenet.forward(conv).flops + lenet.forward(conv + 1).flops,
              plain.forward(conv).flops + plain.forward(conv + 1).flops);
    EXPECT_EQ(lenet.backward(conv).flops + lenet.backward(conv + 1).flops,
              plain.backward(conv).flops + plain.backward(conv + 1).flops);
  }
}

TEST(PlanCost, RebuiltGradientsOfABlockThatOnlyComparesAndOfNone) {
  const CostsOf relu("conv4x3,relu,fc10", kRebuilt);  // 4x26x26 = 2704
  EXPECT_EQ(relu.forward(0).bytes, 4 * (kN * 784 + 36 + kN * 2704));
  EXPECT_EQ(relu.forward(1).bytes, 4 * kN * (2704 + 2704));
  EXPECT_EQ(relu.backward(1).bytes, 0);
  EXPECT_EQ(relu.backward(1).flops, 0);
  EXPECT_EQ(relu.backward(0).flops, 2 * kN * 36 * 26 * 26);
  EXPECT_EQ(relu.backward(0).bytes, 4 * (kN * 784 + kN * 2704 + kN * 2704 + 36));
  // A flatten in between: other channels, so the gradient is in a buffer.
  const CostsOf flat("conv4x3,flatten,bn,fc10", kRebuilt);
  EXPECT_EQ(flat.forward(1).flops, kN * 7 * 2704);
  EXPECT_EQ(flat.backward(0).flops, 2 * kN * 36 * 26 * 26);
}

TEST(PlanCost, ResidualBlocks) {
  const CostsOf costs("conv8x3p1,res(conv8x3p1,bn),relu,fc10");  // 8x28x28 = 6272
  EXPECT_EQ(costs.forward(3).name, "1-2 add+relu");
  EXPECT_EQ(costs.forward(3).flops, kN * 6272);
  EXPECT_EQ(costs.forward(3).bytes, 4 * kN * 3 * 6272);
  EXPECT_EQ(costs.backward(3).flops, 0);
  EXPECT_EQ(costs.backward(3).bytes, 4 * kN * (3 + 2) * 6272);  // the mask, and a copy for the identity
  const std::int64_t products = 2 * kN * 8 * 8 * 9 * 28 * 28;
  EXPECT_EQ(costs.backward(1).flops, 2 * products + kN * 6272);  // added to the gradient of the identity
  EXPECT_EQ(costs.backward(1).bytes, 4 * (kN * 6272 * 4 + 2 * 576));
}

TEST(PlanCost, OptimizersMoveWhatTheyKeep) {
  const std::int64_t parameters = 784 * 10 + 10;
  const OpCost momentum = CostsOf("fc10", {}, 256, Norm::batch, UpdateRule::sgd_momentum).update();
  EXPECT_EQ(momentum.flops, 4 * parameters);
  EXPECT_EQ(momentum.bytes, 20 * parameters);
  EXPECT_EQ(CostsOf("fc10", {}, 256, Norm::batch, UpdateRule::adamw).update().bytes, 28 * parameters);
}

TEST(PlanCost, FollowsTheNumberOfImages) {
  const CostsOf one("lenet-bn", {}, 1);
  EXPECT_EQ(one.forward(0).flops, 2 * 20 * 24 * 24 * 25);
  EXPECT_EQ(one.forward(0).bytes, 4 * (784 + 500 + 11520));
  EXPECT_EQ(one.update().flops, CostsOf("lenet-bn").update().flops);
}

TEST(PlanCost, NeedsATrainingPlanAndAnImage) {
  const Network network = Network::parse("lenet-bn", {1, 28, 28, false}, 10);
  EXPECT_THROW(plan_costs(make_plan({network, {}, 256, Purpose::inference}, {}), 256), std::logic_error);
  EXPECT_THROW(plan_costs(make_plan({network, {}, 256}, {}), 0), std::logic_error);
}

}  // namespace
}  // namespace bntrain
