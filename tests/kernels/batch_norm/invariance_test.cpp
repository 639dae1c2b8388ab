// What must not change the bits of the batch norm kernels: grids, schedules, runs, how a shape is spelt.
#include <gtest/gtest.h>

#include <set>

#include "kernels/batch_norm/run.hpp"
#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

using kernels::Layout;
using kernels::NormVariant;
using test::same_bits;  // those of single results, beside this file's own

/// All outputs of all passes.
struct Outcome {
  ForwardResult forward;
  BackwardResult backward, inference_backward;
  Floats inference;
};
Outcome run(const NormCase& c, const Way& way) {
  const ForwardResult forward = kernel_forward(c, way);
  return {forward, kernel_backward(c, forward, way), kernel_inference_backward(c, way),
          kernel_inference(c, way)};
}
testing::AssertionResult same_bits(const Outcome& a, const Outcome& b) {
  if (auto same = same_bits(a.forward, b.forward); !same) return same << " (forward)";
  if (auto same = same_bits(a.backward, b.backward); !same) return same << " (backward)";
  if (auto same = same_bits(a.inference_backward, b.inference_backward); !same)
    return same << " (inference backward)";
  return same_bits(a.inference, b.inference) << " (inference)";
}

/// Several groups and chunks with each content of vectors.
const BatchNormShape kInvarianceShapes[] = {{12, 3, 1028}, {37, 20, 49}, {520, 35, 1}};

TEST(NormKernelInvariance, GridAndScheduleChangeNoBitOfAVariant) {
  for (const BatchNormShape& shape : kInvarianceShapes) {
    const NormCase c = make_case(shape);
    std::set<NormVariant> ran;
    for (Way way : every_way(shape)) {
      const Outcome expected = run(c, way);
      std::set<int> caps = {1, 2, 17};
      for (const simt_host::Settings& settings : simt_host::all_schedules()) {
        way.settings.schedule = settings.schedule;
        way.settings.seed = settings.seed;
        // Each schedule with one of the caps; the first of all schedules without.
        way.max_blocks = caps.empty() ? 0 : caps.extract(caps.begin()).value();
        if (!serves(way, shape)) way.max_blocks = 0;
        SCOPED_TRACE(to_string(way));
        EXPECT_TRUE(same_bits(run(c, way), expected));
        ran.insert(way.variant);
      }
      EXPECT_TRUE(caps.empty());
    }
    EXPECT_EQ(ran.size(), 4u) << "some variant serves none of the layouts";
  }
}

TEST(NormKernelInvariance, TheGridIsCapped) {
  const NormCase c = make_case({2, 300, 4});
  for (const int cap : {1, 2, 17}) {
    simt_host::Executor executor;
    Floats y(c.x.size());
    batch_norm_inference(kernel_shape(c, Layout::channels_first), 1e-5, c.x.data(), c.gamma.data(),
                         c.beta.data(), c.running_mean.data(), c.running_var.data(), y.data(),
                         executor.stream(cap));
    EXPECT_EQ(executor.launches().at(0).grid, cap);
  }
}

TEST(NormKernelInvariance, ManyRunsGiveTheSameBits) {
  const NormCase c = make_case({37, 3, 25});
  for (const Way& way : every_way(c.shape)) {
    const Outcome first = run(c, way);
    for (int i = 0; i < 3 && !HasFailure(); ++i) EXPECT_TRUE(same_bits(run(c, way), first)) << to_string(way);
  }
}

TEST(NormKernelInvariance, OnePixelIsNone) {
  // (N, C, 1) and (N, 1, C) are both (N, C).
  for (const BatchNormShape& shape : {BatchNormShape{33, 5, 1}, {300, 36, 1}}) {
    const NormCase c = make_case(shape);
    EXPECT_TRUE(same_bits(run(c, {}), run(c, {.layout = Layout::channels_last})));
  }
}

TEST(NormKernelInvariance, ImagesAreRowsOfPixels) {
  // (N, S, C) and (N * S, C) are the same memory.
  const NormCase c = make_case({21, 5, 9});
  NormCase rows = c;
  rows.shape = {21 * 9, 5};
  rows.x = to_channels_last(c, c.x);
  rows.dy = to_channels_last(c, c.dy);
  const Outcome images = run(c, {.layout = Layout::channels_last}), same = run(rows, {});
  EXPECT_TRUE(same_bits(to_channels_last(c, images.forward.y), same.forward.y));
  EXPECT_TRUE(same_bits(to_channels_last(c, images.backward.dx), same.backward.dx));
  EXPECT_TRUE(same_bits(images.forward.running_var, same.forward.running_var));
}

TEST(NormKernelInvariance, LayoutsAgree) {
  for (const BatchNormShape& shape : {BatchNormShape{21, 5, 9}, {12, 4, 1028}}) {
    const NormCase c = make_case(shape);
    const Expected e = expect_training(c);
    const Outcome first = run(c, {}), last = run(c, {.layout = Layout::channels_last});
    EXPECT_TRUE(support::close(last.forward.y, reference::widen(first.forward.y), e.bounds.y));
    EXPECT_TRUE(support::close(last.forward.var, reference::widen(first.forward.var), e.bounds.var));
    EXPECT_TRUE(support::close(last.backward.dx, reference::widen(first.backward.dx), e.bounds.dx));
    EXPECT_TRUE(same_bits(last.inference, first.inference)) << "no sums";
  }
}

}  // namespace
}  // namespace bntrain::test
