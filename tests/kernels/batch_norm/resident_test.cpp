// The resident batch norm kernels: every instance in every tuning, and what they move.
#include "kernels/batch_norm/resident.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/batch_norm/run.hpp"
#include "kernels/batch_norm/statistics_output.cuh"
#include "kernels/simt/host/executor.hpp"
#include "support/guarded.hpp"
#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

using kernels::Layout;
using kernels::ResidentTuning;
using support::Guarded;

struct ResidentProblem {
  BatchNormShape shape;
  Layout layout;
  ResidentTuning tuning;
};

std::string to_string(const ResidentProblem& p) {
  const ResidentTuning& t = p.tuning;
  std::string text = std::to_string(p.shape.batch) + "x" + std::to_string(p.shape.channels) + "x" +
                     std::to_string(p.shape.spatial);
  for (const int part : {t.vectors, t.threads, t.cluster, t.columns}) text += "_" + std::to_string(part);
  return text + (p.layout == Layout::channels_last ? "_last" : "_first");
}

/// Every number of vectors, in every content of a vector, alone and in clusters of every size; shares that
/// end in the middle of a row, of a step, and blocks without any.
std::vector<ResidentProblem> problems() {
  std::vector<ResidentProblem> all;
  for (const int vectors : kernels::kResidentVectors)
    for (const std::int64_t spatial : {12, 9}) {
      // As many vectors as the block or cluster has room for, and fewer.
      const std::int64_t row = spatial == 12 ? 3 : 9;
      for (const int cluster : {1, 2, 16})
        for (const std::int64_t left_out : {0, 1, 40}) {
          const int threads = cluster == 16 ? 32 : 96;
          const std::int64_t batch = std::max<std::int64_t>(1, vectors * threads * cluster / row - left_out);
          all.push_back({{batch, 3, spatial}, Layout::channels_first, {vectors, threads, cluster, 1}});
        }
    }
  for (const int vectors : kernels::kResidentVectors)
    for (const std::int64_t channels : {36, 10})
      for (const int columns : {2, 8})
        for (const int cluster : {1, 4}) {
          const std::int64_t rows = std::int64_t{64 / columns} * vectors * cluster;
          all.push_back({{rows, channels, 1}, Layout::channels_first, {vectors, 64, cluster, columns}});
          if (rows > 5 * 7)
            all.push_back(
                {{rows / 5 - 2, channels, 5}, Layout::channels_last, {vectors, 64, cluster, columns}});
        }
  return all;
}

struct Results {
  ForwardResult forward;
  BackwardResult backward;
};

Results run(const NormCase& c, const ResidentProblem& p, const kernels::Stream& stream) {
  const bool last = p.layout == Layout::channels_last;
  const auto in_layout = [&](const Floats& values) { return last ? to_channels_last(c, values) : values; };
  const auto take = [](const Guarded& output) {
    EXPECT_TRUE(output.complete());
    return Floats(output.values().begin(), output.values().end());
  };
  const auto take_tensor = [&](const Guarded& output) {
    return last ? to_channels_first(c, take(output)) : take(output);
  };
  const std::size_t channels = c.channels();
  const std::int64_t count = c.values_per_channel();
  const kernels::ResidentSpace space = tuned(kernels::resident_space(kernel_shape(c, p.layout), 4), p.tuning);
  EXPECT_GE(std::int64_t{p.tuning.threads / p.tuning.columns} * p.tuning.vectors, space.share);

  const Guarded x(in_layout(c.x)), dy(in_layout(c.dy)), gamma(c.gamma), beta(c.beta);
  Guarded y(c.x.size()), mean(2 * channels), var(channels), inv_std(channels);
  Guarded running_mean(c.running_mean), running_var(c.running_var);
  const kernels::StatisticsOutput output{kernel_options(c), c.shape.channels, mean.data(),
                                         var.data(),        inv_std.data(),   running_mean.data(),
                                         running_var.data()};
  resident_forward(space, p.tuning, count, x.data(), gamma.data(), beta.data(), y.data(), output, stream);
  const Floats means = take(mean);
  const auto low = means.begin() + c.shape.channels;
  Results r;
  r.forward = {take_tensor(y),     {means.begin(), low}, {low, means.end()}, take(var),
               take(running_mean), take(running_var),    take(inv_std)};
  Guarded dx(c.x.size()), dgamma(channels), dbeta(channels);
  resident_backward(space, p.tuning, count, x.data(), dy.data(), gamma.data(), mean.data(), inv_std.data(),
                    dx.data(), dgamma.data(), dbeta.data(), stream);
  r.backward = {take_tensor(dx), take(dgamma), take(dbeta)};
  return r;
}

void check(const NormCase& c, const Results& r) {
  const Expected e = expect_training(c);
  EXPECT_TRUE(support::close(r.forward.mean, e.mean, e.bounds.mean)) << "mean";
  EXPECT_TRUE(support::close(r.forward.var, e.var, e.bounds.var)) << "var";
  EXPECT_TRUE(support::close(r.forward.y, e.y, e.bounds.y)) << "y";
  EXPECT_TRUE(support::close(r.backward.dbeta, e.dbeta, e.bounds.dbeta)) << "dbeta";
  EXPECT_TRUE(support::close(r.backward.dgamma, e.dgamma, e.bounds.dgamma)) << "dgamma";
  EXPECT_TRUE(support::close(r.backward.dx, e.dx, e.bounds.dx)) << "dx";
}

