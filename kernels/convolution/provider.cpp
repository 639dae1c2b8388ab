#include "kernels/convolution/provider.hpp"

namespace bntrain::kernels {
namespace {

// Measured on an H200, cuDNN's deterministic algorithms that neither transform nor round factors take 20 and
// 32 us for the forward passes of 1 to 20 and 20 to 50 channels (batch 256, 28x28 and 12x12), 4 to 6 times
// what their multiply-adds and bytes need, and 56 and more for the gradients. With 64 channels and more they
// reach a third of the peak or better, and TF32 five times that.
constexpr std::int64_t kMostChannels = 64;
/// Tensor cores have little to do where patches are short and output channels few.
constexpr std::int64_t kMostTensorCorePairs = 1024;

}  // namespace

bool prefers_direct_convolution(ConvolutionPass pass, const ConvolutionShape& s, bool tensor_cores) {
  if (!has_direct_convolution(s) || s.kernel == 1) return false;  // 1 x 1 is a matrix product
  if (s.in_channels > kMostChannels || s.out_channels > kMostChannels) return false;
  // With stride 2 the phases of an input's gradient multiply zeros, and only the first layer, which needs
  // none, has few channels then.
  if (pass == ConvolutionPass::backward_input && s.stride == 2) return false;
  return !tensor_cores || s.in_channels * s.out_channels <= kMostTensorCorePairs;
}

}  // namespace bntrain::kernels
