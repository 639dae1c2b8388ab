// Convolutions and matrix products on a GPU against the double-precision reference. The bounds of fp32 are
// far below what TF32 leaves.
#include "backend/cuda/math_libraries.hpp"

#include <array>
#include <cmath>
#include <optional>
#include <random>

#include "backend/cuda/convolution.hpp"
#include "backend/cuda/gpu_test.hpp"
#include "backend/cuda/ops/linear.hpp"
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

    const auto on_x = on_device(*stream_, x), on_w = on_device(*stream_, w), on_dy = on_device(*stream_, dy);
    for (const auto make : {make_convolution, make_patch_convolution}) {
      const auto run = [&](ConvolutionPass pass, const auto& a, const auto& b) {
        const std::shared_ptr<Convolution> convolution = make(*libraries_, s, pass);
        libraries_->workspace.allocate();
        EXPECT_FALSE(convolution->algorithm().empty());
        return [&, convolution](float* result) { convolution->compute(a.data(), b.data(), result); };
      };
      expect(y, s.in_channels * window, wide_x, wide_w, run(ConvolutionPass::forward, on_x, on_w));
      expect(gradients.weight, s.batch * pixels, wide_x, wide_dy,
             run(ConvolutionPass::backward_weights, on_x, on_dy));
      expect(gradients.x, s.out_channels * window, wide_w, wide_dy,
             run(ConvolutionPass::backward_input, on_w, on_dy));
    }
  }
}

TEST_P(MathLibrariesTest, ProductsOfLayersAreThoseOfTheReference) {
  for (const auto& [batch, in, out] :
       std::vector<std::array<std::int64_t, 3>>{{256, 1250, 128}, {96, 128, 10}, {1, 1, 1}, {3, 7, 5}}) {
    SCOPED_TRACE(testing::PrintToString(std::vector{batch, in, out}));
    const reference::LinearShape plain{batch, in, out};
    const auto x = random(batch * in), w = random(out * in), dy = random(batch * out);
    const Values wide_x = widen(x), wide_w = widen(w), wide_dy = widen(dy);
    const reference::Gradients gradients = reference::linear_backward(wide_x, wide_w, wide_dy, plain);
    const Values no_bias(static_cast<std::size_t>(out));

    Product forward(*libraries_, linear_forward(batch, in, out));
    Product backward_weights(*libraries_, linear_backward_weights(batch, in, out));
    Product backward_input(*libraries_, linear_backward_input(batch, in, out));
    libraries_->workspace.allocate();
    const auto on_x = on_device(*stream_, x), on_w = on_device(*stream_, w), on_dy = on_device(*stream_, dy);
    expect(reference::linear_forward(wide_x, wide_w, no_bias, plain), in, wide_x, wide_w,
           [&](float* result) { forward.multiply(on_w.data(), on_x.data(), result); });
    expect(gradients.weight, batch, wide_x, wide_dy,
           [&](float* result) { backward_weights.multiply(on_x.data(), on_dy.data(), result); });
    expect(gradients.x, out, wide_w, wide_dy,
           [&](float* result) { backward_input.multiply(on_w.data(), on_dy.data(), result); });
  }
}

TEST_P(MathLibrariesTest, AProductCanBeAdded) {
  Product product(*libraries_, {.rows = 2, .columns = 1, .inner = 1});
  libraries_->workspace.allocate();
  const auto a = on_device(*stream_, std::vector<float>{2, 3}),
             b = on_device(*stream_, std::vector<float>{5});
  const auto d = on_device(*stream_, std::vector<float>{100, 200});
  product.multiply(a.data(), b.data(), d.data(), true);
  EXPECT_EQ(on_host(*stream_, d), (std::vector<float>{110, 215}));
}

TEST_P(MathLibrariesTest, ACapturedStepComputesTheSameBits) {
  constexpr std::int64_t kBatch = 64;
  const auto convolution =
      make_convolution(*libraries_, {kBatch, 20, 12, 12, 50, 3}, ConvolutionPass::forward);
  libraries_->workspace.allocate();
  const auto x = on_device(*stream_, random(kBatch * 20 * 12 * 12)),
             w = on_device(*stream_, random(std::int64_t{50} * 20 * 9));
  const DeviceArray<float> y(kBatch * 50 * 10 * 10);
  convolution->compute(x.data(), w.data(), y.data());
  const std::vector<float> expected = on_host(*stream_, y);
  const Graph graph = stream_->capture([&] { convolution->compute(x.data(), w.data(), y.data()); });
  stream_->zero(y.data(), y.bytes());
  stream_->launch(graph);
  EXPECT_EQ(on_host(*stream_, y), expected);
}

TEST_P(MathLibrariesTest, WhatIsNotAlignedIsRefused) {
  Product product(*libraries_, {.rows = 1, .columns = 1, .inner = 1});
  libraries_->workspace.allocate();
  const DeviceArray<float> some(8);
  EXPECT_THROW(product.multiply(some.data() + 1, some.data(), some.data() + 4), std::logic_error);
}

INSTANTIATE_TEST_SUITE_P(Gpu, MathLibrariesTest, testing::Values(Precision::fp32, Precision::tf32),
                         [](const auto& test) {
                           return std::string(test.param == Precision::fp32 ? "fp32" : "tf32");
                         });

}  // namespace
}  // namespace bntrain::cuda
