// The contract of the batch norm kernels: empty tensors, optional arguments, preconditions.
#include <gtest/gtest.h>

#include <stdexcept>

#include "kernels/batch_norm/run.hpp"
#include "support/guarded.hpp"

namespace bntrain::test {
namespace {

using kernels::Layout;
using kernels::NormShape;
using kernels::NormVariant;
using support::Guarded;

class NormKernelContract : public testing::TestWithParam<LayoutAndVariant> {
 protected:
  Layout layout() const { return std::get<Layout>(GetParam()); }
  NormVariant variant() const { return std::get<NormVariant>(GetParam()); }
  Way way() const { return {.layout = layout(), .variant = variant()}; }
};
INSTANTIATE_TEST_SUITE_P(, NormKernelContract, testing::Combine(kLayouts, kVariants), variant_name);

TEST_P(NormKernelContract, EmptyTensorsChangeNothing) {
  const Floats some{1, 2, 3};
  const float* in = some.data();
  const kernels::ChannelMoments* moments = nullptr;
  for (NormShape shape : {NormShape{0, 3, 4}, {4, 0, 4}, {4, 3, 0}}) {
    shape.layout = layout();
    Guarded y(3), mean(6), var(3), inv_std(3), running_mean(3), running_var(3), dx(3), dgamma(3), dbeta(3);
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

TEST_P(NormKernelContract, BrokenPreconditions) {
  const NormShape good{2, 1, 1, layout()};
  Floats in{1, 2}, out(2), m(2), v(1), s(1), rm(1), rv(1);
  Floats room(16);
  float* const memory = room.data();
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
  EXPECT_THROW(forward(good, in.data(), rm.data(), memory + 1), std::invalid_argument);
  const float* i = in.data();
  EXPECT_THROW(
      batch_norm_backward(good, i, nullptr, i, i, i, out.data(), m.data(), v.data(), memory, {}, variant()),
      std::invalid_argument);
  EXPECT_THROW(batch_norm_backward_input(good, 1, i, i, i, i, i, i, i, out.data(), {}), std::invalid_argument)
      << "two values are at hand";
  EXPECT_THROW(batch_norm_inference(good, 0, i, i, i, nullptr, i, out.data(), {}), std::invalid_argument);
}

TEST_P(NormKernelContract, RunningStatisticsAreOptional) {
  const NormCase c = make_case({5, 3, 1});
  Floats y(c.x.size()), mean(6), var(3), inv_std(3);
  Floats workspace(32);
  const NormShape shape = kernel_shape(c, layout());
  ASSERT_LE(kernels::batch_norm_workspace(shape), 128);
  batch_norm_forward(shape, kernel_options(c), c.x.data(), c.gamma.data(), c.beta.data(), y.data(),
                     mean.data(), var.data(), inv_std.data(), nullptr, nullptr, workspace.data(), {},
                     variant());
  EXPECT_TRUE(same_bits(y, kernel_forward(c, way()).y));
}

}  // namespace
}  // namespace bntrain::test
