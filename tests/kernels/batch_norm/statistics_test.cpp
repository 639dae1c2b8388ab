// The parts of batch norm: moments, their merge over ranks.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/batch_norm/run.hpp"
#include "support/guarded.hpp"
#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

using kernels::ChannelMoments;
using kernels::Layout;
using support::DeviceVector;
using support::Guarded;

/// Images [first, first + count) of a case.
NormCase images(const NormCase& c, std::int64_t first, std::int64_t count) {
  const std::int64_t image = c.shape.channels * c.shape.spatial;
  NormCase part = c;
  part.shape.batch = count;
  part.x.assign(c.x.begin() + first * image, c.x.begin() + (first + count) * image);
  part.dy.assign(c.dy.begin() + first * image, c.dy.begin() + (first + count) * image);
  return part;
}

DeviceVector<ChannelMoments> statistics(const NormCase& c, Layout layout) {
  const kernels::NormShape shape = kernel_shape(c, layout);
  const Guarded x(layout == Layout::channels_last ? to_channels_last(c, c.x) : c.x);
  Guarded workspace(static_cast<std::size_t>(kernels::batch_norm_workspace(shape)) / sizeof(float));
  DeviceVector<ChannelMoments> moments(c.channels());
  batch_norm_statistics(shape, x.data(), moments.data(), workspace.data(), {});
  EXPECT_TRUE(workspace.intact());
  return moments;
}

/// Runs finalize on the gathered parts.
ForwardResult finalize(const NormCase& c, const DeviceVector<ChannelMoments>& parts) {
  Guarded mean(2 * c.channels()), var(c.channels()), inv_std(c.channels());
  Guarded running_mean(c.running_mean), running_var(c.running_var);
  batch_norm_finalize(static_cast<std::int64_t>(parts.size()) / c.shape.channels, c.shape.channels,
                      parts.data(), kernel_options(c), mean.data(), var.data(), inv_std.data(),
                      running_mean.data(), running_var.data(), {});
  const auto take = [](const Guarded& output) {
    EXPECT_TRUE(output.complete());
    return Floats{output.values().begin(), output.values().end()};
  };
  const Floats means = take(mean);
  const auto low = means.begin() + c.shape.channels;
  return {{},           {means.begin(), low}, {low, means.end()},
          take(var),    take(running_mean),   take(running_var),
          take(inv_std)};
}

class NormKernelStatistics : public testing::TestWithParam<Layout> {};
INSTANTIATE_TEST_SUITE_P(, NormKernelStatistics,
                         testing::Values(Layout::channels_first, Layout::channels_last), layout_name);

TEST_P(NormKernelStatistics, MomentsAreThoseOfTheReference) {
  // The runs are float32, 8 to 32 values each; a mean of 1000 deviations is cut off before anything rounds.
  for (const BatchNormShape& shape : {BatchNormShape{700, 4, 12}, {21, 5, 9}}) {
    const NormCase c = make_case(shape, 1000);
    const DeviceVector<ChannelMoments> moments = statistics(c, GetParam());
    const Expected e = expect_training(c);
    const auto n = static_cast<double>(c.values_per_channel());
    for (std::size_t k = 0; k < c.channels(); ++k) {
      EXPECT_EQ(moments[k].count, n);
      EXPECT_NEAR(moments[k].mean, e.mean[k], support::bound(support::kFloatEps, 8, std::sqrt(e.var[k])));
      EXPECT_NEAR(moments[k].m2, e.var[k] * n, support::bound(support::kFloatEps, 8, e.var[k] * n));
    }
  }
}

