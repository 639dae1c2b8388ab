// What a training run records of its inside, judged by the reference in double.
#include "train/probe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/state.hpp"
#include "bntrain/train.hpp"
#include "core/random.hpp"
#include "support/plan_reference.hpp"
#include "support/small_training.hpp"

namespace bntrain::test {
namespace {

using reference::LayerValue;
using reference::Values;
using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::IsNan;

struct Records : TrainObserver {
  void on_record(const StepRecord& record) override { steps.push_back(record); }
  std::vector<StepRecord> steps;
};

std::vector<std::string> layers_of(const StepRecord& record) {
  std::vector<std::string> names;
  for (const NormRecord& norm : record.norms) names.push_back(norm.layer);
  for (const ActivationRecord& activation : record.activations) names.push_back(activation.layer);
  return names;
}

double norm_of(const Values& values) {
  double squares = 0;
  for (const double v : values) squares += v * v;
  return std::sqrt(squares);
}

/// The values of one channel of (images, channels, positions).
Values channel(const Values& values, std::int64_t channels, std::int64_t positions, std::int64_t which) {
  Values result;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (static_cast<std::int64_t>(i) / positions % channels == which) result.push_back(values[i]);
  return result;
}

void expect_percentiles(const Percentiles& actual, Values values) {
  std::ranges::sort(values);
  for (std::size_t i = 0; i < percents.size(); ++i) {
    const double position = percents[i] / 100.0 * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const double upper = values[std::min(below + 1, values.size() - 1)];
    const double share = position - static_cast<double>(below);
    EXPECT_NEAR(actual[i], values[below] + (upper - values[below]) * share, 2e-5) << percents[i];
  }
}

class ProbeTest : public BackendTest {
 protected:
  ProbeTest() {
    config.network = "conv4x3,bn,relu,maxpool2,fc6,bn,relu,fc4";
    config.batch_size = 16;
    config.epochs = 2;
    config.optimizer.lr = 0.05;
    config.optimizer.momentum = 0.5;
    config.init = Init::torch;
    config.log_every = 1;
    config.record = {true, true};
  }

  std::vector<StepRecord> records() {
    const auto backend = GetParam().make(1);
    Records observer;
    Trainer(config, data, *backend).run(observer, stop);
    return observer.steps;
  }

  ModelState state_after(std::int64_t steps, RecordOptions record) {
    TrainConfig other = config;
    other.steps = steps;
    other.record = record;
    const auto backend = GetParam().make(1);
    Trainer trainer(other, data, *backend);
    TrainObserver silent;
    trainer.run(silent, stop);
    return trainer.save();
  }

  /// `record` is that of its step, which starts from `state`.
  void compare(const StepRecord& record, const ModelState& state) {
    const Network network = Network::parse(config.network, data.train.shape, data.classes, config.norm);
    const std::int64_t steps = (data.train.count + config.batch_size - 1) / config.batch_size;
    const auto order = epoch_order(data.train.count, config.seed, record.step / steps, true);
    const std::int64_t first = record.step % steps * config.batch_size;
    const std::int64_t count = std::min(config.batch_size, data.train.count - first);
    const reference::Batch batch = reference::read_batch(
        data.train,
        std::span(order).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
    const std::vector<LayerValue> inputs =
        reference::layer_values(network, config.batch_norm, 1 / static_cast<double>(config.batch_size), batch,
                                reference::widen(state));
    for (const NormRecord& norm : record.norms) {
      SCOPED_TRACE("step " + std::to_string(record.step) + ", " + norm.layer);
      const auto at = static_cast<std::size_t>(std::stoi(norm.layer));
      const Layer& layer = network.layers()[at];
      ASSERT_EQ(layer.kind, LayerKind::batch_norm);
      expect_percentiles(norm.input, inputs[at].value);
      // Relative: behind a batch norm the gradients of 16 images cancel.
      const double out = norm_of(inputs[at + 1].gradient), in = norm_of(inputs[at].gradient);
      EXPECT_NEAR(norm.gradient_norm_output, out, 1e-4 * out);
      EXPECT_NEAR(norm.gradient_norm_input, in, 1e-4 * in);
      ASSERT_EQ(norm.channels.size(), static_cast<std::size_t>(layer.input.channels));
      const reference::NormShape shape{count, layer.input.channels, layer.input.spatial()};
      const Values ones(norm.channels.size(), 1.0);
      const reference::NormForward forward =
          reference::norm_forward(inputs[at].value, ones, ones, shape, config.batch_norm.eps);
      const auto tensor = [&](const char* name) { return state.find(layer.name + "." + name)->floats(); };
      for (std::size_t c = 0; c < norm.channels.size(); ++c) {
        const NormChannel& actual = norm.channels[c];
        EXPECT_NEAR(actual.batch_mean, forward.mean[c], 2e-6);
        EXPECT_NEAR(actual.batch_var, forward.var[c], 1e-5 * forward.var[c]);
        EXPECT_EQ(actual.running_mean, tensor("running_mean")[c]);
        EXPECT_EQ(actual.running_var, tensor("running_var")[c]);
        EXPECT_EQ(actual.gamma, tensor("weight")[c]);
        EXPECT_EQ(actual.beta, tensor("bias")[c]);
      }
    }
    for (const ActivationRecord& activation : record.activations) {
      SCOPED_TRACE("step " + std::to_string(record.step) + ", " + activation.layer);
      const auto at = static_cast<std::size_t>(std::stoi(activation.layer));
      const Layer& layer = network.layers()[at];
      const Values& input = inputs[at].value;
      expect_percentiles(activation.all, input);
      expect_percentiles(activation.unit, channel(input, layer.input.channels, layer.input.spatial(), 0));
    }
  }

  const Dataset data = make_synthetic({{1, 8, 7, false}, 4, 40, 16, 7, 0.5});  // batches of 16, 16 and 8
  TrainConfig config;
  std::atomic<bool> stop{false};
};

TEST_P(ProbeTest, SeesEachStepBeforeItsUpdateWithItsBatch) {
  const std::vector<StepRecord> steps = records();
  ASSERT_EQ(steps.size(), 6u);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i].step, static_cast<std::int64_t>(i));
    EXPECT_THAT(layers_of(steps[i]), ElementsAre("1 bn", "6 bn", "2 relu", "7 relu"));
    const ModelState before =
        i == 0 ? initial_state(Network::parse(config.network, data.train.shape, 4), config.init, config.seed)
               : state_after(steps[i].step, {});
    compare(steps[i], before);
  }
}

