// The gradient of a convolution's weights against plain loops in double precision.
#include <stdexcept>

#include "kernels/convolution/convolution_cases.hpp"
#include "support/nan.hpp"

namespace bntrain {
namespace {

using support::kNan;

std::vector<float> backward_weights(const ConvolutionShape& s, const std::vector<float>& x,
                                    const std::vector<float>& dy, const kernels::Stream& stream = {},
                                    std::size_t offset = 0) {
  const Guarded in(x, offset), gradient(dy, offset);
  Guarded out(at(w_size(s)), offset);
  Guarded workspace(at(kernels::convolution_backward_weights_workspace(s)) / sizeof(float));
  kernels::convolution_backward_weights(s, in.data(), gradient.data(), out.data(), workspace.data(), stream);
  EXPECT_TRUE(out.complete());
  EXPECT_TRUE(workspace.complete());
  return copy(out);
}

TEST(ConvolutionWeights, AreTheSumOfProducts) {
  for (const ConvolutionShape& s : all_shapes()) {
    SCOPED_TRACE(name(s));
    const auto x = random_values(x_size(s), 1, 0.5f), dy = random_values(y_size(s), 3, 0.5f);
    const reference::Values none(at(w_size(s)));
    const auto expected = reference::conv_backward(reference::widen(x), none, reference::widen(dy), wide(s));
    const auto magnitudes = reference::conv_backward(absolute(reference::widen(x)), none,
                                                     absolute(reference::widen(dy)), wide(s));
    const std::vector<float> dw = backward_weights(s, x, dy);
    EXPECT_TRUE(support::close(dw, expected.weight,
                               bounds(magnitudes.weight, s.batch * s.out_height() * s.out_width())));
    EXPECT_TRUE(same_bits(backward_weights(s, x, dy, {}, 1), dw));
  }
}

/// One part and several, several threads a sum.
const ConvolutionShape kSums[] = {
    {1, 3, 9, 7, 5, 3, 1, 1}, {9, 1, 12, 12, 6, 5, 1, 0}, {9, 3, 9, 7, 5, 3, 2, 1}};

TEST(ConvolutionWeights, BitsDependOnNeitherScheduleNorGrid) {
  for (const ConvolutionShape& s : kSums) {
    const auto x = random_values(x_size(s), 1), dy = random_values(y_size(s), 3);
    const auto dw = backward_weights(s, x, dy);
    on_every_schedule_and_grid([&](const kernels::Stream& stream) {
      EXPECT_TRUE(same_bits(backward_weights(s, x, dy, stream), dw));
    });
  }
}

TEST(ConvolutionWeights, ANanStaysInItsChannels) {
  for (const ConvolutionShape& s : kSums) {
    const auto x = random_values(x_size(s), 1);
    auto dy = random_values(y_size(s), 3);
    dy[at(s.out_height() * s.out_width())] = kNan;
    const auto dw = backward_weights(s, x, dy);
    for (std::size_t i = 0; i < dw.size(); ++i)
      EXPECT_EQ(std::isnan(dw[i]), i / at(s.in_channels * s.kernel * s.kernel) == 1 && std::isnan(dw[i]))
          << i;
    EXPECT_TRUE(std::isnan(dw[at(s.in_channels * s.kernel * s.kernel + s.kernel * s.kernel - 1)]));
  }
}

TEST(ConvolutionWeights, AreZeroForNoImages) {
  const auto dw = backward_weights({0, 3, 9, 7, 5, 3, 1, 1}, {}, {});
  for (const float value : dw) EXPECT_EQ(value, 0);
}

TEST(ConvolutionWeights, RefuseWhatMakesNoSense) {
  const ConvolutionShape wrong{1, 1, 9, 9, 1, 2, 1, 0};
  EXPECT_THROW(kernels::convolution_backward_weights(wrong, nullptr, nullptr, nullptr, nullptr, {}),
               std::invalid_argument);
  EXPECT_THROW(kernels::convolution_backward_weights_workspace(wrong), std::invalid_argument);
  EXPECT_THROW(kernels::convolution_backward_weights(kSums[1], nullptr, nullptr, nullptr, nullptr, {}),
               std::invalid_argument);
}

}  // namespace
}  // namespace bntrain
