// The convolutions that the benchmark reads and how it judges results, with the kernels on the host's
// executor.
#include "benchmarks/conv_case.hpp"

#include <gmock/gmock.h>

#include <cstddef>
#include <limits>

#include "bntrain/error.hpp"
#include "support/device_vector.hpp"

namespace bntrain::benchmarks {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(ConvCase, TextSaysSizesKernelStrideAndPadding) {
  for (const char* text : {"256x20x12x12-50k3s1p0", "1x2x30x4-5k7s2p10"})
    EXPECT_EQ(to_string(parse_convolution(text)), text);
  EXPECT_EQ(to_string(parse_convolution("2x3x9x8-4k5")), "2x3x9x8-4k5s1p0");
  EXPECT_EQ(to_string(parse_convolution("2x3x9x8-4k5p2")), "2x3x9x8-4k5s1p2");
  EXPECT_EQ(to_string(parse_convolution("2x3x9x8-4k5s2")), "2x3x9x8-4k5s2p0");
  for (const char* text : kConvolutions) EXPECT_GT(multiply_adds(parse_convolution(text)), 0);
}

TEST(ConvCase, WhatIsNoConvolutionIsRefused) {
  for (const char* text :
       {"", "-", "2x3x9x8", "2x3x9-4k5", "2x3x9x8-4", "2x3x9x8-4k", "2x3x9x8-4k5s3", "2x3x9x8-4k4",
        "0x3x9x8-4k5", "2x3x9x8-4k5p2s1", "2x3x9x8-4k5 ", "2x3x9x8x1-4k5", "2x3x4x4-4k5"})
    EXPECT_THAT([&] { parse_convolution(text); }, ThrowsMessage<Error>(HasSubstr("is no convolution")))
        << text;
}

std::vector<float> result_of(const ConvolutionShape& s, ConvolutionPass pass, const ConvProblem& problem) {
  support::DeviceVector<float> result(static_cast<std::size_t>(problem.result_size));
  const auto bytes = static_cast<std::size_t>(kernels::convolution_backward_weights_workspace(s));
  struct alignas(16) Sixteen {
    std::byte bytes[16];
  };
  support::DeviceVector<Sixteen> workspace(bytes / sizeof(Sixteen));
  const auto first = support::on_device(problem.a), second = support::on_device(problem.b);
  const float *a = first.data(), *b = second.data();
  if (pass == ConvolutionPass::forward)
    kernels::convolution_forward(s, a, b, nullptr, result.data(), {});
  else if (pass == ConvolutionPass::backward_input)
    kernels::convolution_backward_input(s, b, a, result.data(), {});
  else
    kernels::convolution_backward_weights(s, a, b, result.data(), workspace.data(), {});
  return {result.begin(), result.end()};
}

TEST(ConvCase, RightResultsHaveSmallErrorsAndWrongOnesLarge) {
  for (const char* text : {"3x2x9x8-4k3", "2x3x9x8-4k5s2p2"})
    for (const auto pass :
         {ConvolutionPass::forward, ConvolutionPass::backward_input, ConvolutionPass::backward_weights}) {
      SCOPED_TRACE(std::string(text) + " " + to_string(pass));
      const ConvolutionShape s = parse_convolution(text);
      const ConvProblem problem(s, pass, 5);
      std::vector<float> result = result_of(s, pass, problem);
      EXPECT_GT(problem.error(result), 0) << "compared with nothing";
      EXPECT_LT(problem.error(result), 1e-6);
      for (float& value : result) value *= 1.01f;
      EXPECT_GT(problem.error(result), 1e-3);
      result[static_cast<std::size_t>(problem.places.front())] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_FALSE(problem.error(result) <= 1);
    }
}

TEST(ConvCase, TheRuleTakesFewChannels) {
  const auto direct = [](const char* text, ConvolutionPass pass, bool tensor_cores = false) {
    return kernels::prefers_direct_convolution(pass, parse_convolution(text), tensor_cores);
  };
  for (const auto pass :
       {ConvolutionPass::forward, ConvolutionPass::backward_input, ConvolutionPass::backward_weights}) {
    EXPECT_TRUE(direct("256x20x12x12-50k3", pass));
    EXPECT_TRUE(direct("256x20x12x12-50k3", pass, true));
    EXPECT_TRUE(direct("256x64x16x16-64k3p1", pass));
    EXPECT_FALSE(direct("256x64x16x16-64k3p1", pass, true));
    EXPECT_FALSE(direct("256x128x16x16-64k3p1", pass));
    EXPECT_FALSE(direct("256x65x16x16-64k3p1", pass));
    EXPECT_FALSE(direct("256x64x16x16-65k3p1", pass));
    EXPECT_TRUE(direct("256x32x16x16-32k3p1", pass, true));
    EXPECT_FALSE(direct("256x32x16x16-33k3p1", pass, true));
    EXPECT_FALSE(direct("256x20x12x12-50k1", pass));
  }
  EXPECT_TRUE(direct("256x16x32x32-32k3s2p1", ConvolutionPass::forward));
  EXPECT_FALSE(direct("256x16x32x32-32k3s2p1", ConvolutionPass::backward_input));
}

}  // namespace
}  // namespace bntrain::benchmarks
