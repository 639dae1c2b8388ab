// Gathering, borders, layouts, merging, sums, the updates.
#include <algorithm>
#include <numeric>

#include "backend/cpu/kernel_test.hpp"
#include "support/plan_reference.hpp"

namespace bntrain::cpu {
namespace {

using support::Guarded;

class ElementwiseTest : public KernelTest {};

TEST_P(ElementwiseTest, GatherDividesBy255AndRepeatsTheFirstImage) {
  constexpr std::int64_t kImages = 40, kPixels = 256;
  std::vector<std::uint8_t> pixels(at(kImages * kPixels));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
  std::vector<std::int64_t> indices;
  for (int lane = 0; lane < k.lanes; ++lane) indices.push_back((lane * 17 + 5) % kImages);
  for (int valid = 1; valid <= k.lanes; ++valid) {
    Guarded out(at(kPixels * k.lanes));
    // No index behind the last image may be read.
    const std::vector<std::int64_t> exact(indices.begin(), indices.begin() + valid);
    k.gather(pixels.data(), kPixels, exact.data(), valid, {}, out.data());
    EXPECT_TRUE(out.complete());
    for (std::int64_t p = 0; p < kPixels; ++p)
      for (int lane = 0; lane < k.lanes; ++lane) {
        const std::int64_t image = exact[at(lane < valid ? lane : 0)];
        ASSERT_EQ(out.data()[p * k.lanes + lane],
                  static_cast<float>(pixels[at(image * kPixels + p)]) / 255.0f);
      }
  }
}

TEST_P(ElementwiseTest, GatherNormalisesByChannel) {
  constexpr std::int64_t kSpatial = 85, kPixels = 3 * kSpatial;
  std::vector<std::uint8_t> pixels(at(kPixels));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 7);
  const float mean[] = {0.485f, 0.456f, -3}, std[] = {0.229f, 0.225f, 1e-3f};
  const std::vector<std::int64_t> indices(at(k.lanes), 0);
  Guarded out(at(kPixels * k.lanes));
  k.gather(pixels.data(), kPixels, indices.data(), k.lanes, {mean, std, kSpatial}, out.data());
  EXPECT_TRUE(out.complete());
  for (std::int64_t p = 0; p < kPixels; ++p) {
    const std::size_t channel = at(p / kSpatial);
    const float centred = static_cast<float>(pixels[at(p)]) / 255.0f - mean[channel];
    for (int lane = 0; lane < k.lanes; ++lane)
      ASSERT_EQ(out.data()[p * k.lanes + lane], centred / std[channel]);
  }
}

TEST_P(ElementwiseTest, PadWritesTheMiddle) {
  for (const std::int64_t padding : {1, 2, 4}) {
    const Planes in{3, 4, 5}, out{3, 4 + 2 * padding, 5 + 2 * padding};
    const auto x = random(in.size() * k.lanes);
    Guarded result(std::vector<float>(at(out.size() * k.lanes), 0.0f));
    k.pad(Guarded(x).data(), in.channels, in.height, in.width, padding, result.data());
    const GradientLayout middle{out.height * out.width, out.width, 1, padding * out.width + padding};
    EXPECT_TRUE(std::ranges::equal(result.values(), spread(x, in, middle, out.size(), k.lanes, 0)));
    EXPECT_TRUE(result.intact());
  }
}

TEST_P(ElementwiseTest, RelayoutLeavesTheGapsAlone) {
  const Planes planes{3, 4, 5};
  const auto x = random(planes.size() * k.lanes);
  for (const GradientLayout& layout :
       {dense(planes), GradientLayout{4 * 13, 13, 2, 1}, GradientLayout{4 * 17, 17, 3, 2}}) {
    const std::int64_t vectors = planes.channels * layout.channel;
    Guarded out(std::vector<float>(at(vectors * k.lanes), 7.0f));
    k.relayout(planes.channels, planes.height, planes.width, Guarded(x).data(), layout, out.data());
    EXPECT_TRUE(std::ranges::equal(out.values(), spread(x, planes, layout, vectors, k.lanes, 7)));
    EXPECT_TRUE(out.intact());
  }
}

TEST_P(ElementwiseTest, MergeAddsInOrder) {
  for (const std::int64_t size : {1, 3, 16, 100}) {
    const std::int64_t stride = size + 5;
    auto partials = random(4 * stride);
    partials[0] = 1e8f;  // the order shows
    partials[at(stride)] = 1;
    partials[at(2 * stride)] = -1e8f;
    for (std::int64_t count = 1; count <= 4; ++count) {
      std::vector<float> expected(partials.begin(), partials.begin() + size);
      for (std::int64_t p = 1; p < count; ++p)
        for (std::int64_t i = 0; i < size; ++i) expected[at(i)] += partials[at(p * stride + i)];
      Guarded sum(at(size));
      k.merge(partials.data(), count, stride, size, sum.data());
      EXPECT_TRUE(std::ranges::equal(sum.values(), expected));
      EXPECT_TRUE(sum.intact());
    }
  }
}

TEST_P(ElementwiseTest, AddsAndActivates) {
  for (const Activation activation :
       {Activation{}, {ActivationKind::relu}, {ActivationKind::leaky_relu, 0.5f}}) {
    const auto a = random(13 * k.lanes), b = random(13 * k.lanes);
    reference::Values sum;
    for (std::size_t i = 0; i < a.size(); ++i) sum.push_back(a[i] + b[i]);
    Guarded out(a.size());
    k.add(activation, 13, Guarded(a).data(), Guarded(b).data(), out.data());
    const reference::Values expected = reference::activation_forward(activation, sum);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(out.data()[i], static_cast<float>(expected[i]));
    EXPECT_TRUE(out.intact());
  }
}

TEST_P(ElementwiseTest, SgdIsThatOfTheReference) {
  for (const UpdateRule rule : {UpdateRule::sgd, UpdateRule::sgd_momentum, UpdateRule::sgd_nesterov})
    for (const double decay : {0.0, 0.01})
      for (const std::int64_t size : {1, 5, 64, 131}) {
        const auto start = random(size);
        const double momentum = rule == UpdateRule::sgd ? 0.0 : 0.9;
        Guarded weights(start), m(std::vector<float>(at(size), 0.0f));
        reference::Values expected = reference::widen(start), buffer;
        for (int step = 0; step < 3; ++step) {
          const auto gradient = random(size);
          const UpdateScalars scalars{.lr = 0.1f,
                                      .weight_decay = static_cast<float>(decay),
                                      .momentum = static_cast<float>(momentum)};
          k.update(rule, scalars, size, gradient.data(), weights.data(), m.data(), nullptr);
          reference::sgd_step(expected, reference::widen(gradient), buffer,
                              {.lr = 0.1,
                               .momentum = momentum,
                               .weight_decay = decay,
                               .gradient_scale = 1,
                               .nesterov = rule == UpdateRule::sgd_nesterov});
          EXPECT_TRUE(support::close(weights.values(), expected,
                                     support::bound(support::kFloatEps, 9, support::largest(expected))));
        }
        if (rule != UpdateRule::sgd) {
          EXPECT_TRUE(support::close(m.values(), buffer,
                                     support::bound(support::kFloatEps, 9, support::largest(buffer))));
        }
        EXPECT_TRUE(weights.intact());
        EXPECT_TRUE(m.intact());
      }
}

TEST_P(ElementwiseTest, AdamWIsThatOfTheReference) {
  for (const std::int64_t size : {1, 5, 64, 131}) {
    const auto start = random(size);
    Guarded weights(start), m(std::vector<float>(at(size), 0.0f)), v(std::vector<float>(at(size), 0.0f));
    reference::Values expected = reference::widen(start);
    reference::AdamWState state;
    const OptimizerOptions options{.kind = OptimizerKind::adamw, .lr = 0.01, .weight_decay = 0.1};
    for (int step = 0; step < 5; ++step) {
      auto gradient = random(size);
      gradient[0] = size == 1 ? 0 : 1e-8f;  // no more than epsilon
      k.update(UpdateRule::adamw, update_scalars(options, options.lr, step), size, gradient.data(),
               weights.data(), m.data(), v.data());
      reference::adamw_step(expected, reference::widen(gradient), state, {.lr = 0.01, .weight_decay = 0.1});
      EXPECT_TRUE(support::close(weights.values(), expected,
                                 support::bound(support::kFloatEps, 16, support::largest(expected))));
    }
    EXPECT_TRUE(support::close(m.values(), state.first,
                               support::bound(support::kFloatEps, 16, support::largest(state.first))));
    EXPECT_TRUE(support::close(v.values(), state.second,
                               support::bound(support::kFloatEps, 16, support::largest(state.second))));
    EXPECT_TRUE(weights.intact() && m.intact() && v.intact());
  }
}

BNTRAIN_FOR_EVERY_TABLE(ElementwiseTest);

}  // namespace
}  // namespace bntrain::cpu