TEST_P(NormKernelStatistics, RanksTogetherAreTheWhole) {
  for (const BatchNormShape& shape : {BatchNormShape{21, 5, 9}, {700, 4, 12}, {37, 6, 1}}) {
    const NormCase whole = make_case(shape, 100);
    const Expected e = expect_training(whole);
    // Ranks of different sizes, one of them without an image: its moments are zeros.
    const std::int64_t cuts[] = {0, shape.batch / 3, shape.batch - 1, shape.batch - 1, shape.batch};
    DeviceVector<ChannelMoments> parts;
    for (std::size_t rank = 0; rank + 1 < std::size(cuts); ++rank) {
      const auto moments = statistics(images(whole, cuts[rank], cuts[rank + 1] - cuts[rank]), GetParam());
      parts.insert(parts.end(), moments.begin(), moments.end());
    }
    const ForwardResult all = finalize(whole, parts);
    const Floats mean = all.both_parts_of_mean();
    const ForwardResult one = kernel_forward(whole, {.layout = GetParam()});
    EXPECT_TRUE(support::close(all.mean, e.mean, e.bounds.mean));
    EXPECT_TRUE(support::close(all.var, e.var, e.bounds.var));
    EXPECT_TRUE(support::close(all.mean, reference::widen(one.mean), e.bounds.mean));
    EXPECT_TRUE(support::close(all.running_var, reference::widen(one.running_var), e.bounds.var));

    // Each rank normalises its own images by the statistics of all, and backward likewise.
    Floats dgamma(whole.channels()), dbeta(whole.channels());
    std::vector<NormCase> ranks;
    for (std::size_t rank = 0; rank + 1 < std::size(cuts); ++rank)
      if (cuts[rank] < cuts[rank + 1])
        ranks.push_back(images(whole, cuts[rank], cuts[rank + 1] - cuts[rank]));
    const auto in_layout = [&](const NormCase& c, const Floats& values) {
      return GetParam() == Layout::channels_last ? to_channels_last(c, values) : values;
    };
    const auto from_layout = [&](const NormCase& c, const Floats& values) {
      return GetParam() == Layout::channels_last ? to_channels_first(c, values) : values;
    };
    Floats y, dx;
    for (const NormCase& rank : ranks) {
      const kernels::NormShape s = kernel_shape(rank, GetParam());
      const Floats x = in_layout(rank, rank.x), dy = in_layout(rank, rank.dy);
      Guarded out(x.size()), dg(rank.channels()), db(rank.channels());
      Guarded workspace(static_cast<std::size_t>(kernels::batch_norm_workspace(s)) / sizeof(float));
      batch_norm_apply(s, x.data(), mean.data(), all.inv_std.data(), rank.gamma.data(), rank.beta.data(),
                       out.data(), {});
      batch_norm_backward_sums(s, x.data(), dy.data(), mean.data(), all.inv_std.data(), dg.data(), db.data(),
                               workspace.data(), {});
      EXPECT_TRUE(out.complete() && dg.complete() && db.complete());
      const Floats part = from_layout(rank, {out.values().begin(), out.values().end()});
      y.insert(y.end(), part.begin(), part.end());
      for (std::size_t k = 0; k < rank.channels(); ++k) {
        dgamma[k] += dg.values()[k];
        dbeta[k] += db.values()[k];
      }
    }
    for (const NormCase& rank : ranks) {
      const Floats x = in_layout(rank, rank.x), dy = in_layout(rank, rank.dy);
      Guarded out(x.size());
      batch_norm_backward_input(kernel_shape(rank, GetParam()), whole.values_per_channel(), x.data(),
                                dy.data(), rank.gamma.data(), mean.data(), all.inv_std.data(), dgamma.data(),
                                dbeta.data(), out.data(), {});
      EXPECT_TRUE(out.complete());
      const Floats part = from_layout(rank, {out.values().begin(), out.values().end()});
      dx.insert(dx.end(), part.begin(), part.end());
    }
    EXPECT_TRUE(support::close(y, e.y, e.bounds.y));
    EXPECT_TRUE(support::close(dgamma, e.dgamma, e.bounds.dgamma));
    EXPECT_TRUE(support::close(dbeta, e.dbeta, e.bounds.dbeta));
    EXPECT_TRUE(support::close(dx, e.dx, e.bounds.dx));
  }
}

TEST(NormKernelFinalize, ChannelsWithoutValuesAreLeftAlone) {
  const ChannelMoments none{0, 0, 0};
  const DeviceVector<ChannelMoments> parts = {none, {2, 3, 8}, none, none};  // [2 parts][2 channels]
  Floats mean{7, 7, 7, 7}, var{7, 7}, inv_std{7, 7}, running_mean{7, 7}, running_var{7, 7};
  batch_norm_finalize(2, 2, parts.data(), {.eps = 0, .momentum = 0.5}, mean.data(), var.data(),
                      inv_std.data(), running_mean.data(), running_var.data(), {});
  EXPECT_EQ(mean, (Floats{7, 3, 7, 0}));
  EXPECT_EQ(var, (Floats{7, 4}));
  EXPECT_EQ(inv_std, (Floats{7, 0.5f}));
  EXPECT_EQ(running_mean, (Floats{7, 5}));
  EXPECT_EQ(running_var, (Floats{7, 5.5f}));
}

TEST(NormKernelFinalize, MergesMorePartsThanAWarpHasLanes) {
  // 100 parts of two values, i and i + 2: the mean of all is 50.5.
  DeviceVector<ChannelMoments> parts;
  double m2 = 0;
  for (int i = 0; i < 100; ++i) {
    parts.push_back({2, i + 1.0, 2});
    m2 += 2 + 2 * (i + 1.0 - 50.5) * (i + 1.0 - 50.5);
  }
  const NormCase c = make_case({1, 1, 1});
  const ForwardResult r = finalize(c, parts);
  EXPECT_FLOAT_EQ(r.mean[0], 50.5f);
  EXPECT_FLOAT_EQ(r.var[0], static_cast<float>(m2 / 200));
}

TEST(NormKernelRunning, BackwardAndInferenceLeaveTheRunningStatisticsAlone) {
  const NormCase c = make_case({16, 3, 5});
  Floats mean = c.running_mean, var = c.running_var, y(c.x.size());
  batch_norm_inference(kernel_shape(c, Layout::channels_first), 1e-5, c.x.data(), c.gamma.data(),
                       c.beta.data(), mean.data(), var.data(), y.data(), {});
  EXPECT_TRUE(same_bits(mean, c.running_mean));
  EXPECT_TRUE(same_bits(var, c.running_var));
}

}  // namespace
}  // namespace bntrain::test
