#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "support/device_vector.hpp"
#include "support/guarded.hpp"
#include "support/nan.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {
namespace {

using kernels::BatchMetrics;
using kernels::BatchState;
using support::DeviceVector;
using support::Guarded;

using support::kNan;
constexpr float kInf = std::numeric_limits<float>::infinity();

/// The device memory of a training run. Images are visited in reverse.
struct LossRun {
  DeviceVector<std::uint8_t> labels;  ///< of all images
  DeviceVector<std::int64_t> order;
  struct Counters {
    BatchState state;
    unsigned halted = 0, arrivals = 0;
    std::int64_t finite_steps = 0;
  };
  DeviceVector<Counters> counters = DeviceVector<Counters>(1);
  BatchState& state = counters[0].state;
  unsigned &halted = counters[0].halted, &arrivals = counters[0].arrivals;
  std::int64_t& finite_steps = counters[0].finite_steps;
  DeviceVector<BatchMetrics> metrics = DeviceVector<BatchMetrics>(4, {-1, -1, -1});

  /// `in_order`: the labels as they come up.
  explicit LossRun(const std::vector<std::int64_t>& in_order, float scale = 1) {
    state.gradient_scale = scale;
    labels.resize(in_order.size());
    for (std::size_t n = 0; n < in_order.size(); ++n) {
      order.push_back(static_cast<std::int64_t>(in_order.size() - 1 - n));
      labels[at(order[n])] = static_cast<std::uint8_t>(in_order[n]);
    }
  }

