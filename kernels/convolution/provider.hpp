// Who computes a convolution: a direct kernel of ours or a library. The rule depends on shape and precision
// alone, never on a timing, so that the bits of a run do not depend on the clock. bntrain_conv_bench times
// both sides for any shape.
#pragma once

#include "kernels/convolution/convolution.hpp"

namespace bntrain::kernels {

enum class ConvolutionPass {
  forward,           ///< convolution_forward()
  backward_input,    ///< convolution_backward_input()
  backward_weights,  ///< convolution_backward_weights()
};

/// Whether a direct kernel computes the pass. tensor_cores: whether a library may round factors to TF32.
bool prefers_direct_convolution(ConvolutionPass pass, const ConvolutionShape& shape, bool tensor_cores);

}  // namespace bntrain::kernels
