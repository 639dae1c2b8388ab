// ModelEvaluation on every backend against the reference in double.
#include "bntrain/evaluate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "bntrain/model_file.hpp"
#include "core/confusion.hpp"
#include "support/backends.hpp"
#include "support/plan_reference.hpp"
#include "support/small_training.hpp"

namespace bntrain::test {
namespace {

constexpr std::int64_t kImages = 40, kBatch = 16;  // two full batches and one of 8
constexpr std::int64_t kClasses = 4;
constexpr double kTolerance = 2e-5;  // of float32 through three or four layers, relative to numbers around 1

std::vector<std::string> networks() {
  return {"conv4x3,bn,relu,maxpool2,conv3x2,bn,relu,fc8,relu,fc4",  // a convolution's bias goes into the mean
          "bn,conv4x3,relu,bn,fc9,bn,relu,fc4",  // statistics of images, of a ReLU, of an fc
          "conv3x3,flatten,bn,bn,fc4"};          // of single features, and twice
}

class EvaluationTest : public BackendTest {
 protected:
  void use(const std::string& text) {
    network_ = Network::parse(text, images_.shape, kClasses);
    state_ = initial_state(network_, Init::torch, 1);
    for (const Parameter& p : network_.parameters()) {
      if (p.role != TensorRole::gamma) continue;
      float value = -0.5f;  // of both signs: a pool in front of them changes its mind
      for (float& gamma : tensor(p.name)) gamma = value = value > 1 ? -0.5f : value + 0.75f;
    }
    for (const RunningStatistics& norm : network_.running()) {
      std::ranges::fill(tensor(tensor_name(network_.layer(norm.layer), TensorRole::running_mean)), 0.25f);
      std::ranges::fill(tensor(tensor_name(network_.layer(norm.layer), TensorRole::running_var)), 0.75f);
    }
  }

  std::vector<float>& tensor(const std::string& name) {
    return std::ranges::find(state_.tensors, name, &Tensor::name)->floats();
  }

  Evaluator evaluator(std::int64_t batch = kBatch) {
    Evaluator result(network_, options_, images_, batch, *backend_);
    result.load(state_);
    return result;
  }

  reference::Batch images(std::int64_t first, std::int64_t count) const {
    std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
    std::iota(indices.begin(), indices.end(), first);
    return reference::read_batch(images_, indices);
  }

  /// Statistics over all images at once are what batch norms meet in one step on all of them.
  reference::State population() {
    reference::State state = reference::widen(state_), momentum;
    reference::train_step(network_, {.eps = options_.eps, .momentum = 0}, {.lr = 0}, images(0, kImages),
                          state, momentum);
    return state;
  }

  /// What the logits say is what the metrics say.
  void expect_consistent(const ModelEvaluation& found) const {
    ASSERT_EQ(found.logits.size(), static_cast<std::size_t>(kImages * kClasses));
    const ConfusionMatrix confusion(kClasses, found.logits, images_.labels);
    EXPECT_EQ(found.metrics.count, kImages);
    EXPECT_EQ(static_cast<double>(confusion.correct()) / kImages, found.metrics.accuracy);
    double loss = 0;
    for (std::size_t i = 0; i < images_.labels.size(); ++i)
      loss -= std::log(softmax(std::span(found.logits).subspan(i * kClasses, kClasses))[images_.labels[i]]);
    EXPECT_NEAR(found.metrics.loss, loss / kImages, 1e-6);
  }

  const ImageSet images_ = make_synthetic({{1, 10, 9, false}, kClasses, kImages, 4, 7, 0.5}).train;
  const BatchNormOptions options_{.eps = 1e-3};
  std::unique_ptr<Backend> backend_;
  Network network_;
  ModelState state_;