  /// One batch; returns the gradient.
  std::vector<float> step(const std::vector<float>& logits, std::int64_t classes,
                          const kernels::Stream& stream = {}, std::size_t offset = 0) {
    const std::int64_t batch = static_cast<std::int64_t>(logits.size()) / classes;
    const Guarded z(logits, offset);
    Guarded gradient(logits.size(), offset);
    Guarded workspace(at(kernels::softmax_cross_entropy_workspace(batch)) / sizeof(float));
    kernels::softmax_cross_entropy(batch, classes, z.data(), labels.data(), order.data(), &state,
                                   {gradient.data(), metrics.data(), 3, &halted, &finite_steps},
                                   workspace.data(), &arrivals, stream);
    EXPECT_TRUE(gradient.complete());
    EXPECT_TRUE(workspace.complete());
    EXPECT_EQ(arrivals, 0u);
    return {gradient.values().begin(), gradient.values().end()};
  }
};

BatchMetrics metrics_of(const std::vector<float>& logits, const std::vector<std::int64_t>& labels,
                        std::int64_t classes) {
  LossRun run(labels);
  run.step(logits, classes);
  return run.metrics[0];
}

std::vector<std::int64_t> some_labels(std::int64_t batch, std::int64_t classes) {
  std::vector<std::int64_t> labels;
  for (std::int64_t n = 0; n < batch; ++n) labels.push_back((n * 3 + 1) % classes);
  return labels;
}

TEST(SoftmaxCrossEntropy, LossHitsAndGradient) {
  for (const std::int64_t classes : {1, 2, 10, 37, 256})
    for (const std::int64_t batch : {1, 7, 33})
      for (const float spread : {1.0f, 30.0f, 1e4f, 1e30f}) {  // the last two saturate
        SCOPED_TRACE(std::to_string(batch) + "x" + std::to_string(classes));
        const auto logits = random_values(batch * classes, 3, spread, spread);
        const auto labels = some_labels(batch, classes);
        const auto expected = reference::softmax_cross_entropy(reference::widen(logits), labels, classes);
        LossRun run(labels, 0.125f);
        const std::vector<float> actual = run.step(logits, classes);
        EXPECT_NEAR(run.metrics[0].loss_sum, expected.sum,
                    1e-13 * (1 + std::abs(expected.sum)) * static_cast<double>(batch));
        EXPECT_EQ(run.metrics[0].correct, expected.correct);
        EXPECT_EQ(run.metrics[0].count, batch);
        auto gradient = expected.gradient;
        for (double& value : gradient) value *= 0.125;
        EXPECT_TRUE(support::close(actual, gradient, 0.125 * support::kFloatEps));
      }
}

TEST(SoftmaxCrossEntropy, EqualLogitsAreOneOverClassesAndTheFirstIsTheGuess) {
  for (const float logit : {5.0f, -3e38f, 0.0f}) {
    LossRun run({0, 3, 39});
    const std::vector<float> gradient = run.step(std::vector<float>(120, logit), 40);
    EXPECT_NEAR(run.metrics[0].loss_sum, 3 * std::log(40.0), 1e-12);
    EXPECT_EQ(run.metrics[0].correct, 1);
    for (std::size_t i = 0; i < 120; ++i)
      EXPECT_NEAR(gradient[i], i == 0 || i == 43 || i == 119 ? -0.975 : 0.025, 1e-7) << i;
  }
}

TEST(SoftmaxCrossEntropy, NanAnywhereIsANanLossAndNoHit) {
  for (const std::size_t where : {0, 1, 31, 32, 39})
    for (const std::int64_t label : {0, 32}) {
      std::vector<float> logits(80, -1);
      logits[at(label)] = 4;
      logits[40] = 4;
      logits[where] = kNan;
      LossRun run({label, 0});
      const std::vector<float> gradient = run.step(logits, 40);
      EXPECT_TRUE(std::isnan(run.metrics[0].loss_sum)) << where << ", label " << label;
      EXPECT_EQ(run.metrics[0].correct, 1);
      for (std::size_t i = 0; i < 80; ++i) EXPECT_EQ(std::isnan(gradient[i]), i < 40) << i;
    }
}

TEST(SoftmaxCrossEntropy, InfinityIsNotAFiniteLoss) {
  EXPECT_FALSE(std::isfinite(metrics_of({kInf, 0}, {0}, 2).loss_sum));
  EXPECT_FALSE(std::isfinite(metrics_of({kInf, 0}, {1}, 2).loss_sum));
  EXPECT_FALSE(std::isfinite(metrics_of({-kInf, 0}, {0}, 2).loss_sum));
  EXPECT_TRUE(std::isfinite(metrics_of({-kInf, 0}, {1}, 2).loss_sum));
}

TEST(SoftmaxCrossEntropy, ALabelThatIsNoClassIsANanLoss) {
  const BatchMetrics metrics = metrics_of({1, 2, 1, 2}, {2, 1}, 2);
  EXPECT_TRUE(std::isnan(metrics.loss_sum));
  EXPECT_EQ(metrics.correct, 1);
}

TEST(SoftmaxCrossEntropy, StepsFollowTheOrderAndFillTheirSlots) {
  const auto labels = some_labels(24, 10);
  LossRun run(labels);
  for (std::int64_t step = 0; step < 4; ++step) {
    const std::int64_t batch = step == 2 ? 3 : 7;  // a short one between the others
    const auto logits = random_values(batch * 10, static_cast<std::uint32_t>(step));
    const std::int64_t first = step * 7 - (step == 3 ? 4 : 0);
    EXPECT_EQ(run.state.first, first);
    EXPECT_EQ(run.state.step, step);
    run.step(logits, 10);
    if (step == 3) break;  // beyond the slots
    const auto expected = reference::softmax_cross_entropy(
        reference::widen(logits), {labels.begin() + first, labels.begin() + first + batch}, 10);
    EXPECT_NEAR(run.metrics[at(step)].loss_sum, expected.sum, 1e-12 * expected.sum);
    EXPECT_EQ(run.metrics[at(step)].correct, expected.correct);
    EXPECT_EQ(run.metrics[at(step)].count, batch);
  }
  EXPECT_EQ(run.metrics[3].count, -1);
  EXPECT_EQ(run.halted, 0u);
  EXPECT_EQ(run.finite_steps, 4);
}

TEST(SoftmaxCrossEntropy, ALossThatIsNotFiniteHaltsForGood) {
  LossRun run({0, 1, 0, 1, 0, 1});
  run.step({2, 1, 1, 2}, 2);
  EXPECT_EQ(run.halted, 0u);
  run.step({2, kNan, 1, 2}, 2);
  EXPECT_EQ(run.halted, 1u);
  run.step({2, 1, 1, 2}, 2);
  EXPECT_EQ(run.halted, 1u);
  EXPECT_TRUE(std::isfinite(run.metrics[0].loss_sum));
  EXPECT_EQ(run.metrics[0].correct, 2);
  EXPECT_TRUE(std::isnan(run.metrics[1].loss_sum));
  EXPECT_EQ(run.metrics[1].correct, 1);  // the image beside it is right
  EXPECT_TRUE(std::isnan(run.metrics[2].loss_sum));
  EXPECT_EQ(run.metrics[2].correct, 0);
  EXPECT_EQ(run.metrics[2].count, 2);
  EXPECT_EQ(run.finite_steps, 1);
}

TEST(SoftmaxCrossEntropy, EvaluationNeedsNeitherOrderNorGradientNorFlag) {
  const std::vector<float> logits = random_values(90, 4);
  const DeviceVector<std::uint8_t> labels = {9, 9, 1, 2, 3, 4, 5, 6, 7, 8, 0};
  DeviceVector<BatchState> state(1, {2, 0, 1});
  DeviceVector<BatchMetrics> metrics(1);
  DeviceVector<unsigned> arrivals(1);
  Guarded workspace(9 * 4);
  kernels::softmax_cross_entropy(9, 10, Guarded(logits).data(), labels.data(), nullptr, state.data(),
                                 {nullptr, metrics.data(), 1, nullptr}, workspace.data(), arrivals.data(),
                                 {});
  const auto expected =
      reference::softmax_cross_entropy(reference::widen(logits), {1, 2, 3, 4, 5, 6, 7, 8, 0}, 10);
  EXPECT_NEAR(metrics[0].loss_sum, expected.sum, 1e-12 * expected.sum);
  EXPECT_EQ(metrics[0].correct, expected.correct);
  EXPECT_EQ(state[0].first, 11);
}

TEST(SoftmaxCrossEntropy, BitsDependOnNeitherScheduleNorGridNorAlignment) {
  const auto logits = random_values(300 * 10, 5);
  const auto labels = some_labels(300, 10);
  LossRun expected(labels);
  const std::vector<float> gradient = expected.step(logits, 10);
  const auto check = [&](const kernels::Stream& stream, std::size_t offset) {
    LossRun run(labels);
    EXPECT_TRUE(same_bits(run.step(logits, 10, stream, offset), gradient));
    EXPECT_EQ(run.metrics[0].loss_sum, expected.metrics[0].loss_sum);
    EXPECT_EQ(run.metrics[0].correct, expected.metrics[0].correct);
  };
  on_every_schedule_and_grid([&](const kernels::Stream& stream) { check(stream, 0); });
  check({}, 1);
}

TEST(SoftmaxCrossEntropy, AnEmptyBatchChangesNothing) {
  simt_host::Executor executor;
  kernels::softmax_cross_entropy(0, 10, nullptr, nullptr, nullptr, nullptr, {}, nullptr, nullptr,
                                 executor.stream());
  EXPECT_TRUE(executor.launches().empty());
}

TEST(SoftmaxCrossEntropy, RefusesWhatMakesNoSense) {
  const auto call = [](std::int64_t batch, std::int64_t classes, void* workspace) {
    kernels::softmax_cross_entropy(batch, classes, nullptr, nullptr, nullptr, nullptr, {}, workspace, nullptr,
                                   {});
  };
  alignas(16) float workspace[8];
  EXPECT_THROW(call(-1, 10, workspace), std::invalid_argument);
  EXPECT_THROW(call(1, 0, workspace), std::invalid_argument);
  EXPECT_THROW(call(1, 10, nullptr), std::invalid_argument);
  EXPECT_THROW(call(1, 10, workspace + 1), std::invalid_argument);
}

}  // namespace
}  // namespace bntrain
