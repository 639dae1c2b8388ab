// What the kernels move: each tensor is read once and written once, in as few sectors as hold it.
#include <gtest/gtest.h>

#include "bntrain/activation.hpp"
#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "kernels/peaks.hpp"
#include "support/device_vector.hpp"
#include "support/guarded.hpp"

namespace bntrain {
namespace {

using kernels::Stream;
using simt_host::LaunchCounts;
using simt_host::Traffic;
using support::DeviceVector;
using support::Guarded;

/// Of all launches of `run`.
template <typename Run>
LaunchCounts counts_of(Run run) {
  simt_host::Executor executor({.count = true});
  run(executor.stream());
  LaunchCounts sum;
  for (const LaunchCounts& counts : executor.counts()) sum += counts;
  return sum;
}

void expect_traffic(const Traffic& actual, std::int64_t bytes) {
  EXPECT_EQ(actual.bytes, bytes);
  EXPECT_EQ(actual.sectors, actual.fewest_sectors);
}

constexpr std::int64_t kSize = 5000;  // whole vectors, no whole warps
constexpr std::int64_t kBytes = 4 * kSize;

TEST(Counts, ElementwiseKernelsReadAndWriteEachElementOnce) {
  const Guarded a(random_values(kSize, 1)), b(random_values(kSize, 2));
  Guarded out(kSize);
  const LaunchCounts sum =
      counts_of([&](const Stream& stream) { kernels::add(kSize, a.data(), b.data(), out.data(), stream); });
  expect_traffic(sum.reads, 2 * kBytes);
  expect_traffic(sum.writes, kBytes);
  for (const ActivationType& type : activation_types) {
    const LaunchCounts forward = counts_of([&](const Stream& stream) {
      kernels::activation_forward(type.kind, type.default_slope, kSize, a.data(), out.data(), stream);
    });
    expect_traffic(forward.reads, kBytes);
    expect_traffic(forward.writes, kBytes);
    const LaunchCounts backward = counts_of([&](const Stream& stream) {
      kernels::activation_backward(type.kind, type.default_slope, kSize, a.data(), b.data(), out.data(),
                                   stream);
    });
    expect_traffic(backward.reads, 2 * kBytes);
    expect_traffic(backward.writes, kBytes);
  }
}

TEST(Counts, UnalignedTensorsAreStillReadOnce) {
  const Guarded a(random_values(kSize, 1), 1), b(random_values(kSize, 2), 1);
  Guarded out(kSize, 1);
  const LaunchCounts sum =
      counts_of([&](const Stream& stream) { kernels::add(kSize, a.data(), b.data(), out.data(), stream); });
  EXPECT_EQ(sum.reads.bytes, 2 * kBytes);
  EXPECT_EQ(sum.writes.bytes, kBytes);
  // The contiguous bytes of an access touch one more sector at most.
  EXPECT_LE(sum.reads.sectors, sum.reads.fewest_sectors + sum.reads.accesses);
}

TEST(Counts, PoolingReadsEachPixelOnceAndItsGradientOncePerRowOfAWindow) {
  const kernels::PoolShape shape{4, 8, 16, 16, 2};
  const std::int64_t inputs = 4 * 8 * 16 * 16;
  const Guarded x(random_values(inputs, 1)), dy(random_values(inputs / 4, 2));
  Guarded y(at(inputs / 4)), dx(at(inputs));
  const LaunchCounts forward = counts_of(
      [&](const Stream& stream) { kernels::average_pool_forward(shape, x.data(), y.data(), stream); });
  EXPECT_EQ(forward.reads.bytes, 4 * inputs);
  expect_traffic(forward.writes, inputs);
  const LaunchCounts backward = counts_of(
      [&](const Stream& stream) { kernels::average_pool_backward(shape, dy.data(), dx.data(), stream); });
  expect_traffic(backward.writes, 4 * inputs);
}

TEST(Counts, BiasKernelsReadTheTensorOnce) {
  const kernels::BiasShape shape{7, 12, 64};
  const std::int64_t size = 7 * 12 * 64;
  const Guarded x(random_values(size, 1)), bias(random_values(12, 2));
  Guarded y(at(size)), dbias(12);
  const LaunchCounts forward = counts_of([&](const Stream& stream) {
    kernels::bias_activation_forward(shape, x.data(), bias.data(), ActivationKind::relu, 0, y.data(), stream);
  });
  // And for each warp, which has 128 elements, the two channels that they are of.
  expect_traffic(forward.reads, 4 * size + size / 128 * 2 * 4);
  expect_traffic(forward.writes, 4 * size);
  const LaunchCounts backward = counts_of(
      [&](const Stream& stream) { kernels::bias_backward(shape, x.data(), dbias.data(), nullptr, stream); });
  expect_traffic(backward.reads, 4 * size);
  EXPECT_EQ(backward.writes.bytes, 4 * 12);
}

TEST(Counts, GatheringReadsBytesAndWritesFloats) {
  const std::int64_t batch = 5, pixels = 784;
  simt_host::Executor executor;
  const Guarded images(at(batch * pixels / 4));  // any bytes
  Guarded out(at(batch * pixels));
  const LaunchCounts counts = counts_of([&](const Stream& stream) {
    kernels::gather_images(batch, pixels, reinterpret_cast<const std::uint8_t*>(images.data()), nullptr,
                           nullptr, out.data(), stream);
  });
  expect_traffic(counts.reads, batch * pixels);
  expect_traffic(counts.writes, 4 * batch * pixels);
}

TEST(Counts, AnUpdateReadsAndWritesEachTensorOnce) {
  for (const UpdateRule rule :
       {UpdateRule::sgd, UpdateRule::sgd_momentum, UpdateRule::sgd_nesterov, UpdateRule::adamw}) {
    const int states = state_count(rule);
    const Guarded gradient(random_values(kSize, 1));
    Guarded weights(random_values(kSize, 2)), m(random_values(kSize, 3)), v(std::vector<float>(kSize, 1.0f));
    Guarded scalars(std::vector<float>(sizeof(UpdateScalars) / sizeof(float), 0.5f));
    simt_host::Executor executor({.count = true});
    kernels::optimizer_step(rule, kSize, kSize, gradient.data(),
                            reinterpret_cast<const UpdateScalars*>(scalars.data()), nullptr, nullptr,
                            weights.data(), states > 0 ? m.data() : nullptr, states > 1 ? v.data() : nullptr,
                            executor.stream());
    const LaunchCounts& counts = executor.counts().at(0);
    const std::int64_t warps = executor.launches()[0].grid * executor.launches()[0].block / 32;
    EXPECT_EQ(counts.reads.bytes,
              (2 + states) * kBytes + warps * static_cast<std::int64_t>(sizeof(UpdateScalars)));
    expect_traffic(counts.writes, (1 + states) * kBytes);
  }
}

TEST(Counts, TheLossReadsTheLogitsThreeTimes) {
  const std::int64_t batch = 50, classes = 32;
  const Guarded logits(random_values(batch * classes, 1));
  Guarded gradient(at(batch * classes)), workspace(at(kernels::softmax_cross_entropy_workspace(batch)) / 4);
  const DeviceVector<std::uint8_t> labels(at(batch), 3);
  DeviceVector<kernels::BatchState> state(1, {0, 0, 1});
  DeviceVector<kernels::BatchMetrics> metrics(1);
  DeviceVector<unsigned> arrivals(1);
  const LaunchCounts counts = counts_of([&](const Stream& stream) {
    kernels::softmax_cross_entropy(batch, classes, logits.data(), labels.data(), nullptr, state.data(),
                                   {gradient.data(), metrics.data(), 1, nullptr, nullptr}, workspace.data(),
                                   arrivals.data(), stream);
  });
  // For the largest, the sum and the gradient; the last two find them in the cache. An image's loss is
  // written and read once.
  EXPECT_GE(counts.reads.bytes, (3 * classes * 4 + 16) * batch);
  EXPECT_LE(counts.reads.bytes, (3 * classes * 4 + 64) * batch);
  EXPECT_EQ(counts.writes.bytes, (classes * 4 + 16) * batch);
}

TEST(Counts, TheCopyIsACopy) {
  const Guarded from(random_values(kSize, 1));
  Guarded to(kSize);
  const LaunchCounts counts =
      counts_of([&](const Stream& stream) { kernels::copy_floats(kSize, from.data(), to.data(), stream); });
  expect_traffic(counts.reads, kBytes);
  expect_traffic(counts.writes, kBytes);
}

}  // namespace
}  // namespace bntrain