TEST(NormKernelResident, EveryTuningIsRight) {
  for (const ResidentProblem& p : problems()) {
    SCOPED_TRACE(to_string(p));
    const NormCase c = make_case(p.shape, 100);
    check(c, run(c, p, {}));
    if (testing::Test::HasFailure()) return;
  }
}

TEST(NormKernelResident, ACapOnTheBlocksTakesMoreLaunches) {
  const ResidentProblem p{{40, 7, 12}, Layout::channels_first, {1, 64, 2, 1}};
  const NormCase c = make_case(p.shape);
  const Results expected = run(c, p, {});
  for (const int cap : {2, 5, 100}) {
    simt_host::Executor executor;
    const Results capped = run(c, p, executor.stream(cap));
    EXPECT_TRUE(same_bits(capped.forward, expected.forward));
    EXPECT_TRUE(same_bits(capped.backward, expected.backward));
    EXPECT_EQ(executor.launches().size(), cap == 2 ? 14u : cap == 5 ? 8u : 2u);
    for (const kernels::LaunchConfig& launch : executor.launches()) EXPECT_LE(launch.grid, cap);
  }
}

TEST(NormKernelResident, TensorsAreReadOnceAndWrittenOnce) {
  for (const ResidentProblem& p : {ResidentProblem{{64, 3, 16}, Layout::channels_first, {4, 64, 1, 1}},
                                   {{64, 3, 16}, Layout::channels_first, {4, 32, 2, 1}},
                                   {{63, 3, 9}, Layout::channels_first, {7, 96, 1, 1}},
                                   {{576, 16, 1}, Layout::channels_first, {9, 128, 2, 4}},
                                   {{115, 32, 5}, Layout::channels_last, {9, 256, 1, 4}}}) {
    SCOPED_TRACE(to_string(p));
    const NormCase c = make_case(p.shape);
    simt_host::Executor executor({.count = true});
    run(c, p, executor.stream());
    ASSERT_EQ(executor.counts().size(), 2u);
    const simt_host::LaunchCounts forward = executor.counts()[0], backward = executor.counts()[1];
    const auto bytes = static_cast<std::int64_t>(c.x.size() * sizeof(float));
    // Beside the tensors: the channels' origins and parameters, once a warp.
    const auto warps = [&](std::size_t i) {
      return executor.launches()[i].grid * executor.launches()[i].block / simt::kWarpSize;
    };
    const std::int64_t small = 2 * 16 * 4 * 4;
    EXPECT_GE(forward.reads.bytes, bytes);
    EXPECT_LE(forward.reads.bytes, bytes + warps(0) * small);
    EXPECT_EQ(forward.writes.bytes, bytes);
    EXPECT_GE(backward.reads.bytes, 2 * bytes);
    EXPECT_LE(backward.reads.bytes, 2 * bytes + warps(1) * small);
    EXPECT_EQ(backward.writes.bytes, bytes + 2 * c.shape.channels * std::int64_t{sizeof(float)});
    // Of whole vectors every sector is used; single values begin anywhere.
    if (p.shape.spatial % 4 == 0) {
      EXPECT_EQ(forward.writes.sectors, forward.writes.fewest_sectors);
    }
    const std::int64_t blocks = executor.launches()[0].grid, clusters = blocks / p.tuning.cluster;
    EXPECT_EQ(forward.cluster_barriers, p.tuning.cluster > 1 ? 2 * clusters : 0)
        << "one is that of the start";
    EXPECT_EQ(forward.block_barriers, (p.tuning.cluster > 1 ? 2 : 3) * blocks);
  }
}

TEST(NormKernelResident, DegenerateSizes) {
  for (const BatchNormShape& shape : {BatchNormShape{1, 1, 1}, {1, 5, 1}, {2, 1, 1}, {1, 1, 4}, {1, 3, 2}}) {
    const NormCase c = make_case(shape);
    for (const Layout layout : {Layout::channels_first, Layout::channels_last}) {
      const Way way{.layout = layout, .variant = kernels::NormVariant::resident};
      const ForwardResult forward = kernel_forward(c, way);
      check(c, {forward, kernel_backward(c, forward, way)});
    }
  }
}

// A mean that is 1e5 deviations and no float32: rounded to one, it would shift every y by up to 4e-3.
TEST(NormKernelMean, TwoFloatsKeepTheDigitsOfEveryVariant) {
  for (const BatchNormShape& shape : {BatchNormShape{64, 3, 12}, {33, 3, 9}, {300, 8, 1}}) {
    NormCase c = make_case(shape, 1e5);
    for (std::size_t i = 0; i < c.x.size(); ++i) c.x[i] = std::nextafter(c.x[i], i % 3 == 0 ? 0.0f : 1e9f);
    const Expected e = expect_training(c);
    for (const Way& way : every_way(shape)) {
      SCOPED_TRACE(to_string(way));
      const ForwardResult r = kernel_forward(c, way);
      for (std::size_t k = 0; k < c.channels(); ++k)
        EXPECT_NEAR(static_cast<double>(r.mean[k]) + static_cast<double>(r.mean_low[k]), e.mean[k],
                    1e-6 * std::sqrt(e.var[k]));
      const BackwardResult g = kernel_backward(c, r, way);
      for (std::size_t i = 0; i < c.x.size(); ++i) {
        EXPECT_NEAR(r.y[i], e.y[i], 8 * support::kFloatEps * (std::abs(e.y[i]) + 4)) << i;
        EXPECT_NEAR(g.dx[i], e.dx[i], 32 * support::kFloatEps * (std::abs(e.dx[i]) + 4)) << i;
      }
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace bntrain::test
