// The sums of batch norms of fully connected layers, over all groups at once, against two passes in double.
#include <cmath>
#include <vector>

#include "backend/cpu/kernel_test.hpp"

namespace bntrain::cpu {
namespace {

using support::Guarded;

constexpr std::int64_t kChannels = 5;

class FeatureNormTest : public KernelTest {
 protected:
  /// (images, kChannels) -> [group][channel][lane]; lanes without an image repeat the group's first, as
  /// everywhere.
  Guarded groups(const std::vector<float>& images) const {
    const auto count = static_cast<std::int64_t>(images.size()) / kChannels;
    std::vector<float> all(at((count + k.lanes - 1) / k.lanes * kChannels * k.lanes));
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(all.size()); ++i) {
      const std::int64_t lane = i % k.lanes, channel = i / k.lanes % kChannels;
      const std::int64_t first = i / k.lanes / kChannels * k.lanes;
      const std::int64_t image = first + lane < count ? first + lane : first;
      all[at(i)] = images[at(image * kChannels + channel)];
    }
    return Guarded(all);
  }
  std::vector<Moments> moments(const std::vector<float>& images, std::int64_t first = 0,
                               std::int64_t last = kChannels) const {
    std::vector<Moments> result(at(kChannels), Moments{-7, -7});
    const auto count = static_cast<std::int64_t>(images.size()) / kChannels;
    k.feature_moments(kChannels, count, first, last, groups(images).data(), result.data());
    return result;
  }
};

// Whole groups and short ones, one image, and more groups than a float32 sum takes.
constexpr std::int64_t kBatches[] = {1, 2, 3, 15, 16, 17, 40, 256, 1500};

TEST_P(FeatureNormTest, MomentsAreTwoPassWhateverTheMean) {
  for (const std::int64_t batch : kBatches) {
    SCOPED_TRACE("images " + std::to_string(batch));
    std::vector<float> x = random(batch * kChannels);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += static_cast<float>(std::pow(10.0, i % kChannels) - 1);
    const std::vector<Moments> result = moments(x);
    for (std::int64_t c = 0; c < kChannels; ++c) {
      double mean = 0, m2 = 0;
      for (std::int64_t n = 0; n < batch; ++n) mean += x[at(n * kChannels + c)];
      mean /= static_cast<double>(batch);
      for (std::int64_t n = 0; n < batch; ++n) m2 += std::pow(x[at(n * kChannels + c)] - mean, 2);
      const double deviation = std::sqrt(m2 / static_cast<double>(batch));
      EXPECT_NEAR(result[at(c)].mean, mean, support::bound(support::kFloatEps, 64, deviation)) << c;
      EXPECT_NEAR(result[at(c)].m2, m2, support::bound(support::kFloatEps, 64, m2)) << c;
    }
  }
}

TEST_P(FeatureNormTest, EqualValuesHaveExactlyNoVariance) {
  for (const float value : {0.0f, 0.1f, -100.3f, 1e7f, 3e38f})
    for (const std::int64_t batch : kBatches)
      for (const Moments& m : moments(std::vector<float>(at(batch * kChannels), value))) {
        EXPECT_EQ(m.mean, static_cast<double>(value)) << batch;
        EXPECT_EQ(m.m2, 0) << batch;
      }
}

TEST_P(FeatureNormTest, NanAndInfinityStayInTheirChannel) {
  std::vector<float> x = random(40 * kChannels);
  const std::vector<Moments> clean = moments(x);
  x[at(7 * kChannels + 1)] = std::nanf("");
  x[at(39 * kChannels + 3)] = INFINITY;
  const std::vector<Moments> result = moments(x);
  for (const std::size_t c : {1u, 3u}) EXPECT_FALSE(std::isfinite(result[c].m2)) << c;
  for (const std::size_t c : {0u, 2u, 4u}) {
    EXPECT_EQ(result[c].mean, clean[c].mean);
    EXPECT_EQ(result[c].m2, clean[c].m2);
  }
}

TEST_P(FeatureNormTest, OnlyTheChannelsAskedForAreWritten) {
  const std::vector<float> x = random(20 * kChannels);
  const std::vector<Moments> all = moments(x), some = moments(x, 1, 3);
  for (std::size_t c = 0; c < at(kChannels); ++c)
    EXPECT_EQ(some[c].mean, c == 1 || c == 2 ? all[c].mean : -7) << c;
}

TEST_P(FeatureNormTest, BackwardSumsAreThoseOfTheGroups) {
  const BlockShape shape{kChannels, 1, 1, 1, 1, 1, true, false, {ActivationKind::relu}};
  for (const std::int64_t batch : {k.lanes, 3 * k.lanes, 70 * k.lanes}) {
    const Guarded x = groups(random(batch * kChannels)), dy = groups(random(batch * kChannels));
    const auto mean = random(kChannels), inv_std = random(kChannels, 1, 0.1f), gamma = random(kChannels, 1),
               beta = random(kChannels);
    const NormCoefficients norm{mean.data(), inv_std.data(), gamma.data(), beta.data(), nullptr, nullptr};
    const std::int64_t count = batch / k.lanes, floats = kChannels * k.lanes;
    Guarded y(x.size());
    std::vector<double> sums(at(2 * kChannels), -7), expected(sums.size(), 0), magnitude(sums.size(), 0);
    for (std::int64_t g = 0; g < count; ++g)
      k.block_forward(shape, x.data() + g * floats, norm, y.data() + g * floats);
    k.feature_backward_sums(shape, count, 0, kChannels, x.data(), y.data(), dy.data(), norm, sums.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t c = i / at(k.lanes) % at(kChannels);
      const double g = y.data()[i] > 0 ? dy.data()[i] : 0;
      const double xhat = (static_cast<double>(x.data()[i]) - mean[c]) * inv_std[c];
      expected[2 * c] += g;
      expected[2 * c + 1] += g * xhat;
      magnitude[2 * c] += std::abs(g);
      magnitude[2 * c + 1] += std::abs(g) * (std::abs(x.data()[i]) + std::abs(mean[c])) * inv_std[c];
    }
    for (std::size_t i = 0; i < sums.size(); ++i)
      EXPECT_NEAR(sums[i], expected[i], support::bound(support::kFloatEps, 64, magnitude[i])) << i;
  }
}

BNTRAIN_FOR_EVERY_TABLE(FeatureNormTest);

}  // namespace
}  // namespace bntrain::cpu
