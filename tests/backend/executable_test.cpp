// Whole training steps of many networks against the layer-by-layer reference in double, one step at a time
// from the same state: training amplifies rounding, so free runs would drift apart.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "core/random.hpp"
#include "support/gradcheck.hpp"
#include "support/plan_reference.hpp"
#include "support/small_training.hpp"
#include "support/tolerance.hpp"

namespace bntrain::test {
namespace {

using reference::Rounding;
using support::bound;
using support::kFloatEps;

double distance(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

double length(std::span<const double> values) {
  return distance(values, reference::Values(values.size(), 0.0));
}

/// `actual` is as near to `exact` as float32 lets it be: `rounded` is the reference with float32 between the
/// layers; a backend rounds inside of them too, some ten times as often. `magnitude` is that of what may have
/// cancelled: the gradients in front of a batch norm are next to nothing. `cancelled` of its roundings may be
/// left.
testing::AssertionResult within_rounding(const std::vector<float>& actual, const reference::Values& exact,
                                         const reference::Values& rounded, double magnitude,
                                         std::int64_t cancelled) {
  const double allowed = 10 * distance(rounded, exact) + bound(kFloatEps, 64, length(exact)) +
                         bound(kFloatEps, cancelled, magnitude);
  const double error =
      actual.size() == exact.size() ? distance(reference::widen(actual), exact) : std::nan("");
  if (error <= allowed) return testing::AssertionSuccess();  // not for NaN
  return testing::AssertionFailure() << "off by " << error << " of " << length(exact) << ", allowed "
                                     << allowed;
}

const Shape kImage{2, 13, 11, false};

TrainingSetup setup_of(std::string text, std::int64_t batch, Shape shape = kImage) {
  TrainingSetup setup;
  setup.text = std::move(text);
  setup.shape = shape;
  setup.batch = batch;
  setup.train = 2 * batch + (batch + 2) / 3;  // two full batches and a short one
  return setup;
}

std::vector<TrainingSetup> networks() {
  const std::string lenet = "conv5x5,bn,relu,maxpool2,conv7x3,bn,relu,maxpool2,fc12,relu,fc4";
  std::vector<TrainingSetup> all;
  for (const std::int64_t batch : {1, 3, 7, 16, 17, 100})
    all.push_back(setup_of(lenet, batch, {1, 15, 14, false}));
  all.push_back(setup_of("lenet-bn", 5, {1, 12, 12, false}));
  all.push_back(setup_of("lenet-bn", 5, {1, 12, 12, false}));
  all.back().norm = Norm::none;
  all.push_back(setup_of("mlp-bn", 17, {1, 5, 5, false}));
  for (const char* normalization : {"0.1307/0.3081", "0.5,0.25/0.2,2"}) {
    all.push_back(setup_of("conv4x3p1,bn,relu,maxpool2,fc4", 17));
    all.back().normalization = Normalization::parse(normalization);
  }
  all.push_back(setup_of("conv4x3s2p1,bn,relu,conv6x3s2p1,relu,fc4", 16));
  all.push_back(setup_of("conv3x5s3p2,conv9x2s2p1,bn,fc4", 7));
  all.push_back(setup_of("conv3x3,conv5x2p1,fc4", 17));
  all.push_back(setup_of("bn,conv4x3,bn,relu,fc4", 16));
  all.push_back(setup_of("conv4x3nobias,bn,relu,maxpool2,conv5x3p1nobias,relu,conv3x2nobias,fc4", 17));
  all.push_back(setup_of("fc9nobias,bn,relu,fc8nobias,relu,fc7nobias,fc4nobias", 17));
  all.push_back(setup_of("relu,maxpool2,conv4x3,fc4", 7));
  all.push_back(setup_of("conv4x3,bn,bn,relu,fc4", 7));
  all.push_back(setup_of("conv4x3,relu,bn,conv3x3,relu,bn,fc4", 17));
  all.push_back(setup_of("conv4x3,maxpool2,bn,relu,conv3x2,maxpool2,bn,fc4", 16));
  all.push_back(setup_of("conv4x3p2,bn,relu,maxpool3,conv5x3,bn,maxpool2,fc4", 17));
  all.push_back(setup_of("conv4x3,relu,maxpool2,conv4x2,maxpool3,fc4", 7));
  all.push_back(setup_of("fc9,bn,relu,fc4", 100));
  all.push_back(setup_of("fc9,relu,bn,fc4", 16));
  all.push_back(setup_of("fc9,relu,fc7,fc4", 3));
  all.push_back(setup_of("fc4", 1));
  all.push_back(setup_of("flatten,bn,fc4", 17));
  all.push_back(setup_of("conv3x3,flatten,bn,relu,fc4", 16));
  all.push_back(setup_of("conv3x3,maxpool2,flatten,bn,bn,relu,fc4", 7));
  all.push_back(setup_of("conv3x3,flatten,relu,fc4", 7));
  for (const std::int64_t batch : {1, 17, 100})  // odd planes: 15x14, 5x5
    all.push_back(setup_of("conv4x3p1,bn,sigmoid,avgpool2,conv5x3,bn,sigmoid,avgpool2,fc9,bn,sigmoid,fc4",
                           batch, {1, 15, 14, false}));
  all.push_back(setup_of("d2l-lenet", 17, {1, 16, 16, false}));  // norms over few values are ill-conditioned
  all.push_back(setup_of("d2l-lenet", 7, {1, 16, 16, false}));
  all.back().norm = Norm::none;
  all.push_back(setup_of("mlp3-sigmoid", 17, {1, 5, 5, false}));
  all.push_back(setup_of("mlp3-sigmoid", 16, {1, 5, 5, false}));
  all.back().norm = Norm::none;
  all.push_back(setup_of("conv4x3,bn,sigmoid,maxpool3,conv3x2,sigmoid,maxpool2,fc4", 16));
  all.push_back(setup_of("conv4x3,bn,relu,avgpool3,conv3x2,relu,avgpool2,fc4", 16));
  all.push_back(setup_of("conv4x3,avgpool2,bn,sigmoid,conv3x2,bn,avgpool2,fc4", 7));
  all.push_back(setup_of("avgpool2,sigmoid,conv4x3,sigmoid,relu,fc4", 7));
  all.push_back(setup_of("sigmoid,avgpool3,conv3x2,sigmoid,fc5,sigmoid,fc4", 7));
  all.push_back(setup_of("fc9,sigmoid,bn,fc4", 100));
  all.push_back(setup_of("bn,sigmoid,avgpool2,conv3x3,flatten,sigmoid,fc4", 7));
  for (const char* activation : {"gelu", "silu", "leakyrelu", "leakyrelu0.3"}) {
    const std::string a(activation);
    all.push_back(setup_of("conv4x3,bn," + a + ",maxpool2,conv3x2," + a + ",fc7,bn," + a + ",fc4", 17));
    all.push_back(setup_of("conv4x3," + a + ",maxpool2,conv3x2,bn," + a + ",avgpool2,fc6," + a + ",fc4", 16));
    all.push_back(setup_of(a + ",fc9," + a + ",bn,fc4", 7));
  }
  // In batches of 16 alone: a norm over the 3 values of the last one of 7 would amplify all rounding before
  // it.
  all.push_back(setup_of("conv3x3,res(maxpool2,conv4x1|conv4x2s2,relu),res(flatten,bn|flatten),fc4", 16));
  for (const std::int64_t batch : {16, 7}) {
    all.push_back(setup_of("conv4x3p1,res(conv4x3p1,bn,relu,conv4x3p1,bn),relu,maxpool2,fc4", batch));
    all.push_back(
        setup_of("conv4x3,bn,relu,res(conv6x3s2p1,bn,relu,conv6x3p1,bn|conv6x1s2,bn),relu,fc4", batch));
    all.push_back(
        setup_of("res(conv2x3p1,sigmoid),conv3x2,res(res(conv3x1,gelu),silu,conv3x3p1),bn,fc4", batch));
    all.push_back(setup_of("fc9,res(fc9,bn,relu),res(res(fc9)),leakyrelu,res(bn,relu|fc9),fc4", batch));
    all.push_back(
        setup_of("conv3x3p1,res(bn,gelu,conv3x3p1),res(silu,avgpool2|avgpool2),sigmoid,maxpool2,fc4", batch));
  }
  return all;
}

/// Gammas of both signs and 0, betas and running statistics away from their defaults.
ModelState varied(ModelState state, const Network& network) {
  for (const Parameter& p : network.parameters()) {
    if (p.role != TensorRole::gamma && p.role != TensorRole::beta) continue;
    RandomStream random(5, RandomPurpose::gamma, static_cast<std::uint64_t>(p.offset));
    for (Tensor& tensor : state.tensors)
      if (tensor.name == p.name)
        for (float& value : tensor.floats())
          value = static_cast<float>(p.role == TensorRole::gamma ? random.normal() : 0.3 * random.normal());
    for (Tensor& tensor : state.tensors)
      if (tensor.name == p.name && p.role == TensorRole::gamma) tensor.floats().back() = 0;
  }
  for (const RunningStatistics& r : network.running())
    for (Tensor& tensor : state.tensors) {
      if (tensor.name == tensor_name(network.layer(r.layer), TensorRole::running_mean))
        std::ranges::fill(tensor.floats(), 0.25f);
      if (tensor.name == tensor_name(network.layer(r.layer), TensorRole::running_var))
        std::ranges::fill(tensor.floats(), 0.75f);
    }
  return state;
}

std::vector<std::int64_t> part(const std::vector<std::int64_t>& order, BatchRange range) {
  return {order.begin() + range.first, order.begin() + range.first + range.count};
}

class ExecutableTest : public BackendTest {
 protected:
  /// Three steps of `setup`, each compared with the reference from the state before it.
  void compare_steps(TrainingSetup setup, bool vary = true) {
    setup.backend = GetParam();
    SmallTraining training(setup);
    const Network& network = training.network();
    if (vary) training->load(varied(initial_state(network, setup.init, 1), network));
    const std::vector<std::int64_t> order = epoch_order(setup.train, 3, 0, true);
    training->set_order(order);
    const SgdStep params{.lr = 0.05,
                         .momentum = 0.9,
                         .weight_decay = 1e-3,
                         .gradient_scale = 1 / static_cast<double>(setup.batch)};
    const reference::SgdOptions sgd{params.lr, params.momentum, params.weight_decay, params.gradient_scale};

    reference::State momentum, rounded_momentum;
    for (std::int64_t first = 0; first < setup.train; first += setup.batch) {
      const BatchRange range{first, std::min(setup.batch, setup.train - first)};
      SCOPED_TRACE("images " + std::to_string(first) + " to " + std::to_string(first + range.count));
      reference::State exact = reference::widen(training->save()), rounded = exact;
      const reference::Batch batch = reference::read_batch(training.data().train, part(order, range),
                                                           training.network().normalization());
      const reference::Step step =
          reference::train_step(network, setup.batch_norm, sgd, batch, exact, momentum);
      const reference::Step rounded_step = reference::train_step(
          network, setup.batch_norm, sgd, batch, rounded, rounded_momentum, Rounding::to_float);
      training->train_step(range, params);

      const std::vector<StepMetrics> metrics = training->drain_metrics();
      ASSERT_EQ(metrics.size(), 1u);
      EXPECT_NEAR(metrics[0].loss_sum, step.loss_sum,
                  10 * std::abs(rounded_step.loss_sum - step.loss_sum) + bound(kFloatEps, 64, step.loss_sum));
      EXPECT_EQ(metrics[0].correct, step.correct);
      EXPECT_EQ(metrics[0].count, range.count);

      const ModelState gradients = training->save_gradients(), state = training->save();
      // The derivative of a smooth activation brings roundings of its own; a ReLU's is exact. Where a product
      // is rounded before its bias is added, as by cuBLASLt, each such layer brings one more.
      const bool smooth = std::ranges::any_of(network.layers(), [](const Layer& layer) {
        return layer.kind == LayerKind::activation && layer.activation.kind != ActivationKind::relu;
      });
      const std::int64_t biases = std::ranges::count_if(
          network.layers(), [](const Layer& layer) { return layer.kind == LayerKind::linear && layer.bias; });
      const bool bias_apart = !GetParam().name.starts_with("cpu");
      const std::int64_t cancelled = smooth ? 4 + (bias_apart ? biases : 0) : 1;
      double magnitude = 0;
      for (const auto& [name, gradient] : step.gradients) magnitude = std::max(magnitude, length(gradient));
      for (const auto& [name, gradient] : step.gradients)
        EXPECT_TRUE(within_rounding(gradients.find(name)->floats(), gradient, rounded_step.gradients.at(name),
                                    magnitude, cancelled))
            << "gradient of " << name;
      for (const auto& [name, values] : exact)
        EXPECT_TRUE(within_rounding(state.find(name)->floats(), values, rounded.at(name),
                                    params.lr * magnitude, cancelled))
            << name;
      compare_evaluation(training, setup, BatchRange{first % 5, std::min<std::int64_t>(setup.batch, 11)});
      if (HasFailure()) return;
    }
  }

  void compare_evaluation(SmallTraining& training, const TrainingSetup& setup, BatchRange range) {
    SCOPED_TRACE("evaluation");
    const ModelState before = training->save();
    std::vector<std::int64_t> order(at(setup.test));
    std::iota(order.begin(), order.end(), 0);
    const reference::Loss expected = reference::evaluate(
        training.network(), setup.batch_norm,
        reference::read_batch(training.data().test, part(order, range), training.network().normalization()),
        reference::widen(before));
    training->eval_step(range);
    const std::vector<StepMetrics> metrics = training->drain_metrics();
    ASSERT_EQ(metrics.size(), 1u);
    EXPECT_NEAR(metrics[0].loss_sum, expected.sum, bound(kFloatEps, 64, 2 * expected.sum));
    EXPECT_EQ(metrics[0].correct, expected.correct);
    EXPECT_EQ(metrics[0].count, range.count);
    EXPECT_TRUE(same_bits(before, training->save()));
  }

  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
};

TEST_P(ExecutableTest, StepsAreThoseOfTheReference) {
  for (const TrainingSetup& setup : networks()) {
    SCOPED_TRACE(setup.text + (setup.norm == Norm::none ? " without norm" : "") + ", batches of " +
                 std::to_string(setup.batch));
    compare_steps(setup);
    if (HasFailure()) return;
  }
}

TEST_P(ExecutableTest, BatchNormOptionsAreObeyed) {
  TrainingSetup setup = setup_of("conv4x3,bn,relu,maxpool2,fc5,bn,fc4", 7);
  setup.batch_norm = {.eps = 0.1, .momentum = 0.5, .unbiased = true};
  compare_steps(setup);
}

TEST_P(ExecutableTest, SeveralThreadsAreComparedToo) {
  TrainingSetup setup = setup_of("conv5x3,bn,relu,maxpool2,conv3x3p1,relu,fc4", 100);
  setup.threads = 3;
  compare_steps(setup);
}

TEST_P(ExecutableTest, EveryInitialisation) {
  for (const Init init : {Init::tutorial, Init::gluon, Init::torch, Init::he, Init::xavier}) {
    TrainingSetup setup = setup_of("conv4x3,bn,relu,maxpool2,fc8,relu,fc4", 16);
    setup.init = init;
    compare_steps(setup, false);
  }
}

TEST_P(ExecutableTest, GradientsAreCentralDifferencesOfTheLoss) {
  for (const char* text :
       {"conv3x3,bn,relu,maxpool2,conv4x2,bn,relu,maxpool2,fc6,relu,fc4", "fc6,bn,relu,fc5,relu,fc4",
        "conv3x2,bn,sigmoid,avgpool3,conv3x2,sigmoid,fc5,sigmoid,fc4", "fc6,bn,sigmoid,fc4",
        "conv3x2,bn,gelu,avgpool3,conv3x2,silu,fc5,gelu,fc4", "fc6,silu,bn,leakyrelu0.2,fc4",
        "conv3x3p1,res(conv3x3p1,bn,gelu,conv3x1),silu,res(conv4x3s2p1|conv4x1s2,bn),fc4"}) {
    TrainingSetup setup = setup_of(text, 6, {1, 9, 8, false});
    setup.backend = GetParam();
    SmallTraining training(setup);
    const Network& network = training.network();
    const ModelState start = initial_state(network, Init::torch, 1);
    std::vector<std::int64_t> indices(6);
    std::iota(indices.begin(), indices.end(), 0);
    const reference::Batch batch = reference::read_batch(training.data().train, indices);
    training->train_step({0, 6}, SgdStep{.lr = 0.1, .gradient_scale = 1});
    const ModelState gradients = training->save_gradients();
    const reference::State state = reference::widen(start);
    for (const Parameter& p : network.parameters()) {
      const auto loss = [&](const reference::Values& values) {
        reference::State moved = state;
        moved[p.name] = values;
        return reference::training_loss(network, setup.batch_norm, batch, moved);
      };
      EXPECT_TRUE(support::is_gradient(reference::widen(gradients.find(p.name)->floats()), loss,
                                       state.at(p.name), 2e-5))
          << p.name;
    }
  }
}

TEST_P(ExecutableTest, ABiasInFrontOfABatchNormHasNoGradient) {
  TrainingSetup setup;
  setup.backend = GetParam();
  SmallTraining training(setup);
  training->train_step({0, 16}, SgdStep{});
  const ModelState gradients = training->save_gradients();
  for (const float value : gradients.find("0.bias")->floats()) EXPECT_EQ(value, 0);
}

TEST_P(ExecutableTest, OneValuePerChannelHasNoGradient) {
  for (const char* text : {"fc6,bn,relu,fc4", "fc6,bn,sigmoid,fc4", "fc6,bn,fc4", "fc6,bn,gelu,fc4",
                           "fc6,bn,silu,fc4", "fc6,bn,leakyrelu0.3,fc4"}) {
    TrainingSetup setup;
    setup.text = text;
    setup.backend = GetParam();
    SmallTraining training(setup);
    training->train_step({0, 1}, SgdStep{});
    const ModelState gradients = training->save_gradients();
    for (const float value : gradients.find("1.weight")->floats()) ASSERT_EQ(value, 0);
    for (const float value : gradients.find("2.weight")->floats()) ASSERT_EQ(value, 0);
  }
}

// With one image every variance is 0. A lane without an image is no mean of its channel: each batch norm
// would multiply what it holds by 316, out of the finite numbers after a few layers.
TEST_P(ExecutableTest, LanesWithoutAnImageStayFiniteInDeepNetworks) {
  TrainingSetup setup;
  setup.text = "fc6";
  for (int layer = 0; layer < 24; ++layer) setup.text += ",bn,fc6";
  setup.text += ",bn,fc4";
  setup.backend = GetParam();
  SmallTraining training(setup);
  for (int step = 0; step < 2; ++step) training->train_step({step, 1}, SgdStep{});
  for (const Tensor& tensor : training->save_gradients().tensors)
    for (const float value : tensor.floats()) ASSERT_TRUE(std::isfinite(value)) << tensor.name;
  for (const StepMetrics& metrics : training->drain_metrics()) EXPECT_TRUE(std::isfinite(metrics.loss_sum));
}

TEST_P(ExecutableTest, APlanWithoutTrainingEvaluatesTheSame) {
  for (const char* text : {"conv4x3p1,bn,relu,maxpool2,fc8,relu,fc4", "conv4x3,relu,maxpool2,fc8,bn,fc4"}) {
    TrainingSetup setup;
    setup.text = text;
    setup.backend = GetParam();
    SmallTraining training(setup);
    training->train_step({0, 16}, SgdStep{});
    training->drain_metrics();
    training->eval_step({2, 13});
    const auto backend = GetParam().make(2);
    TestedExecutable inference =
        with_images(backend->compile({training.network(), {}, 16, Purpose::inference}), training.data());
    inference.load(training->save());
    inference.eval_step({2, 13});
    EXPECT_EQ(training->drain_metrics().at(0).loss_sum, inference.drain_metrics().at(0).loss_sum);
  }
}

BNTRAIN_FOR_EVERY_BACKEND(ExecutableTest);

}  // namespace
}  // namespace bntrain::test