  void SetUp() override {
    BackendTest::SetUp();
    if (!IsSkipped()) backend_ = GetParam().make(2);
  }
};

TEST_P(EvaluationTest, WithRunningStatisticsIsTheReferences) {
  for (const std::string& text : networks()) {
    SCOPED_TRACE(text);
    use(text);
    const reference::Loss expected =
        reference::evaluate(network_, options_, images(0, kImages), reference::widen(state_));
    const ModelEvaluation found = evaluator().evaluate();
    EXPECT_NEAR(found.metrics.loss, expected.sum / kImages, kTolerance);
    EXPECT_EQ(found.metrics.accuracy, static_cast<double>(expected.correct) / kImages);
    for (std::int64_t image = 0; image < kImages; ++image) {
      const auto at = static_cast<std::size_t>(image * kClasses);
      const std::vector<double> p = softmax(std::span(found.logits).subspan(at, kClasses));
      for (std::size_t c = 0; c < p.size(); ++c) {
        const double hit = images_.labels[static_cast<std::size_t>(image)] == c ? 1 : 0;
        EXPECT_NEAR(p[c], expected.gradient[at + c] + hit, kTolerance) << "image " << image << " class " << c;
      }
    }
    expect_consistent(found);
  }
}

TEST_P(EvaluationTest, ByBatchIsATrainingPassOverEachBatch) {
  for (const std::string& text : networks()) {
    SCOPED_TRACE(text);
    use(text);
    double expected = 0;
    for (std::int64_t first = 0; first < kImages; first += kBatch)
      expected += reference::training_loss(
          network_, options_, images(first, std::min(kBatch, kImages - first)), reference::widen(state_));
    Evaluator by_batch = evaluator();
    const ModelEvaluation found = by_batch.evaluate_by_batch();
    EXPECT_NEAR(found.metrics.loss, expected / kImages, kTolerance);
    expect_consistent(found);
    EXPECT_TRUE(same_bits(by_batch.save(), state_));
  }
}

TEST_P(EvaluationTest, RecomputedStatisticsAreThoseOfAllImages) {
  for (const std::string& text : networks()) {
    use(text);
    const reference::State expected = population();
    for (const std::int64_t batch : {std::int64_t{1}, kBatch, kImages, 3 * kImages}) {
      SCOPED_TRACE(text + " in batches of " + std::to_string(batch));
      Evaluator recomputing = evaluator(batch);
      const ModelState found = recomputing.recompute_statistics(state_);
      for (const Tensor& moved : found.tensors) {
        if (!moved.name.ends_with("running_mean") && !moved.name.ends_with("running_var")) {
          EXPECT_EQ(moved.values, state_.find(moved.name)->values) << moved.name;
          continue;
        }
        for (std::size_t c = 0; c < moved.floats().size(); ++c)
          EXPECT_NEAR(moved.floats()[c], expected.at(moved.name)[c],
                      kTolerance * std::max(1.0, std::abs(expected.at(moved.name)[c])))
              << moved.name << " channel " << c;
      }
      EXPECT_TRUE(same_bits(recomputing.save(), found));  // they are loaded
    }
  }
}

TEST_P(EvaluationTest, RecomputedOverOneBatchIsThatBatchsOwn) {
  for (const std::string& text : networks()) {
    SCOPED_TRACE(text);
    use(text);
    Evaluator whole = evaluator(kImages);
    const ModelEvaluation by_batch = whole.evaluate_by_batch();
    whole.recompute_statistics(state_);
    EXPECT_NEAR(whole.evaluate().metrics.loss, by_batch.metrics.loss, kTolerance);
  }
}

TEST_P(EvaluationTest, NeedsImagesAndABatch) {
  use(networks().front());
  EXPECT_THROW(evaluator(0), std::logic_error);
  ImageSet none = images_;
  none.count = 0;
  EXPECT_THROW(Evaluator(network_, options_, none, kBatch, *backend_), std::logic_error);
}

TEST_P(EvaluationTest, NaNIsUndecidedAndWrong) {
  use(networks().front());
  tensor("10.bias")[2] = std::nanf("");
  const ModelEvaluation found = evaluator().evaluate();
  EXPECT_EQ(found.metrics.accuracy, 0);
  EXPECT_FALSE(std::isfinite(found.metrics.loss));
  EXPECT_EQ(ConfusionMatrix(kClasses, found.logits, images_.labels).undecided_count(), kImages);
}

BNTRAIN_FOR_EVERY_BACKEND(EvaluationTest);

}  // namespace
}  // namespace bntrain::test
