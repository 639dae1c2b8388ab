// Batch norm by hand: small examples, the edges of the contract, memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <stdexcept>

#include "backend/cpu/batch_norm_case.hpp"
#include "support/guarded.hpp"

namespace bntrain::test {
namespace {

using support::Guarded;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

class BatchNormExamples : public PerIsa {};
INSTANTIATE_TEST_SUITE_P(, BatchNormExamples, testing::ValuesIn(available_cpu_isas()), isa_name);

/// 0, 1, 2, ... with gamma 1 and beta 0.
NormCase counting(const BatchNormShape& shape) {
  NormCase c = make_case(shape);
  std::iota(c.x.begin(), c.x.end(), 0.0f);
  c.gamma.assign(c.channels(), 1);
  c.beta.assign(c.channels(), 0);
  return c;
}

TEST_P(BatchNormExamples, RowsOfThreeFeatureVectors) {
  const ForwardResult r = forward_train(counting({3, 2}), isa());  // spatial is 1 unless said
  EXPECT_THAT(r.y, Pointwise(FloatNear(1e-4f), Floats{-1.2247f, -1.2247f, 0, 0, 1.2247f, 1.2247f}));
  EXPECT_THAT(r.mean, ElementsAre(2, 3));
  EXPECT_THAT(r.var, Each(FloatNear(8.0f / 3, 1e-6f)));
}

TEST_P(BatchNormExamples, OneImageOfTwoChannels) {
  Floats expected(18);
  for (std::size_t i = 0; i < 18; ++i) expected[i] = (static_cast<float>(i % 9) - 4) / 2.5820f;
  const ForwardResult r = forward_train(counting({1, 2, 9}), isa());
  EXPECT_THAT(r.y, Pointwise(FloatNear(1e-4f), expected));
  EXPECT_THAT(r.mean, ElementsAre(4, 13));
}

TEST_P(BatchNormExamples, GradientsOfTwoValues) {
  // xhat = -1, 1 up to eps: dbeta = 3 + 5, dgamma = 5 - 3; nothing is left for dx.
  NormCase c = one_channel({1, 3});
  c.dy = {3, 5};
  const BackwardResult g = backward(c, forward_train(c, isa()), isa());
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
  EXPECT_THAT(inference(c, isa()), ElementsAre(-1.25f, 1.75f));  // 1.5 * (-1, 1) + 0.25
  const BackwardResult g = inference_backward(c, isa());
  EXPECT_THAT(g.dx, ElementsAre(1.5f, 3.0f));
  EXPECT_THAT(g.dgamma, ElementsAre(2));
  EXPECT_THAT(g.dbeta, ElementsAre(6));
}

TEST_P(BatchNormExamples, OneValuePerChannelGivesBeta) {
  for (const bool unbiased : {false, true}) {
    NormCase c = make_case({1, 5, 1}, 100);
    c.options.unbiased = unbiased;
    const ForwardResult r = forward_train(c, isa());
    EXPECT_TRUE(same_bits(r.y, c.beta));
    EXPECT_TRUE(same_bits(r.mean, c.x));
    EXPECT_THAT(r.var, Each(0));
    for (std::size_t i = 0; i < 5; ++i) EXPECT_FLOAT_EQ(r.running_var[i], 0.9f * c.running_var[i]);
    const BackwardResult g = backward(c, r, isa());
    EXPECT_THAT(g.dx, Each(0));
    EXPECT_THAT(g.dgamma, Each(0));
    EXPECT_TRUE(same_bits(g.dbeta, c.dy));
  }
}

TEST_P(BatchNormExamples, EmptyTensorsChangeNothing) {
  const Floats some{1, 2, 3};
  for (const BatchNormShape& shape : {BatchNormShape{0, 3, 4}, {4, 0, 4}, {4, 3, 0}}) {
    Guarded y(3), mean(3), var(3), running_mean(3), running_var(3), dx(3), dgamma(3), dbeta(3);
    const float* in = some.data();
    batch_norm_forward_train(in, in, in, shape, {}, y.data(), mean.data(), var.data(), running_mean.data(),
                             running_var.data(), isa());
    batch_norm_inference(in, in, in, in, in, shape, {}, y.data(), isa());
    batch_norm_backward(in, in, in, in, in, shape, {}, dx.data(), dgamma.data(), dbeta.data(), isa());
    batch_norm_inference_backward(in, in, in, in, in, shape, {}, dx.data(), dgamma.data(), dbeta.data(),
                                  isa());
    for (const Guarded* output : {&y, &mean, &var, &running_mean, &running_var, &dx, &dgamma, &dbeta})
      EXPECT_TRUE(output->untouched());
    // There is nothing to point at either.
    batch_norm_forward_train(nullptr, in, in, shape, {}, nullptr, nullptr, nullptr, nullptr, nullptr, isa());
  }
}

TEST_P(BatchNormExamples, RunningStatisticsAreOptional) {
  const NormCase c = make_case({5, 3, 4});
  Floats y(c.x.size()), mean(3), var(3);
  batch_norm_forward_train(c.x.data(), c.gamma.data(), c.beta.data(), c.shape, c.options, y.data(),
                           mean.data(), var.data(), nullptr, nullptr, isa());
  EXPECT_TRUE(same_bits(y, forward_train(c, isa()).y));
}

TEST_P(BatchNormExamples, BrokenPreconditions) {
  const BatchNormShape good{2, 1, 1};
  Floats in{1, 2}, out(2), m(1), v(1), rm(1), rv(1);
  const auto forward = [&](const BatchNormShape& s, const float* x, float* y, float* mean, float* running) {
    batch_norm_forward_train(x, in.data(), in.data(), s, {}, y, mean, v.data(), running, rv.data(), isa());
  };
  EXPECT_NO_THROW(forward(good, in.data(), out.data(), m.data(), rm.data()));
  for (const BatchNormShape& bad : {BatchNormShape{-1, 1, 1}, {2, -1, 1}, {2, 1, -1}, {0, -1, 1}})
    EXPECT_THROW(forward(bad, in.data(), out.data(), m.data(), rm.data()), std::logic_error);
  EXPECT_THROW(forward(good, nullptr, out.data(), m.data(), rm.data()), std::logic_error);
  EXPECT_THROW(forward(good, in.data(), nullptr, m.data(), rm.data()), std::logic_error);
  EXPECT_THROW(forward(good, in.data(), out.data(), nullptr, rm.data()), std::logic_error);
  EXPECT_THROW(forward(good, in.data(), out.data(), m.data(), nullptr), std::logic_error);

  const float* i = in.data();
  EXPECT_THROW(batch_norm_inference(i, i, i, nullptr, i, good, {}, out.data(), isa()), std::logic_error);
  EXPECT_THROW(batch_norm_inference(i, i, i, i, i, {2, -1, 1}, {}, out.data(), isa()), std::logic_error);
  for (const auto pass : {batch_norm_backward, batch_norm_inference_backward}) {
    EXPECT_THROW(pass(i, nullptr, i, i, i, good, {}, out.data(), m.data(), v.data(), isa()),
                 std::logic_error);
    EXPECT_THROW(pass(i, i, i, i, i, good, {}, out.data(), nullptr, v.data(), isa()), std::logic_error);
    EXPECT_THROW(pass(i, i, i, i, i, {-2, 1, 1}, {}, out.data(), m.data(), v.data(), isa()),
                 std::logic_error);
  }
}

TEST_P(BatchNormExamples, PointersNeedNoAlignment) {
  for (const BatchNormShape& shape : {BatchNormShape{17, 3, 5}, {33, 2, 1}, {2, 4, 49}}) {
    const NormCase c = make_case(shape);
    const ForwardResult aligned = forward_train(c, isa());
    const ForwardResult shifted = forward_train(c, isa(), {.offset = 1});
    EXPECT_TRUE(same_bits(aligned.y, shifted.y));
    check_training(c, isa(), {.offset = 1});
    check_inference(c, isa(), {.offset = 1});
  }
}

TEST_P(BatchNormExamples, ResultsMayReplaceTheirInputs) {
  for (const BatchNormShape& shape : {BatchNormShape{17, 3, 5}, {33, 2, 1}, {2, 4, 49}}) {
    const NormCase c = make_case(shape);
    const ForwardResult r = forward_train(c, isa());
    EXPECT_TRUE(same_bits(r.y, forward_train(c, isa(), {.in_place = true}).y));
    EXPECT_TRUE(same_bits(backward(c, r, isa()).dx, backward(c, r, isa(), {.in_place = true}).dx));
    EXPECT_TRUE(same_bits(inference(c, isa()), inference(c, isa(), {.in_place = true})));
    EXPECT_TRUE(
        same_bits(inference_backward(c, isa()).dx, inference_backward(c, isa(), {.in_place = true}).dx));
  }
}

TEST_P(BatchNormExamples, HundredRunsGiveTheSameBits) {
  const NormCase c = make_case({37, 3, 25});
  const ForwardResult first = forward_train(c, isa());
  const BackwardResult first_gradients = backward(c, first, isa());
  for (int run = 0; run < 100 && !HasFailure(); ++run) {
    const ForwardResult r = forward_train(c, isa());
    const BackwardResult g = backward(c, r, isa());
    EXPECT_TRUE(same_bits(r.y, first.y));
    EXPECT_TRUE(same_bits(r.running_var, first.running_var));
    EXPECT_TRUE(same_bits(g.dx, first_gradients.dx));
    EXPECT_TRUE(same_bits(g.dgamma, first_gradients.dgamma));
  }
}

TEST(BatchNormIsa, AutomaticIsTheBest) {
  const NormCase c = make_case({37, 3, 25});
  const CpuIsa best = available_cpu_isas().back();
  EXPECT_TRUE(same_bits(forward_train(c, CpuIsa::automatic).y, forward_train(c, best).y));
}

}  // namespace
}  // namespace bntrain::test
