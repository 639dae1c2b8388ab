// The batch norm kernels by hand: small examples, the edges of the contract, memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <stdexcept>

#include "kernels/batch_norm/run.hpp"
#include "support/guarded.hpp"

namespace bntrain::test {
namespace {

using kernels::Layout;
using kernels::NormShape;
using kernels::NormVariant;
using support::Guarded;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

class NormKernelExamples : public testing::TestWithParam<LayoutAndVariant> {
 protected:
  Layout layout() const { return std::get<Layout>(GetParam()); }
  NormVariant variant() const { return std::get<NormVariant>(GetParam()); }
  Way way() const { return {.layout = layout(), .variant = variant()}; }
};
INSTANTIATE_TEST_SUITE_P(, NormKernelExamples, testing::Combine(kLayouts, kOnChip), variant_name);

/// 0, 1, 2, ... with gamma 1 and beta 0.
NormCase counting(const BatchNormShape& shape) {
  NormCase c = make_case(shape);
  std::iota(c.x.begin(), c.x.end(), 0.0f);
  c.gamma.assign(c.channels(), 1);
  c.beta.assign(c.channels(), 0);
  return c;
}

TEST_P(NormKernelExamples, RowsOfThreeFeatureVectors) {
  const KernelForward r = kernel_forward(counting({3, 2}), way());
  EXPECT_THAT(r.y, Pointwise(FloatNear(1e-4f), Floats{-1.2247f, -1.2247f, 0, 0, 1.2247f, 1.2247f}));
  EXPECT_THAT(r.mean, ElementsAre(2, 3));
  EXPECT_THAT(r.var, Each(FloatNear(8.0f / 3, 1e-6f)));
}

TEST_P(NormKernelExamples, OneImageOfTwoChannels) {
  Floats expected(18);
  for (std::size_t i = 0; i < 18; ++i) expected[i] = (static_cast<float>(i % 9) - 4) / 2.5820f;
  const KernelForward r = kernel_forward(counting({1, 2, 9}), way());
  EXPECT_THAT(r.y, Pointwise(FloatNear(1e-4f), expected));
  EXPECT_THAT(r.mean, ElementsAre(4, 13));
}

TEST_P(NormKernelExamples, GradientsOfTwoValues) {
  // xhat = -1, 1 up to eps: dbeta = 3 + 5, dgamma = 5 - 3; nothing is left for dx.
  NormCase c = one_channel({1, 3});
  c.dy = {3, 5};
  const BackwardResult g = kernel_backward(c, kernel_forward(c, way()), way());
  EXPECT_THAT(g.dbeta, ElementsAre(8));
  EXPECT_THAT(g.dgamma, ElementsAre(FloatNear(2, 2e-5f)));
  EXPECT_THAT(g.dx, Each(FloatNear(0, 2e-5f)));
}

TEST_P(NormKernelExamples, InferenceByHand) {
  NormCase c = one_channel({1, 5});
  c.running_mean = {3};
  c.running_var = {3};
  c.options.eps = 1;
  c.dy = {2, 4};
  EXPECT_THAT(kernel_inference(c, way()), ElementsAre(-1.25f, 1.75f));  // 1.5 * (-1, 1) + 0.25
  const BackwardResult g = kernel_inference_backward(c, way());
  EXPECT_THAT(g.dx, ElementsAre(1.5f, 3.0f));
  EXPECT_THAT(g.dgamma, ElementsAre(2));
  EXPECT_THAT(g.dbeta, ElementsAre(6));
}

TEST_P(NormKernelExamples, OneValuePerChannelGivesBeta) {
  for (const bool unbiased : {false, true}) {
    NormCase c = make_case({1, 5, 1}, 100);
    c.options.unbiased = unbiased;
    const KernelForward r = kernel_forward(c, way());
    EXPECT_TRUE(same_bits(r.y, c.beta));
    EXPECT_TRUE(same_bits(r.mean, c.x));
    EXPECT_THAT(r.var, Each(0));
    for (std::size_t i = 0; i < 5; ++i) EXPECT_FLOAT_EQ(r.running_var[i], 0.9f * c.running_var[i]);
    const BackwardResult g = kernel_backward(c, r, way());
    EXPECT_THAT(g.dx, Each(0));
    EXPECT_THAT(g.dgamma, Each(0));
    EXPECT_TRUE(same_bits(g.dbeta, c.dy));
  }
}

TEST_P(NormKernelExamples, EmptyTensorsChangeNothing) {
  const Floats some{1, 2, 3};
  const float* in = some.data();
  const kernels::ChannelMoments* moments = nullptr;
  for (NormShape shape : {NormShape{0, 3, 4}, {4, 0, 4}, {4, 3, 0}}) {
    shape.layout = layout();
    Guarded y(3), mean(3), var(3), inv_std(3), running_mean(3), running_var(3), dx(3), dgamma(3), dbeta(3);
    simt_host::Executor executor;
    const kernels::Stream stream = executor.stream();
    EXPECT_EQ(kernels::batch_norm_workspace(shape), 0);
    batch_norm_forward(shape, {}, in, in, in, y.data(), mean.data(), var.data(), inv_std.data(),
                       running_mean.data(), running_var.data(), nullptr, stream, variant());
    batch_norm_inference(shape, 1e-5, in, in, in, in, in, y.data(), stream);
    batch_norm_backward(shape, in, in, in, in, in, dx.data(), dgamma.data(), dbeta.data(), nullptr, stream,
                        variant());
    batch_norm_inference_backward(shape, 1e-5, in, in, in, in, in, dx.data(), dgamma.data(), dbeta.data(),
                                  nullptr, stream);
    batch_norm_statistics(shape, in, nullptr, nullptr, stream);
    batch_norm_finalize(0, 3, moments, {}, mean.data(), var.data(), inv_std.data(), nullptr, nullptr, stream);
    batch_norm_apply(shape, in, in, in, in, in, y.data(), stream);
    for (const Guarded* output :
         {&y, &mean, &var, &inv_std, &running_mean, &running_var, &dx, &dgamma, &dbeta})
      EXPECT_TRUE(output->untouched());
    EXPECT_TRUE(executor.launches().empty());
  }
}

TEST_P(NormKernelExamples, BrokenPreconditions) {
  const NormShape good{2, 1, 1, layout()};
  Floats in{1, 2}, out(2), m(1), v(1), s(1), rm(1), rv(1);
  alignas(16) std::byte memory[64];
  const auto forward = [&](const NormShape& shape, const float* x, float* running, void* workspace) {
    batch_norm_forward(shape, {}, x, in.data(), in.data(), out.data(), m.data(), v.data(), s.data(), running,
                       rv.data(), workspace, {}, variant());
  };
  EXPECT_NO_THROW(forward(good, in.data(), rm.data(), memory));
  for (const NormShape& bad : {NormShape{-1, 1, 1}, {2, -1, 1}, {2, 1, -1}, {0, -1, 1}}) {
    EXPECT_THROW(forward(bad, in.data(), rm.data(), memory), std::invalid_argument);
    EXPECT_THROW(kernels::batch_norm_workspace(bad), std::invalid_argument);
  }
  EXPECT_THROW(forward(good, nullptr, rm.data(), memory), std::invalid_argument);
  EXPECT_THROW(forward(good, in.data(), nullptr, memory), std::invalid_argument);
  EXPECT_THROW(forward(good, in.data(), rm.data(), nullptr), std::invalid_argument);
  EXPECT_THROW(forward(good, in.data(), rm.data(), memory + 4), std::invalid_argument);
  const float* i = in.data();
  EXPECT_THROW(
      batch_norm_backward(good, i, nullptr, i, i, i, out.data(), m.data(), v.data(), memory, {}, variant()),
      std::invalid_argument);
  EXPECT_THROW(batch_norm_backward_input(good, 1, i, i, i, i, i, i, i, out.data(), {}), std::invalid_argument)
      << "two values are at hand";
  EXPECT_THROW(batch_norm_inference(good, 0, i, i, i, nullptr, i, out.data(), {}), std::invalid_argument);
}

TEST_P(NormKernelExamples, RunningStatisticsAreOptional) {
  const NormCase c = make_case({5, 3, 1});
  Floats y(c.x.size()), mean(3), var(3), inv_std(3);
  alignas(16) std::byte memory[128];
  const NormShape shape = kernel_shape(c, layout());
  ASSERT_LE(kernels::batch_norm_workspace(shape), 128);
  batch_norm_forward(shape, kernel_options(c), c.x.data(), c.gamma.data(), c.beta.data(), y.data(),
                     mean.data(), var.data(), inv_std.data(), nullptr, nullptr, memory, {}, variant());
  EXPECT_TRUE(same_bits(y, kernel_forward(c, way()).y));
}

/// Packs of all three kinds, rows that do and do not fill them.
const BatchNormShape kMemoryShapes[] = {{17, 3, 5}, {33, 4, 1}, {33, 3, 1}, {6, 4, 48}, {5, 1, 40}};

TEST_P(NormKernelExamples, AlignmentChangesNoBit) {
  for (const BatchNormShape& shape : kMemoryShapes) {
    const NormCase c = make_case(shape);
    Way shifted = way();
    shifted.memory.offset = 1;
    const KernelForward r = kernel_forward(c, way());
    EXPECT_TRUE(same_bits(r, kernel_forward(c, shifted)));
    EXPECT_TRUE(same_bits(kernel_backward(c, r, way()), kernel_backward(c, r, shifted)));
    EXPECT_TRUE(same_bits(kernel_inference(c, way()), kernel_inference(c, shifted)));
    EXPECT_TRUE(same_bits(kernel_inference_backward(c, way()), kernel_inference_backward(c, shifted)));
  }
}

TEST_P(NormKernelExamples, ResultsMayReplaceTheirInputs) {
  for (const BatchNormShape& shape : kMemoryShapes) {
    const NormCase c = make_case(shape);
    Way in_place = way();
    in_place.memory.in_place = true;
    const KernelForward r = kernel_forward(c, way());
    EXPECT_TRUE(same_bits(r, kernel_forward(c, in_place)));
    EXPECT_TRUE(same_bits(kernel_backward(c, r, way()), kernel_backward(c, r, in_place)));
    EXPECT_TRUE(same_bits(kernel_inference(c, way()), kernel_inference(c, in_place)));
    EXPECT_TRUE(same_bits(kernel_inference_backward(c, way()), kernel_inference_backward(c, in_place)));
  }
}

}  // namespace
}  // namespace bntrain::test
