// The last layer with its loss: logits against the product in double precision, loss and metrics against the
// loss of these logits, gradients against the products with the gradient of these logits.
#include <cmath>
#include <stdexcept>

#include "kernels/kernel_runs.hpp"
#include "kernels/kernels.hpp"
#include "kernels/linear/linear_sums.hpp"
#include "support/device_vector.hpp"
#include "support/guarded.hpp"
#include "support/nan.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain {
namespace {

using kernels::BatchMetrics;
using kernels::BatchState;
using kernels::LinearShape;
using support::Guarded;

using support::kNan;

/// A layer and the images' labels; images are visited in reverse.
struct LastLayer {
  explicit LastLayer(const LinearShape& s)
      : shape(s),
        x(random_values(s.batch * s.in, 1, 0.5f)),
        w(random_values(s.out * s.in, 2)),
        bias(random_values(s.out, 3)) {
    state().gradient_scale = 0.125f;
    in_order.resize(at(s.batch));
    labels.resize(at(s.batch));
    for (std::int64_t n = 0; n < s.batch; ++n) {
      in_order[at(n)] = (3 * n + 1) % s.out;
      order.push_back(s.batch - 1 - n);
      labels[at(order.back())] = static_cast<std::uint8_t>(in_order[at(n)]);
    }
  }

  LastLayer(const LastLayer&) = delete;
  LastLayer& operator=(const LastLayer&) = delete;

  struct Results {
    std::vector<float> logits, gradient, dx, dw, dbias;
    BatchMetrics metrics;
  };

  Results step(const kernels::Stream& stream = {}, std::size_t offset = 0) {
    const Guarded in(x, offset), weights(w, offset), b(bias, offset);
    Guarded logits(at(shape.batch * shape.out), offset), gradient(logits.size(), offset),
        dx(x.size(), offset);
    Guarded dw(w.size(), offset), dbias(bias.size(), offset);
    Guarded workspace(at(kernels::linear_softmax_workspace(shape)) / sizeof(float));
    kernels::linear_softmax_cross_entropy(
        shape, in.data(), weights.data(), b.data(), labels.data(), order.data(), &state(),
        {gradient.data(), &device->metrics, 1, &device->halted, &device->finite_steps},
        {logits.data(), dx.data(), dw.data(), dbias.data()}, workspace.data(), &device->arrivals, stream);
    for (const Guarded* written : {&logits, &gradient, &dx, &dw, &dbias, &workspace})
      EXPECT_TRUE(written->complete());
    EXPECT_EQ(device->arrivals, 0u);
    return {copy(logits), copy(gradient), copy(dx), copy(dw), copy(dbias), device->metrics};
  }

  struct OnDevice {
    BatchState state;
    BatchMetrics metrics{-1, -1, -1};
    unsigned halted = 0, arrivals = 0;
    std::int64_t finite_steps = 0;
  };
  BatchState& state() const { return device->state; }

