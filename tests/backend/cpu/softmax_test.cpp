// Softmax cross-entropy over one group.
#include <algorithm>
#include <limits>
#include <numeric>

#include "backend/cpu/kernel_test.hpp"

namespace bntrain::cpu {
namespace {

using support::Guarded;

struct Result {
  double loss = 0;
  std::int64_t correct = 0;
  std::vector<float> gradient;  ///< (valid, classes)
  std::vector<float> dead;
};

class SoftmaxTest : public KernelTest {
 protected:
  /// `labels` are those of the images in order; the kernel finds them through a permutation.
  Result run(const std::vector<float>& logits, const std::vector<std::int64_t>& labels, std::int64_t classes,
             float scale) {
    const int valid = static_cast<int>(labels.size());
    std::vector<std::uint8_t> stored(2 * labels.size());
    std::vector<std::int64_t> indices;
    for (std::size_t n = 0; n < labels.size(); ++n) {
      indices.push_back(static_cast<std::int64_t>(2 * labels.size() - 1 - n));
      stored[at(indices[n])] = static_cast<std::uint8_t>(labels[n]);
    }
    const Guarded in = to_lanes(logits, classes, k.lanes, 1e30f);
    Guarded out(at(classes * k.lanes));
    Result r{10, 20, {}, {}};  // it adds
    k.softmax_cross_entropy(in.data(), classes, stored.data(), indices.data(), valid, scale, out.data(),
                            &r.loss, &r.correct);
    r.loss -= 10;
    r.correct -= 20;
    EXPECT_TRUE(out.complete());
    r.gradient = from_lanes(out.values(), k.lanes, valid);
    for (std::size_t i = 0; i < out.size(); ++i)
      if (static_cast<int>(i) % k.lanes >= valid) r.dead.push_back(out.data()[i]);
    return r;
  }
};

TEST_P(SoftmaxTest, LossHitsAndGradient) {
  for (const std::int64_t classes : {1, 2, 10, 37})
    for (int valid = 1; valid <= k.lanes; ++valid)
      for (const float spread : {1.0f, 30.0f, 1e4f, 1e30f}) {  // the last two saturate
        const auto logits = random(valid * classes, spread, spread);
        std::vector<std::int64_t> labels;
        for (int n = 0; n < valid; ++n) labels.push_back((n * 3 + 1) % classes);
        const auto expected = reference::softmax_cross_entropy(reference::widen(logits), labels, classes);
        const Result r = run(logits, labels, classes, 0.125f);
        EXPECT_NEAR(r.loss, expected.sum, 1e-12 * (1 + std::abs(expected.sum)) * valid);
        EXPECT_EQ(r.correct, expected.correct);
        auto gradient = expected.gradient;
        for (double& value : gradient) value *= 0.125;
        EXPECT_TRUE(support::close(r.gradient, gradient, 0.125 * support::kFloatEps));
        for (const float value : r.dead) EXPECT_EQ(value, 0);
        for (int n = 0; n < valid; ++n)
          EXPECT_NEAR(
              std::accumulate(r.gradient.begin() + n * classes, r.gradient.begin() + (n + 1) * classes, 0.0),
              0, 0.125 * support::kFloatEps * static_cast<double>(classes));
      }
}

TEST_P(SoftmaxTest, EqualLogitsAreOneOverClassesAndTheFirstIsTheGuess) {
  const std::vector<float> logits(10, 5.0f);
  for (const std::int64_t label : {0, 3}) {
    const Result r = run(logits, {label}, 10, 1);
    EXPECT_NEAR(r.loss, std::log(10.0), 1e-12);
    EXPECT_EQ(r.correct, label == 0);
    for (std::size_t i = 0; i < 10; ++i) EXPECT_NEAR(r.gradient[i], i == at(label) ? -0.9 : 0.1, 1e-7);
  }
}

TEST_P(SoftmaxTest, NanAnywhereIsANanLossAndNoHit) {
  for (std::size_t where = 0; where < 4; ++where)
    for (std::int64_t label = 0; label < 4; ++label) {
      std::vector<float> logits{4, 3, 2, 1};
      logits[where] = std::nanf("");
      const Result r = run(logits, {label}, 4, 1);
      EXPECT_TRUE(std::isnan(r.loss)) << where << ", label " << label;
      EXPECT_EQ(r.correct, 0);
    }
}

TEST_P(SoftmaxTest, InfinityIsNotAFiniteLoss) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(std::isfinite(run({kInf, 0}, {0}, 2, 1).loss));
  EXPECT_FALSE(std::isfinite(run({kInf, 0}, {1}, 2, 1).loss));
  EXPECT_FALSE(std::isfinite(run({-kInf, 0}, {0}, 2, 1).loss));
}

BNTRAIN_FOR_EVERY_TABLE(SoftmaxTest);

}  // namespace
}  // namespace bntrain::cpu
