// Folded networks against the unfolded ones, layer by layer in double precision.
#include "network/fold_batch_norm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "support/error_message.hpp"
#include "support/plan_reference.hpp"

namespace bntrain {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr double eps = 1e-5;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr Shape image{2, 7, 6, false};

std::vector<float>& values(ModelState& state, const std::string& name) {
  return const_cast<Tensor*>(state.find(name))->floats();
}

/// Everything random: gamma of both signs, means and variances of many sizes.
ModelState random_state(const Network& network, unsigned seed) {
  ModelState state = initial_state(network, Init::torch, seed);
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  for (const RunningStatistics& norm : network.running()) {
    const std::string& name = network.layer(norm.layer).name;
    for (float& value : values(state, name + ".weight")) value = normal(engine);
    for (float& value : values(state, name + ".bias")) value = normal(engine);
    for (float& value : values(state, name + ".running_mean")) value = normal(engine);
    for (float& value : values(state, name + ".running_var")) value = std::exp(3 * normal(engine));
  }
  return state;
}

/// The largest difference of a logit, and what rounding the folded values to float32 explains: 2^-24 of
/// each, through at most three layers, with room for the sums.
void expect_same_logits(const Network& network, const ModelState& state, const FoldedNetwork& folded) {
  std::mt19937 engine(5);
  std::uniform_real_distribution<double> pixel(0, 1);
  reference::Batch batch{reference::Values(static_cast<std::size_t>(3 * image.size())), {0, 0, 0}};
  for (double& value : batch.images) value = pixel(engine);
  const auto before = reference::inference_logits(network, {.eps = eps}, batch, reference::widen(state));
  const auto after =
      reference::inference_logits(folded.network, {.eps = eps}, batch, reference::widen(folded.state));
  ASSERT_EQ(before.size(), after.size());
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    ASSERT_TRUE(std::isfinite(before[i]) && std::isfinite(after[i]));
    largest = std::max(largest, std::abs(before[i]));
    difference = std::max(difference, std::abs(before[i] - after[i]));
  }
  EXPECT_LE(difference, 16 * std::ldexp(1.0, -24) * largest) << network.text() << ", logits to " << largest;
}

struct FoldCase {
  const char* text;
  const char* folded_text;
};

class FoldBatchNorm : public testing::TestWithParam<FoldCase> {};

