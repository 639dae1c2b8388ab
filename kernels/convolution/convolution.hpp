// bntrain::kernels: direct convolutions for few channels. Part of kernels.hpp, whose rules hold here too.
#pragma once

#include <cstdint>

namespace bntrain::kernels {

struct Stream;

/// x: [batch, in_channels, height, width]; w: [out_channels, in_channels, kernel, kernel];
/// y: [batch, out_channels, out_height, out_width]. The same stride and zero padding on both axes.
struct ConvolutionShape {
  std::int64_t batch = 0, in_channels = 0, height = 0, width = 0;
  std::int64_t out_channels = 0, kernel = 1, stride = 1, padding = 0;

  std::int64_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  std::int64_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
};

/// Whether the functions below take the shape: kernel 1, 3, 5 or 7, stride 1 or 2, at least one channel and
/// an output of at least one pixel, fewer than 2^31 elements per image and weight tensor. They throw
/// std::invalid_argument for every other shape.
bool has_direct_convolution(const ConvolutionShape& shape);

/// y[n, o, i, j] = bias[o] + sum over c, r, s of
///     x[n, c, i * stride + r - padding, j * stride + s - padding] * w[o, c, r, s],
/// x being 0 outside of the image; a null bias is 0. Sums are float32 multiply-adds in an order that depends
/// on the shape alone. Where the batch holds a value that is not finite, others of the same image may become
/// NaN.
void convolution_forward(const ConvolutionShape& shape, const float* x, const float* w, const float* bias,
                         float* y, const Stream& stream);

/// dx, the gradient of sum(dy * y) with respect to x; rounding and values that are not finite as above.
void convolution_backward_input(const ConvolutionShape& shape, const float* dy, const float* w, float* dx,
                                const Stream& stream);

/// Bytes of the workspace of convolution_backward_weights().
std::int64_t convolution_backward_weights_workspace(const ConvolutionShape& shape);

/// dw[o, c, r, s] = sum over n, i, j of
///     dy[n, o, i, j] * x[n, c, i * stride + r - padding, j * stride + s - padding].
/// The sum is divided into parts that depend on the shape alone; they are float32 and added in a fixed order.
/// workspace: 16-byte aligned, its contents before and after are unspecified. An empty batch gives zeros.
void convolution_backward_weights(const ConvolutionShape& shape, const float* x, const float* dy, float* dw,
                                  void* workspace, const Stream& stream);

}  // namespace bntrain::kernels
