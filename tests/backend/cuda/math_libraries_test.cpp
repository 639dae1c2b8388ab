// Convolutions and matrix products on a GPU against the double-precision reference. The bounds of fp32 are
// far below what TF32 leaves.
#include "backend/cuda/math_libraries.hpp"

#include <cmath>
#include <optional>
#include <random>

#include "backend/cuda/gpu_test.hpp"
#include "support/reference.hpp"
#include "support/tolerance.hpp"

namespace bntrain::cuda {
namespace {

using reference::Values;
using reference::widen;

/// The spacing at 1 of what factors are rounded to; TF32 has 10 bits of mantissa.
double spacing(Precision precision) {
  return precision == Precision::fp32 ? support::kFloatEps : 1.0 / 1024;
}

class MathLibrariesTest : public GpuTest, public testing::WithParamInterface<Precision> {
 protected:
  std::vector<float> random(std::int64_t size) {
    std::vector<float> values(static_cast<std::size_t>(size));
    for (float& value : values) value = normal_(generator_);
    return values;
  }

  /// Runs `compute(result)` twice on results that nobody has written yet: the bits are the same, and each
  /// number, a sum of `length` products of a and b, is close to the expected one.
  template <typename Compute>
  void expect(const Values& expected, std::int64_t length, const Values& a, const Values& b,
              const Compute& compute) {
    std::vector<float> first;
    for (int run = 0; run < 2; ++run) {
      const auto result = on_device(*stream_, std::vector<float>(expected.size(), std::nanf("")));
      compute(result.data());
      const std::vector<float> values = on_host(*stream_, result);
      if (run == 1) {
        EXPECT_EQ(values, first);
      }
      first = values;
    }
    EXPECT_TRUE(support::close(
        first, expected,
        support::bound(spacing(GetParam()), length, support::largest(a) * support::largest(b))));
  }

  void SetUp() override {
    GpuTest::SetUp();
    if (IsSkipped()) return;
    stream_.emplace();
    libraries_.emplace(*stream_, GetParam());
  }

  std::optional<DeviceStream> stream_;
  std::optional<MathLibraries> libraries_;