TEST_P(ProbeTest, TrainsToTheSameBits) {
  for (const std::int64_t interval : {0, 1, 4}) {
    config.log_every = interval;
    EXPECT_TRUE(same_bits(state_after(6, {true, true}), state_after(6, {}))) << interval;
  }
}

TEST_P(ProbeTest, WorksWithoutBatchNorm) {
  config.norm = Norm::none;
  config.log_every = 5;
  const std::vector<StepRecord> steps = records();
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_THAT(layers_of(steps[0]), ElementsAre("1 relu", "5 relu"));
  compare(steps[1], state_after(5, {}));
}

TEST_P(ProbeTest, RecordsOnlyWhatIsAskedFor) {
  config.record = {.norms = true};
  EXPECT_THAT(layers_of(records().at(0)), ElementsAre("1 bn", "6 bn"));
  config.record = {.activations = true};
  EXPECT_THAT(layers_of(records().at(0)), ElementsAre("2 relu", "7 relu"));
  config.record = {};
  EXPECT_THAT(records(), IsEmpty());
}

TEST_P(ProbeTest, HistogramsAreOfTheSameInputs) {
  config.steps = 1;
  for (const bool asked : {false, true}) {
    config.record.histograms = asked;
    const auto steps = records();
    ASSERT_EQ(steps.size(), 1U);
    const NormRecord& norm = steps[0].norms.at(0);
    const ActivationRecord& activation = steps[0].activations.at(0);
    ASSERT_EQ(norm.histogram.count > 0, asked);
    ASSERT_EQ(activation.histogram.count > 0, asked);
    if (!asked) continue;
    double mean = 0;
    for (const NormChannel& channel : norm.channels)
      mean += channel.batch_mean / static_cast<double>(norm.channels.size());
    EXPECT_NEAR(norm.histogram.sum / static_cast<double>(norm.histogram.count), mean, 1e-6);
    EXPECT_LE(norm.histogram.min, norm.input.front());
    EXPECT_GE(norm.histogram.max, norm.input.back());
    EXPECT_LE(activation.histogram.min, activation.all.front());
    EXPECT_GE(activation.histogram.max, activation.all.back());
  }
}

TEST_P(ProbeTest, WithoutAnIntervalLooksEvery50Steps) {
  config.log_every = 0;
  config.steps = 101;
  EXPECT_THAT(records(), ElementsAre(Field(&StepRecord::step, 0), Field(&StepRecord::step, 50),
                                     Field(&StepRecord::step, 100)));
}

TEST_P(ProbeTest, ABatchNormOnTheImagesHasNoGradientInFront) {
  config.network = "bn,fc4";
  const StepRecord record = records().at(0);
  EXPECT_THAT(record.norms.at(0).gradient_norm_input, IsNan());
  EXPECT_GT(record.norms.at(0).gradient_norm_output, 0);
}

// The weights of one channel of the first convolution: the batch norm behind it keeps the others alive.
TEST_P(ProbeTest, NanInTheNetworkIsNanInTheRecord) {
  ModelState state = initial_state(Network::parse(config.network, data.train.shape, 4), config.init, 0);
  state.tensors.at(0).floats().at(0) = std::numeric_limits<float>::quiet_NaN();
  const auto backend = GetParam().make(1);
  Trainer trainer(config, data, *backend);
  load_state(trainer.executable(), state);
  Records observer;
  EXPECT_EQ(trainer.run(observer, stop).end, TrainEnd::diverged);
  ASSERT_EQ(observer.steps.size(), 1u);
  const NormRecord& norm = observer.steps[0].norms.at(0);
  EXPECT_THAT(norm.input, Each(IsNan()));
  EXPECT_THAT(norm.channels.at(0).batch_mean, IsNan());
  EXPECT_THAT(norm.channels.at(0).batch_var, IsNan());
  EXPECT_TRUE(std::isfinite(norm.channels.at(1).batch_mean));
  EXPECT_TRUE(std::isfinite(norm.channels.at(1).batch_var));
  EXPECT_THAT(norm.gradient_norm_input, IsNan());
  EXPECT_THAT(norm.gradient_norm_output, IsNan());
  EXPECT_THAT(observer.steps[0].activations.at(1).all, Each(IsNan()));
}

BNTRAIN_FOR_EVERY_BACKEND(ProbeTest);

}  // namespace
}  // namespace bntrain::test
