// Direct convolutions against plain loops in double precision.
#include <stdexcept>

#include "kernels/convolution/convolution_cases.hpp"
#include "kernels/convolution/shared_layout.hpp"
#include "support/nan.hpp"

namespace bntrain {
namespace {

using support::kNan;

std::vector<float> forward(const ConvolutionShape& s, const std::vector<float>& x,
                           const std::vector<float>& w, const std::vector<float>& bias,
                           const kernels::Stream& stream = {}, std::size_t offset = 0) {
  const Guarded in(x, offset), weights(w, offset), b(bias, offset);
  Guarded out(at(y_size(s)), offset);
  kernels::convolution_forward(s, in.data(), weights.data(), bias.empty() ? nullptr : b.data(), out.data(),
                               stream);
  EXPECT_TRUE(out.complete());
  return copy(out);
}

std::vector<float> backward_input(const ConvolutionShape& s, const std::vector<float>& dy,
                                  const std::vector<float>& w, const kernels::Stream& stream = {},
                                  std::size_t offset = 0) {
  const Guarded in(dy, offset), weights(w, offset);
  Guarded out(at(x_size(s)), offset);
  kernels::convolution_backward_input(s, in.data(), weights.data(), out.data(), stream);
  EXPECT_TRUE(out.complete());
  return copy(out);
}

/// Returns y.
std::vector<float> expect_forward(const ConvolutionShape& s, const std::vector<float>& x,
                                  const std::vector<float>& w, const std::vector<float>& bias) {
  const auto wide_bias = bias.empty() ? reference::Values(at(s.out_channels)) : reference::widen(bias);
  const auto expected = reference::conv_forward(reference::widen(x), reference::widen(w), wide_bias, wide(s));
  const auto magnitudes = reference::conv_forward(
      absolute(reference::widen(x)), absolute(reference::widen(w)), absolute(wide_bias), wide(s));
  std::vector<float> y = forward(s, x, w, bias);
  EXPECT_TRUE(support::close(y, expected, bounds(magnitudes, s.in_channels * s.kernel * s.kernel)));
  return y;
}

/// Returns dx.
std::vector<float> expect_backward_input(const ConvolutionShape& s, const std::vector<float>& dy,
                                         const std::vector<float>& w) {
  const reference::Values no_x(at(x_size(s)));
  const auto expected = reference::conv_backward(no_x, reference::widen(w), reference::widen(dy), wide(s));
  const auto magnitudes =
      reference::conv_backward(no_x, absolute(reference::widen(w)), absolute(reference::widen(dy)), wide(s));
  std::vector<float> dx = backward_input(s, dy, w);
  EXPECT_TRUE(support::close(dx, expected.x, bounds(magnitudes.x, s.out_channels * s.kernel * s.kernel)));
  return dx;
}

TEST(Convolution, ForwardIsTheSumOfProducts) {
  for (const ConvolutionShape& s : all_shapes())
    for (const bool has_bias : {false, true}) {
      SCOPED_TRACE(name(s));
      const auto x = random_values(x_size(s), 1, 0.5f), w = random_values(w_size(s), 2);
      const auto bias = has_bias ? random_values(s.out_channels, 3) : std::vector<float>{};
      EXPECT_TRUE(same_bits(forward(s, x, w, bias, {}, 1), expect_forward(s, x, w, bias)));
    }
}

TEST(Convolution, InputGradientIsTheSumOfProducts) {
  for (const ConvolutionShape& s : all_shapes()) {
    SCOPED_TRACE(name(s));
    const auto w = random_values(w_size(s), 2), dy = random_values(y_size(s), 3, 0.5f);
    EXPECT_TRUE(same_bits(backward_input(s, dy, w, {}, 1), expect_backward_input(s, dy, w)));
  }
}

/// With so many threads each takes more channels.
TEST(Convolution, ManySmallImagesAreSumsOfProductsToo) {
  for (const std::int64_t kernel : {1, 3, 5, 7}) {
    const ConvolutionShape wide_output{8200, 1, 1, 1, 64, kernel, 1, kernel / 2};
    SCOPED_TRACE(name(wide_output));
    const auto x = random_values(x_size(wide_output), 1), w = random_values(w_size(wide_output), 2);
    expect_forward(wide_output, x, w, {});
  }
  for (const std::int64_t kernel : {3, 7}) {
    const ConvolutionShape wide_input{8200, 64, 1, 1, 1, kernel, 2, kernel / 2};
    SCOPED_TRACE(name(wide_input));
    expect_backward_input(wide_input, random_values(y_size(wide_input), 3),
                          random_values(w_size(wide_input), 2));
  }
}

const ConvolutionShape kFewBlocks[] = {{5, 3, 9, 7, 5, 3, 1, 1}, {5, 3, 9, 7, 5, 3, 2, 1}};

TEST(Convolution, BitsDependOnNeitherScheduleNorGrid) {
  for (const ConvolutionShape& s : kFewBlocks) {
    const auto x = random_values(x_size(s), 1), w = random_values(w_size(s), 2),
               dy = random_values(y_size(s), 3);
    const auto y = forward(s, x, w, {}), dx = backward_input(s, dy, w);
    on_every_schedule_and_grid([&](const kernels::Stream& stream) {
      EXPECT_TRUE(same_bits(forward(s, x, w, {}, stream), y));
      EXPECT_TRUE(same_bits(backward_input(s, dy, w, stream), dx));
    });
  }
}

TEST(Convolution, ANanStaysInItsImage) {
  for (const ConvolutionShape& s : kFewBlocks) {
    auto x = random_values(x_size(s), 1);
    const auto w = random_values(w_size(s), 2);
    x[at(x_size(s) / s.batch)] = kNan;
    const std::vector<float> y = forward(s, x, w, {});
    int nans = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const bool nan = std::isnan(y[i]);
      nans += nan ? 1 : 0;
      EXPECT_FALSE(nan && i / at(y_size(s) / s.batch) != 1) << i;
    }
    EXPECT_GT(nans, 0);
  }
}

TEST(Convolution, LaunchesNothingForNoImages) {
  simt_host::Executor executor;
  const ConvolutionShape s{0, 3, 9, 7, 5, 3, 1, 1};
  kernels::convolution_forward(s, nullptr, nullptr, nullptr, nullptr, executor.stream());
  kernels::convolution_backward_input(s, nullptr, nullptr, nullptr, executor.stream());
  EXPECT_TRUE(executor.launches().empty());
}

TEST(Convolution, RefusesWhatItDoesNotTake) {
  const std::int64_t huge = std::int64_t{1} << 40;
  for (const ConvolutionShape& s : {ConvolutionShape{1, 1, 9, 9, 1, 2, 1, 0},
                                    {1, 1, 9, 9, 1, 9, 1, 0},
                                    {1, 1, 9, 9, 1, 3, 3, 0},
                                    {1, 1, 9, 9, 1, 3, 0, 0},
                                    {1, 1, 9, 9, 1, 3, 1, -1},
                                    {-1, 1, 9, 9, 1, 3, 1, 0},
                                    {1, 0, 9, 9, 1, 3, 1, 0},
                                    {1, 1, 9, 9, 0, 3, 1, 0},
                                    {1, 1, 2, 9, 1, 3, 1, 0},
                                    {1, 1, 9, 2, 1, 3, 1, 0},
                                    {1, 1, huge, 9, 1, 3, 1, 0},
                                    {huge, 1, 9, 9, 1, 3, 1, 0},
                                    {1, 1 << 16, 1 << 8, 1 << 8, 1, 3, 1, 1}}) {
    SCOPED_TRACE(name(s));
    EXPECT_FALSE(kernels::has_direct_convolution(s));
    EXPECT_THROW(kernels::convolution_forward(s, nullptr, nullptr, nullptr, nullptr, {}),
                 std::invalid_argument);
    EXPECT_THROW(kernels::convolution_backward_input(s, nullptr, nullptr, nullptr, {}),
                 std::invalid_argument);
  }
}

// Eight lanes at a time, 16 bytes a lane, 128 bytes of banks.
TEST(SharedLayout, CountsTheAccessesOfAWarp) {
  using kernels::wavefronts;
  EXPECT_EQ(wavefronts([](int lane) { return 4 * lane; }), 4) << "all banks at once";
  EXPECT_EQ(wavefronts([](int) { return 12; }), 4) << "one address";
  EXPECT_EQ(wavefronts([](int lane) { return 8 * lane; }), 8) << "every other group of banks";
  EXPECT_EQ(wavefronts([](int lane) { return 32 * lane; }), 32) << "the same banks";
  EXPECT_EQ(wavefronts([](int lane) { return 36 * lane; }), 4) << "the next ones";
}

TEST(SharedLayout, TakesThePitchWithTheFewestAccesses) {
  // Rows of 30 floats and more: with 36 eight of them lie in different banks.
  EXPECT_EQ(kernels::best_pitch(
                30, [](int pitch) { return kernels::wavefronts([&](int lane) { return pitch * lane; }); }),
            36);
  EXPECT_EQ(kernels::best_pitch(30, [](int) { return 1; }), 32) << "the least of equals";
}

}  // namespace
}  // namespace bntrain
