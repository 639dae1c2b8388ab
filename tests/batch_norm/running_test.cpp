// The running statistics of batch norm over several steps.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "batch_norm/implementation.hpp"
#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

const Shapes kRunningShapes{{2, 3, 1}, {1, 3, 3}, {2, 3, 4}, {5, 3, 1}, {7, 3, 5}, {16, 3, 5}};

class BatchNormRunning : public BatchNormTest {};
INSTANTIATE_TEST_SUITE_P(, BatchNormRunning, testing::ValuesIn(serving(kRunningShapes)), implementation_name);

/// A batch of its own for every step.
NormCase step_case(const BatchNormShape& shape, int step) {
  NormCase c = make_case(shape, 0.5 + 0.1 * step, 1 + 0.2 * step);
  if (step % 2 == 1)
    for (float& x : c.x) x = 1 - x;
  return c;
}

TEST_P(BatchNormRunning, TenSteps) {
  // Few values per channel, so that M2 / n and M2 / (n - 1) are far apart.
  for (const BatchNormShape& shape : {BatchNormShape{2, 3, 1}, {1, 3, 3}, {2, 3, 4}, {5, 3, 1}})
    for (const double momentum : {0.0, 0.1, 0.9, 1.0})
      for (const bool unbiased : {false, true}) {
        SCOPED_TRACE(testing::Message() << "batch " << shape.batch << ", spatial " << shape.spatial
                                        << ", momentum " << momentum << (unbiased ? ", unbiased" : ""));
        Floats mean{0, 1, -1}, var{0, 1, 2};
        Values expected_mean = reference::widen(mean), expected_var = reference::widen(var);
        double mean_error = 0, var_error = 0;
        for (int step = 0; step < 10; ++step) {
          NormCase c = step_case(shape, step);
          c.options.momentum = momentum;
          c.options.unbiased = unbiased;
          c.running_mean = mean;
          c.running_var = var;
          const ForwardResult r = forward_train(c);
          mean = r.running_mean;
          var = r.running_var;
          const Expected e = expect_training(c);
          update_running(expected_mean, expected_var, {e.y, e.mean, e.var}, c.reference_shape(), momentum,
                         unbiased);
          // Old errors fade, the batch's own enter (twice as large for M2 / (n - 1)), and one rounding.
          const double weight = 1 - momentum;
          mean_error = momentum * mean_error + weight * support::largest(e.bounds.mean) +
                       support::kFloatEps * support::largest(expected_mean);
          var_error = momentum * var_error + weight * 2 * support::largest(e.bounds.var) +
                      support::kFloatEps * support::largest(expected_var);
          EXPECT_TRUE(support::close(mean, expected_mean, mean_error)) << "step " << step;
          EXPECT_TRUE(support::close(var, expected_var, var_error)) << "step " << step;
        }
      }
}

TEST_P(BatchNormRunning, MomentumZeroIsTheBatch) {
  NormCase c = make_case({7, 3, 5});
  c.options.momentum = 0;
  const ForwardResult r = forward_train(c);
  EXPECT_TRUE(same_bits(r.running_mean, r.mean));
  EXPECT_TRUE(same_bits(r.running_var, r.var));
}

TEST_P(BatchNormRunning, MomentumOneIsThePast) {
  NormCase c = make_case({7, 3, 5});
  c.options.momentum = 1;
  for (const bool hostile : {false, true}) {
    if (hostile) c.x[0] = 1e30f, c.x[5] = std::numeric_limits<float>::infinity();
    const ForwardResult r = forward_train(c);
    EXPECT_TRUE(same_bits(r.running_mean, c.running_mean));
    EXPECT_TRUE(same_bits(r.running_var, c.running_var));
  }
}

TEST_P(BatchNormRunning, MomentumZeroForgetsInfinity) {
  NormCase c = make_case({7, 3, 5});
  c.options.momentum = 0;
  c.running_var[1] = std::numeric_limits<float>::infinity();
  c.running_mean[1] = std::numeric_limits<float>::quiet_NaN();
  const ForwardResult r = forward_train(c);
  EXPECT_TRUE(same_bits(r.running_mean, r.mean));
  EXPECT_TRUE(same_bits(r.running_var, r.var));
}

TEST_P(BatchNormRunning, UnbiasedChangesTheRunningVarianceAlone) {
  NormCase c = make_case({2, 3, 1});
  c.options.momentum = 0;
  const ForwardResult biased = forward_train(c);
  c.options.unbiased = true;
  const ForwardResult unbiased = forward_train(c);
  EXPECT_TRUE(same_bits(biased.y, unbiased.y));
  EXPECT_TRUE(same_bits(biased.var, unbiased.var));
  EXPECT_TRUE(same_bits(biased.running_mean, unbiased.running_mean));
  for (std::size_t k = 0; k < 3; ++k) EXPECT_FLOAT_EQ(unbiased.running_var[k], 2 * biased.running_var[k]);
}

TEST_P(BatchNormRunning, InferenceAfterTraining) {
  NormCase c = make_case({16, 3, 5});
  c.options.momentum = 0;
  const ForwardResult r = forward_train(c);
  c.running_mean = r.running_mean;
  c.running_var = r.running_var;
  const Expected e = expect_training(c);
  EXPECT_TRUE(support::close(inference(c), e.y, e.bounds.y));
}

}  // namespace
}  // namespace bntrain::test
