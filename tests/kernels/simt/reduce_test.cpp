#include "kernels/simt/reduce.cuh"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/simt/host/executor.hpp"
#include "kernels/simt/launch.hpp"
#include "support/device_vector.hpp"
#include "support/tolerance.hpp"

namespace bntrain {
namespace {

using namespace simt;
using simt_host::Executor;
using support::DeviceVector;

struct Reduced {
  float sum;
  double wide_sum;
  Pair<float> pair;
  Moments<float> moments;
  Moments<double> wide_moments;
};

/// Every thread reports what it got. Two sums share their scratch.
SIMT_KERNEL(1024) reduce_kernel(const float* in, Reduced* out) {
  SIMT_SHARED(float, floats, kMaxWarps);
  SIMT_SHARED(double, doubles, kMaxWarps);
  SIMT_SHARED(Pair<float>, pairs, kMaxWarps);
  SIMT_SHARED(Moments<float>, moments, kMaxWarps);
  SIMT_SHARED(Moments<double>, wide, kMaxWarps);
  const float x = in[thread_index()];
  Reduced result;
  result.sum = block_sum(x, floats);
  const float doubled = block_sum(2 * x, floats);
  result.wide_sum = block_sum(static_cast<double>(x), doubles);
  result.pair = block_sum(Pair<float>{x, doubled}, pairs);
  result.moments = block_moments(Moments<float>{1, x, 0}, moments);
  result.wide_moments = block_moments(Moments<double>{1, x, 0}, wide);
  out[thread_index()] = result;
}

DeviceVector<Reduced> reduce(const DeviceVector<float>& in, const simt_host::Settings& settings = {}) {
  Executor executor(settings);
  DeviceVector<Reduced> out(in.size());
  kernels::launch(reduce_kernel, {.name = "reduce", .block = static_cast<int>(in.size())}, executor.stream(),
                  in.data(), out.data());
  return out;
}

/// Mean 1000, deviation about 1: what a difference of squares would get wrong.
DeviceVector<float> far_from_zero(std::size_t size) {
  DeviceVector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = 1000 + std::sin(static_cast<float>(i * i));
  return values;
}

class ReduceBlocks : public testing::TestWithParam<int> {};

TEST_P(ReduceBlocks, SumsAndMomentsAreRight) {
  const DeviceVector<float> in = far_from_zero(static_cast<std::size_t>(GetParam()));
  const double n = GetParam();
  double sum = 0, m2 = 0;
  for (const float x : in) sum += x;
  for (const float x : in) m2 += (x - sum / n) * (x - sum / n);

  const double rounding = support::bound(support::kFloatEps, 10, sum);  // ten levels of the tree
  const Reduced r = reduce(in).front();
  EXPECT_NEAR(r.sum, sum, rounding);
  EXPECT_NEAR(r.wide_sum, sum, 1e-15 * 10 * sum);
  EXPECT_EQ(r.pair.first, r.sum);
  EXPECT_NEAR(r.pair.second, n * 2 * sum, 2 * n * rounding);
  EXPECT_EQ(r.moments.count, n);
  EXPECT_NEAR(r.moments.mean, sum / n, rounding / n);
  EXPECT_NEAR(r.moments.m2, m2, 1e-4 * m2);
  EXPECT_EQ(r.wide_moments.count, n);
  EXPECT_NEAR(r.wide_moments.mean, sum / n, 1e-12);
  EXPECT_NEAR(r.wide_moments.m2, m2, 1e-11 * m2);
}

TEST_P(ReduceBlocks, EveryThreadHasTheSameBitsInEverySchedule) {
  const DeviceVector<float> in = far_from_zero(static_cast<std::size_t>(GetParam()));
  const Reduced first = reduce(in).front();
  for (const simt_host::Settings& settings : simt_host::all_schedules())
    for (const Reduced& r : reduce(in, settings)) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(r.sum), std::bit_cast<std::uint32_t>(first.sum));
      ASSERT_EQ(r.wide_sum, first.wide_sum);
      ASSERT_EQ(r.moments.mean, first.moments.mean);
      ASSERT_EQ(r.moments.m2, first.moments.m2);
      ASSERT_EQ(r.wide_moments.mean, first.wide_moments.mean);
      ASSERT_EQ(r.wide_moments.m2, first.wide_moments.m2);
    }
}
INSTANTIATE_TEST_SUITE_P(Threads, ReduceBlocks, testing::Values(32, 64, 96, 256, 1024));

SIMT_KERNEL(64) merge_kernel(Moments<double> a, Moments<double> b, Moments<double>* out) {
  if (thread_index() == 0) *out = Merge{}(a, b);
}

Moments<double> merge(Moments<double> a, Moments<double> b) {
  DeviceVector<Moments<double>> out(1);
  kernels::launch(merge_kernel, {.name = "merge", .block = 64}, {}, a, b, out.data());
  return out[0];
}

TEST(Merge, LeavesTheOtherAloneWhereOneIsEmpty) {
  // The mean of an empty part means nothing, not even when it is no number.
  const Moments<double> some{3, 5, 7}, empty{0, std::nan(""), 0};
  for (const Moments<double>& merged : {merge(some, empty), merge(empty, some)}) {
    EXPECT_EQ(merged.count, 3);
    EXPECT_EQ(merged.mean, 5);
    EXPECT_EQ(merged.m2, 7);
  }
}

TEST(Merge, WeighsByCount) {
  // {1, 2, 3} and {10}: mean 4, squared deviations 9 + 4 + 1 + 36.
  const Moments<double> merged = merge({3, 2, 2}, {1, 10, 0});
  EXPECT_EQ(merged.count, 4);
  EXPECT_EQ(merged.mean, 4);
  EXPECT_EQ(merged.m2, 50);
}

TEST(Reduce, NanStaysInItsBlock) {
  DeviceVector<float> in = far_from_zero(64);
  in[40] = std::nanf("");
  const Reduced r = reduce(in).front();
  EXPECT_TRUE(std::isnan(r.sum));
  EXPECT_TRUE(std::isnan(r.moments.mean));
  EXPECT_EQ(r.moments.count, 64);
}

}  // namespace
}  // namespace bntrain