  LinearShape shape;
  std::vector<float> x, w, bias;
  std::vector<std::int64_t> in_order;
  support::DeviceVector<std::int64_t> order;
  support::DeviceVector<std::uint8_t> labels;
  support::DeviceVector<OnDevice> memory = support::DeviceVector<OnDevice>(1);
  OnDevice* device = memory.data();
};

/// One image, tails of eight, several parts, several rounds a part, more classes than lanes.
const LinearShape kHeadShapes[] = {{1, 1, 1}, {7, 5, 2}, {33, 130, 10}, {16, 20, 37}, {1100, 3, 4}};

TEST(LinearSoftmax, IsTheProductItsLossAndTheirGradients) {
  for (const LinearShape& s : kHeadShapes) {
    SCOPED_TRACE(std::to_string(s.batch) + "x" + std::to_string(s.in) + " to " + std::to_string(s.out));
    const reference::LinearShape wide{s.batch, s.in, s.out};
    LastLayer layer(s);
    const LastLayer::Results results = layer.step();
    const auto x = reference::widen(layer.x), w = reference::widen(layer.w);
    EXPECT_TRUE(is_sum(
        results.logits, reference::linear_forward(x, w, reference::widen(layer.bias), wide),
        reference::linear_forward(absolute(layer.x), absolute(layer.w), absolute(layer.bias), wide), s.in));

    auto loss = reference::softmax_cross_entropy(reference::widen(results.logits), layer.in_order, s.out);
    for (double& value : loss.gradient) value *= 0.125;
    EXPECT_NEAR(results.metrics.loss_sum, loss.sum, 1e-13 * (1 + loss.sum) * static_cast<double>(s.batch));
    EXPECT_EQ(results.metrics.correct, loss.correct);
    EXPECT_EQ(results.metrics.count, s.batch);
    EXPECT_TRUE(support::close(results.gradient, loss.gradient, 0.125 * support::kFloatEps));
    EXPECT_EQ(layer.state(), (BatchState{s.batch, 1, 0.125f}));
    EXPECT_EQ(layer.device->finite_steps, 1);

    const auto expected = reference::linear_backward(x, w, reference::widen(results.gradient), wide);
    const auto magnitudes =
        reference::linear_backward(absolute(layer.x), absolute(layer.w), absolute(results.gradient), wide);
    EXPECT_TRUE(is_sum(results.dx, expected.x, magnitudes.x, s.out));
    EXPECT_TRUE(is_sum(results.dw, expected.weight, magnitudes.weight, s.batch));
    EXPECT_TRUE(is_sum(results.dbias, expected.bias, magnitudes.bias, s.batch));
  }
}

TEST(LinearSoftmax, EvaluationNeedsNeitherOrderNorGradients) {
  LastLayer layer({33, 130, 10});
  const LastLayer::Results expected = layer.step();
  support::DeviceVector<std::uint8_t> labels(layer.in_order.begin(), layer.in_order.end());
  const Guarded x(layer.x), w(layer.w), bias(layer.bias);
  *layer.device = {};
  Guarded workspace(at(kernels::linear_softmax_workspace(layer.shape)) / sizeof(float));
  simt_host::Executor executor;
  kernels::linear_softmax_cross_entropy(layer.shape, x.data(), w.data(), bias.data(), labels.data(), nullptr,
                                        &layer.state(), {nullptr, &layer.device->metrics, 1}, {},
                                        workspace.data(), &layer.device->arrivals, executor.stream());
  EXPECT_EQ(executor.launches().size(), 1u);
  EXPECT_EQ(layer.device->metrics.loss_sum, expected.metrics.loss_sum);
  EXPECT_EQ(layer.device->metrics.correct, expected.metrics.correct);
}

TEST(LinearSoftmax, BitsDependOnNeitherScheduleNorGridNorAlignment) {
  for (const LinearShape& s : {LinearShape{33, 130, 10}, {50, 7, 3}}) {
    const LastLayer::Results expected = LastLayer(s).step();
    const auto check = [&](const LastLayer::Results& actual) {
      EXPECT_TRUE(same_bits(actual.logits, expected.logits));
      EXPECT_TRUE(same_bits(actual.gradient, expected.gradient));
      EXPECT_TRUE(same_bits(actual.dx, expected.dx));
      EXPECT_TRUE(same_bits(actual.dw, expected.dw));
      EXPECT_TRUE(same_bits(actual.dbias, expected.dbias));
      EXPECT_EQ(actual.metrics.loss_sum, expected.metrics.loss_sum);
    };
    on_every_schedule_and_grid([&](const kernels::Stream& stream) { check(LastLayer(s).step(stream)); });
    check(LastLayer(s).step({}, 1));
  }
}

TEST(LinearSoftmax, ANanHaltsAndStaysInItsImage) {
  LastLayer layer({33, 130, 10});
  layer.x[130] = kNan;
  const LastLayer::Results results = layer.step();
  EXPECT_TRUE(std::isnan(results.metrics.loss_sum));
  EXPECT_EQ(layer.device->halted, 1u);
  EXPECT_EQ(layer.device->finite_steps, 0);
  for (std::size_t i = 0; i < results.gradient.size(); ++i)
    EXPECT_EQ(std::isnan(results.gradient[i]), i / 10 == 1) << i;
  for (std::size_t i = 0; i < results.dx.size(); ++i) EXPECT_EQ(std::isnan(results.dx[i]), i / 130 == 1) << i;
  layer.x[130] = 0;
  layer.state() = {0, 0, 1};
  const BatchMetrics halted = layer.step().metrics;
  EXPECT_TRUE(std::isnan(halted.loss_sum));
  EXPECT_EQ(halted.correct, 0);
}

TEST(LinearSoftmax, AnEmptyBatchChangesNothing) {
  simt_host::Executor executor;
  kernels::linear_softmax_cross_entropy({0, 5, 2}, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, {},
                                        {}, nullptr, nullptr, executor.stream());
  EXPECT_TRUE(executor.launches().empty());
}

TEST(LinearSoftmax, RefusesWhatItDoesNotTake) {
  EXPECT_TRUE(kernels::has_linear_softmax({256, 128, 10}));
  for (const LinearShape& s :
       {LinearShape{-1, 5, 2}, {1, 0, 2}, {1, 5, 0}, {1, 2000, 10}, {1, 1 << 30, 1 << 30}}) {
    EXPECT_FALSE(kernels::has_linear_softmax(s));
    EXPECT_THROW(kernels::linear_softmax_cross_entropy(s, nullptr, nullptr, nullptr, nullptr, nullptr,
                                                       nullptr, {}, {}, nullptr, nullptr, {}),
                 std::invalid_argument);
    EXPECT_THROW(kernels::linear_softmax_workspace(s), std::invalid_argument);
  }
  EXPECT_THROW(kernels::linear_softmax_cross_entropy({1, 5, 2}, nullptr, nullptr, nullptr, nullptr, nullptr,
                                                     nullptr, {}, {}, nullptr, nullptr, {}),
               std::invalid_argument);
}

}  // namespace
}  // namespace bntrain
