// The contract of the CPU's batch norm functions: empty tensors, optional arguments, preconditions; and
// batches of every length against their vectors.
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "batch_norm/implementation.hpp"
#include "support/guarded.hpp"

namespace bntrain::test {
namespace {

using support::Guarded;

class BatchNormContract : public testing::TestWithParam<CpuIsa> {
 protected:
  CpuIsa isa() const { return GetParam(); }
};
std::string isa_name(const testing::TestParamInfo<CpuIsa>& info) {
  return to_string(info.param);
}
INSTANTIATE_TEST_SUITE_P(, BatchNormContract, testing::ValuesIn(available_cpu_isas()), isa_name);

/// y in training, without running statistics.
Floats output_of(const NormCase& c, CpuIsa isa) {
  Floats y(c.x.size()), mean(2 * c.channels()), var(c.channels());
  batch_norm_forward_train(c.x.data(), c.gamma.data(), c.beta.data(), c.shape, c.options, y.data(),
                           mean.data(), var.data(), nullptr, nullptr, isa);
  return y;
}

TEST_P(BatchNormContract, EmptyTensorsChangeNothing) {
  const Floats some{1, 2, 3};
  for (const BatchNormShape& shape : {BatchNormShape{0, 3, 4}, {4, 0, 4}, {4, 3, 0}}) {
    Guarded y(3), mean(6), var(3), running_mean(3), running_var(3), dx(3), dgamma(3), dbeta(3);
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

TEST_P(BatchNormContract, RunningStatisticsAreOptional) {
  const NormCase c = make_case({5, 3, 4});
  Floats y(c.x.size()), mean(6), var(3), running_mean(3), running_var(3);
  batch_norm_forward_train(c.x.data(), c.gamma.data(), c.beta.data(), c.shape, c.options, y.data(),
                           mean.data(), var.data(), running_mean.data(), running_var.data(), isa());
  EXPECT_TRUE(same_bits(y, output_of(c, isa())));
}

TEST_P(BatchNormContract, BrokenPreconditions) {
  const BatchNormShape good{2, 1, 1};
  Floats in{1, 2}, out(2), m(2), v(1), rm(1), rv(1);
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

TEST(BatchNormIsa, AutomaticIsTheBest) {
  const NormCase c = make_case({37, 3, 25});
  EXPECT_TRUE(same_bits(output_of(c, CpuIsa::automatic), output_of(c, available_cpu_isas().back())));
}

// Every length of a last group of images, at every vector length; and chunks of rows of every remainder.
class BatchNormTails : public BatchNormTest {};
INSTANTIATE_TEST_SUITE_P(, BatchNormTails, testing::ValuesIn(implementations()), implementation_name);

TEST_P(BatchNormTails, EveryBatchUpToTwoGroups) {
  for (std::int64_t batch = 1; batch <= 34 && !HasFailure(); ++batch) {
    SCOPED_TRACE(batch);
    check_training(make_case({batch, 2, 3}));
    check_inference(make_case({batch, 2, 3}));
  }
}

TEST_P(BatchNormTails, EveryPlaneAroundTheChunks) {
  for (const std::int64_t multiple : {0, 64, 128, 256})
    for (std::int64_t spatial = std::max<std::int64_t>(1, multiple - 5); spatial <= multiple + 5; ++spatial) {
      SCOPED_TRACE(spatial);
      check_training(make_case({3, 2, spatial}));
      if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace bntrain::test