TEST_P(FoldBatchNorm, KeepsTheLogits) {
  const Network network = Network::parse(GetParam().text, image, 4);
  for (unsigned seed = 0; seed < 20; ++seed) {
    const ModelState state = random_state(network, seed);
    const FoldedNetwork folded = fold_batch_norm(network, state, eps);
    EXPECT_EQ(folded.network.text(), GetParam().folded_text);
    ASSERT_NO_THROW(check_state(folded.network, folded.state, "folded"));
    expect_same_logits(network, state, folded);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, FoldBatchNorm,
    testing::Values(FoldCase{"conv3x3,bn,relu,fc4", "conv3x3,relu,fc4"},
                    FoldCase{"conv3x3s2p1,bn,relu,conv5x2,bn,relu,fc4", "conv3x3s2p1,relu,conv5x2,relu,fc4"},
                    FoldCase{"fc5,bn,relu,fc4,bn,fc4", "fc5,relu,fc4,fc4"},
                    FoldCase{"conv3x3nobias,bn,relu,fc5nobias,bn,fc4nobias", "conv3x3,relu,fc5,fc4nobias"},
                    FoldCase{"conv3x3p1nobias,bn,bn,relu,fc4", "conv3x3p1,relu,fc4"},
                    FoldCase{"conv3x3,bn,bn,relu,fc4", "conv3x3,relu,fc4"},
                    FoldCase{"bn,conv3x3,bn,relu,fc4", "bn,conv3x3,relu,fc4"},
                    FoldCase{"conv3x3,relu,bn,fc4", "conv3x3,relu,bn,fc4"},
                    FoldCase{"conv3x3,flatten,bn,fc4", "conv3x3,flatten,bn,fc4"},
                    FoldCase{"conv3x3,flatten,relu,fc4", "conv3x3,flatten,relu,fc4"}));

TEST(FoldBatchNormNames, SayWhatWasFoldedAndKept) {
  const Network network = Network::parse("bn,conv3x3,bn,relu,bn,fc5,bn,fc4", image, 4);
  const FoldedNetwork folded = fold_batch_norm(network, random_state(network, 1), eps);
  EXPECT_THAT(folded.folded, ElementsAre("2 bn", "7 bn"));
  EXPECT_THAT(folded.kept, ElementsAre("0 bn", "4 bn"));
}

class FoldBatchNormEdges : public testing::Test {
 protected:
  FoldedNetwork folded(double with_eps = eps) const { return fold_batch_norm(network_, state_, with_eps); }
  float weight(const FoldedNetwork& result, std::size_t channel) const {
    return result.state.find("0.weight")->floats()[channel * 18];
  }
  float bias(const FoldedNetwork& result, std::size_t channel) const {
    return result.state.find("0.bias")->floats()[channel];
  }

  Network network_ = Network::parse("conv3x3,bn,fc4", image, 4);
  ModelState state_ = random_state(network_, 3);
};

TEST_F(FoldBatchNormEdges, AVarianceOfZeroWithoutEpsGivesBeta) {
  values(state_, "1.running_var") = {0, 1, infinity};
  const FoldedNetwork result = folded(0);
  for (const std::size_t channel : {0U, 2U}) {
    EXPECT_EQ(weight(result, channel), 0);
    EXPECT_EQ(bias(result, channel), values(state_, "1.bias")[channel]);
  }
  EXPECT_NE(weight(result, 1), 0);
}

TEST_F(FoldBatchNormEdges, AVarianceOfZeroLeavesEps) {
  values(state_, "1.running_var") = {0, 0, 0};
  expect_same_logits(network_, state_, folded());
  EXPECT_NE(weight(folded(), 0), 0);
}

TEST_F(FoldBatchNormEdges, GammaOfZeroGivesBeta) {
  values(state_, "1.weight") = {0, -0.0f, 1};
  const FoldedNetwork result = folded();
  EXPECT_EQ(weight(result, 0), 0);
  EXPECT_EQ(bias(result, 1), values(state_, "1.bias")[1]);
  expect_same_logits(network_, state_, result);
}

TEST_F(FoldBatchNormEdges, NegativeGammaTurnsTheWeights) {
  values(state_, "1.weight")[0] = -2;
  const float before = values(state_, "0.weight")[0];
  EXPECT_LT(weight(folded(), 0) * before, 0);
  expect_same_logits(network_, state_, folded());
}

TEST_F(FoldBatchNormEdges, ANumberBeyondFloatIsRefusedByNameOfItsChannel) {
  values(state_, "1.weight")[2] = 1e38f;
  values(state_, "1.running_var")[2] = 0;
  EXPECT_THAT(error_message(ErrorKind::runtime, [&] { folded(1e-12); }),
              HasSubstr("fold: channel 2 of 1 bn cannot be folded"));
}

TEST_F(FoldBatchNormEdges, NaNIsRefused) {
  values(state_, "1.running_mean")[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error_message(ErrorKind::runtime, [&] { folded(); }), HasSubstr("channel 1 of 1 bn"));
}

TEST_F(FoldBatchNormEdges, ANetworkWithoutNormIsUnchanged) {
  const Network network = Network::parse("conv3x3,relu,fc4", image, 4);
  const ModelState state = initial_state(network, Init::torch, 1);
  const FoldedNetwork result = fold_batch_norm(network, state, eps);
  EXPECT_THAT(result.folded, IsEmpty());
  EXPECT_EQ(result.state.find("0.weight")->floats(), state.find("0.weight")->floats());
}

}  // namespace
}  // namespace bntrain