 private:
  std::mt19937 generator_{20170614};
  std::normal_distribution<float> normal_;
};

TEST_P(MathLibrariesTest, ConvolutionsAreThoseOfTheReference) {
  for (const ConvolutionShape s :
       {ConvolutionShape{256, 1, 28, 28, 20, 5}, ConvolutionShape{96, 20, 12, 12, 50, 3},
        ConvolutionShape{1, 1, 1, 1, 1, 1}, ConvolutionShape{3, 3, 9, 7, 5, 3, 2, 1},
        ConvolutionShape{7, 5, 8, 11, 3, 2, 3}}) {
    SCOPED_TRACE(
        testing::PrintToString(std::vector{s.batch, s.in_channels, s.height, s.width, s.out_channels}));
    const reference::ConvShape plain{s.batch,        s.in_channels, s.height, s.width,
                                     s.out_channels, s.kernel,      s.stride, s.padding};
    const std::int64_t window = s.kernel * s.kernel, pixels = s.out_height() * s.out_width();
    const auto x = random(s.batch * s.in_channels * s.height * s.width);
    const auto w = random(s.out_channels * s.in_channels * window);
    const auto dy = random(s.batch * s.out_channels * pixels);
    const Values no_bias(static_cast<std::size_t>(s.out_channels));
    const Values wide_x = widen(x), wide_w = widen(w), wide_dy = widen(dy);
    const Values y = reference::conv_forward(wide_x, wide_w, no_bias, plain);
    const reference::Gradients gradients = reference::conv_backward(wide_x, wide_w, wide_dy, plain);

    Convolution convolution(*libraries_, s);
    for (const StepPass pass : {StepPass::forward, StepPass::backward})
      EXPECT_FALSE(convolution.algorithms(pass).empty());
    const auto on_x = on_device(*stream_, x), on_w = on_device(*stream_, w), on_dy = on_device(*stream_, dy);
    expect(y, s.in_channels * window, wide_x, wide_w,
           [&](float* result) { convolution.forward(on_x.data(), on_w.data(), result); });
    expect(gradients.weight, s.batch * pixels, wide_x, wide_dy,
           [&](float* result) { convolution.backward_weights(on_x.data(), on_dy.data(), result); });
    expect(gradients.x, s.out_channels * window, wide_w, wide_dy,
           [&](float* result) { convolution.backward_input(on_dy.data(), on_w.data(), result); });
  }
}

TEST_P(MathLibrariesTest, LayersAreThoseOfTheReference) {
  for (const LinearShape s : {LinearShape{256, 1250, 128, true}, LinearShape{96, 128, 10, false},
                              LinearShape{1, 1, 1, false}, LinearShape{3, 7, 5, true}}) {
    SCOPED_TRACE(testing::PrintToString(std::vector{s.batch, s.in, s.out}));
    const reference::LinearShape plain{s.batch, s.in, s.out};
    const auto x = random(s.batch * s.in), w = random(s.out * s.in), dy = random(s.batch * s.out);
    const auto bias = random(s.out);
    const Values wide_x = widen(x), wide_w = widen(w), wide_dy = widen(dy);
    const reference::Gradients gradients = reference::linear_backward(wide_x, wide_w, wide_dy, plain);

    Linear layer(*libraries_, s);
    const auto on_x = on_device(*stream_, x), on_w = on_device(*stream_, w), on_dy = on_device(*stream_, dy);
    const auto on_bias = on_device(*stream_, bias);
    for (const bool has_bias : {true, false}) {
      const float* with = has_bias ? on_bias.data() : nullptr;
      const Values linear =
          reference::linear_forward(wide_x, wide_w, has_bias ? widen(bias) : Values(bias.size(), 0.0), plain);
      expect(s.relu ? reference::relu_forward(linear) : linear, s.in, wide_x, wide_w,
             [&](float* result) { layer.forward(on_x.data(), on_w.data(), with, result); });
    }
    expect(gradients.weight, s.batch, wide_x, wide_dy,
           [&](float* result) { layer.backward_weights(on_x.data(), on_dy.data(), result); });
    expect(gradients.x, s.out, wide_w, wide_dy,
           [&](float* result) { layer.backward_input(on_dy.data(), on_w.data(), result); });
  }
}

TEST_P(MathLibrariesTest, AReluLetsNanThrough) {
  Linear layer(*libraries_, {.batch = 1, .in = 1, .out = 1, .relu = true});
  const auto nan = on_device(*stream_, std::vector<float>{std::nanf("")});
  const auto one = on_device(*stream_, std::vector<float>{1});
  const DeviceArray<float> y(1);
  layer.forward(nan.data(), one.data(), one.data(), y.data());
  EXPECT_TRUE(std::isnan(on_host(*stream_, y).at(0)));
}

TEST_P(MathLibrariesTest, ACapturedStepComputesTheSameBits) {
  constexpr std::int64_t kBatch = 64;
  const ConvolutionShape shape{kBatch, 20, 12, 12, 50, 3};
  Convolution convolution(*libraries_, shape);
  const auto x = on_device(*stream_, random(kBatch * 20 * 12 * 12)),
             w = on_device(*stream_, random(std::int64_t{50} * 20 * 9));
  const DeviceArray<float> y(kBatch * 50 * 10 * 10);
  convolution.forward(x.data(), w.data(), y.data());
  const std::vector<float> expected = on_host(*stream_, y);
  const Graph graph = stream_->capture([&] { convolution.forward(x.data(), w.data(), y.data()); });
  stream_->zero(y.data(), y.bytes());
  stream_->launch(graph);
  EXPECT_EQ(on_host(*stream_, y), expected);
}

TEST_P(MathLibrariesTest, WhatIsNotAlignedIsRefused) {
  Linear layer(*libraries_, {.batch = 1, .in = 1, .out = 1});
  const DeviceArray<float> some(8);
  EXPECT_THROW(layer.backward_input(some.data() + 1, some.data(), some.data() + 4), std::logic_error);
}

INSTANTIATE_TEST_SUITE_P(Gpu, MathLibrariesTest, testing::Values(Precision::fp32, Precision::tf32),
                         [](const auto& test) {
                           return std::string(test.param == Precision::fp32 ? "fp32" : "tf32");
                         });

}  // namespace
}  // namespace bntrain::cuda
