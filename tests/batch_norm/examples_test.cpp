// Batch norm by hand: small examples, memory, repetition.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "batch_norm/implementation.hpp"

namespace bntrain::test {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

/// Vectors of all three kinds, rows that do and do not fill them.
const Shapes kMemoryShapes{{17, 3, 5}, {33, 2, 1}, {2, 4, 49}, {33, 4, 1},
                           {33, 3, 1}, {6, 4, 48}, {5, 1, 40}};
const Shapes kExampleShapes{{3, 2}, {1, 2, 9}, {2, 1}, {1, 5, 1}, {5, 1, 40}, {37, 3, 25}};

class BatchNormExamples : public BatchNormTest {};
INSTANTIATE_TEST_SUITE_P(, BatchNormExamples, testing::ValuesIn(serving(kExampleShapes)),
                         implementation_name);

/// 0, 1, 2, ... with gamma 1 and beta 0.
NormCase counting(const BatchNormShape& shape) {
  NormCase c = make_case(shape);
  std::iota(c.x.begin(), c.x.end(), 0.0f);
  c.gamma.assign(c.channels(), 1);
  c.beta.assign(c.channels(), 0);
  return c;
}

TEST_P(BatchNormExamples, RowsOfThreeFeatureVectors) {
  const ForwardResult r = forward_train(counting({3, 2}));  // spatial is 1 unless said
  EXPECT_THAT(r.y, Pointwise(FloatNear(1e-4f), Floats{-1.2247f, -1.2247f, 0, 0, 1.2247f, 1.2247f}));
  EXPECT_THAT(r.mean, ElementsAre(2, 3));
  EXPECT_THAT(r.var, Each(FloatNear(8.0f / 3, 1e-6f)));
}

TEST_P(BatchNormExamples, OneImageOfTwoChannels) {
  Floats expected(18);
  for (std::size_t i = 0; i < 18; ++i) expected[i] = (static_cast<float>(i % 9) - 4) / 2.5820f;
  const ForwardResult r = forward_train(counting({1, 2, 9}));
  EXPECT_THAT(r.y, Pointwise(FloatNear(1e-4f), expected));
  EXPECT_THAT(r.mean, ElementsAre(4, 13));
}

TEST_P(BatchNormExamples, GradientsOfTwoValues) {
  // xhat = -1, 1 up to eps: dbeta = 3 + 5, dgamma = 5 - 3; nothing is left for dx.
  NormCase c = one_channel({1, 3});
  c.dy = {3, 5};
  const BackwardResult g = backward(c, forward_train(c));
  EXPECT_THAT(g.dbeta, ElementsAre(8));
  EXPECT_THAT(g.dgamma, ElementsAre(FloatNear(2, 2e-5f)));
  EXPECT_THAT(g.dx, Each(FloatNear(0, 2e-5f)));
}

TEST_P(BatchNormExamples, InferenceByHand) {
  NormCase c = one_channel({1, 5});
  c.running_mean = {3};
  c.running_var = {3};
  c.options.eps = 1;
  c.dy = {2, 4};
  EXPECT_THAT(inference(c), ElementsAre(-1.25f, 1.75f));  // 1.5 * (-1, 1) + 0.25
  const BackwardResult g = inference_backward(c);
  EXPECT_THAT(g.dx, ElementsAre(1.5f, 3.0f));
  EXPECT_THAT(g.dgamma, ElementsAre(2));
  EXPECT_THAT(g.dbeta, ElementsAre(6));
}

TEST_P(BatchNormExamples, OneValuePerChannelGivesBeta) {
  for (const bool unbiased : {false, true}) {
    NormCase c = make_case({1, 5, 1}, 100);
    c.options.unbiased = unbiased;
    const ForwardResult r = forward_train(c);
    EXPECT_TRUE(same_bits(r.y, c.beta));
    EXPECT_TRUE(same_bits(r.mean, c.x));
    EXPECT_THAT(r.var, Each(0));
    for (std::size_t i = 0; i < 5; ++i) EXPECT_FLOAT_EQ(r.running_var[i], 0.9f * c.running_var[i]);
    const BackwardResult g = backward(c, r);
    EXPECT_THAT(g.dx, Each(0));
    EXPECT_THAT(g.dgamma, Each(0));
    EXPECT_TRUE(same_bits(g.dbeta, c.dy));
  }
}

TEST_P(BatchNormExamples, AlignmentChangesNoBit) {
  for (const BatchNormShape& shape : kMemoryShapes) {
    const NormCase c = make_case(shape);
    const Memory shifted{.offset = 1};
    const ForwardResult r = forward_train(c);
    EXPECT_TRUE(same_bits(r, forward_train(c, shifted)));
    EXPECT_TRUE(same_bits(backward(c, r), backward(c, r, shifted)));
    EXPECT_TRUE(same_bits(inference(c), inference(c, shifted)));
    EXPECT_TRUE(same_bits(inference_backward(c), inference_backward(c, shifted)));
    check_training(c, shifted);
    check_inference(c, shifted);
  }
}

TEST_P(BatchNormExamples, ResultsMayReplaceTheirInputs) {
  for (const BatchNormShape& shape : kMemoryShapes) {
    const NormCase c = make_case(shape);
    const Memory in_place{.in_place = true};
    const ForwardResult r = forward_train(c);
    EXPECT_TRUE(same_bits(r, forward_train(c, in_place)));
    EXPECT_TRUE(same_bits(backward(c, r), backward(c, r, in_place)));
    EXPECT_TRUE(same_bits(inference(c), inference(c, in_place)));
    EXPECT_TRUE(same_bits(inference_backward(c), inference_backward(c, in_place)));
  }
}

TEST_P(BatchNormExamples, HundredRunsGiveTheSameBits) {
  const NormCase c = make_case({37, 3, 25});
  const ForwardResult first = forward_train(c);
  const BackwardResult first_gradients = backward(c, first);
  for (int run = 0; run < 100 && !HasFailure(); ++run) {
    const ForwardResult r = forward_train(c);
    EXPECT_TRUE(same_bits(r, first));
    EXPECT_TRUE(same_bits(backward(c, r), first_gradients));
  }
}

}  // namespace
}  // namespace bntrain::test
