// bntrain::kernels: operations on single elements, small windows and channels. Part of kernels.hpp, whose
// rules hold here too.
#pragma once

#include <cstdint>

#include "bntrain/activation.hpp"

namespace bntrain::kernels {

struct BatchState;
struct PoolShape;
struct Stream;

/// One value a channel, in device memory, or null for pixel / 255.
struct PixelScale {
  const float* mean = nullptr;
  const float* std = nullptr;
  std::int64_t spatial = 1;  ///< pixels of a channel
};

/// out[n, i] = float(images[order[first + n], i]) / 255, the exact quotient rounded once; with a scale
/// (that - mean[c]) / std[c], each operation rounded, c = i / spatial.
/// images: [any, pixels]; order: indices of images, in device memory, or null: 0, 1, 2, ...; state: holds
/// `first`, or null: 0; out: [batch, pixels].
void gather_images(std::int64_t batch, std::int64_t pixels, const std::uint8_t* images,
                   const std::int64_t* order, const BatchState* state, float* out, const Stream& stream,
                   const PixelScale& scale = {});

/// (batch, channels, spatial): spatial is height * width, 1 for (N, C).
struct BiasShape {
  std::int64_t batch = 0, channels = 0, spatial = 1;
};

/// y = activation(x + bias[channel]). y may be x; a null bias is 0. kind, slope: as in activation_forward().
void bias_activation_forward(const BiasShape& shape, const float* x, const float* bias, ActivationKind kind,
                             float slope, float* y, const Stream& stream);

/// y = activation(x), see bntrain/activation.hpp; slope is that of leaky_relu, not negative, and else
/// ignored; none: y = x. x, y: [size]; y may be x. Errors, relative, eps = 2^-23: relu and leaky_relu half an
/// eps, sigmoid 4 eps, silu 5 eps, gelu (7 + x^2) eps, and |x| * 2^-147 more where exp(-|x|) or Phi(x) is
/// subnormal. As in PyTorch, gelu and silu of -infinity are NaN and of infinity infinity.
void activation_forward(ActivationKind kind, float slope, std::int64_t size, const float* x, float* y,
                        const Stream& stream);

/// dx = dy * activation'(x):
///   relu        dy where y > 0, else 0         leaky_relu  dy where y > 0, else slope * dy
///   sigmoid     dy * y * (1 - y)
///   silu        dy * s * (1 + x * (1 - s)), s = sigmoid(x)
///   gelu        dy * (Phi(x) + x * phi(x)), phi(x) = exp(-x^2 / 2) / sqrt(2 pi)
/// saved: the output y where gradient_from_output of the kind (bntrain/activation.hpp) says so, else the
/// input x. Errors of silu and gelu: 10 eps and (8 + x^2) eps times |dy| and the sum of the absolute values
/// of the two terms. As in PyTorch, silu and gelu are NaN where x is infinite, and a NaN in `saved` gives
/// NaN, but relu passes dy and leaky_relu slope * dy. All [size]; dx may be dy or `saved`.
void activation_backward(ActivationKind kind, float slope, std::int64_t size, const float* saved,
                         const float* dy, float* dx, const Stream& stream);

/// out = a + b. All [size]; out may be a or b.
void add(std::int64_t size, const float* a, const float* b, float* out, const Stream& stream);

/// y = the mean of each window. x: [batch, channels, height, width]; y: [batch, channels, out_height,
/// out_width]. The two do not overlap.
void average_pool_forward(const PoolShape& shape, const float* x, float* y, const Stream& stream);

/// dx = dy of the pixel's window / pool^2; 0 outside every window. They do not overlap.
void average_pool_backward(const PoolShape& shape, const float* dy, float* dx, const Stream& stream);

/// Bytes of the workspace of bias_backward().
std::int64_t bias_backward_workspace(const BiasShape& shape);

/// dbias[c] = sum of dy[n, c, s] over n and s. workspace: 16-byte aligned, its contents before and after are
/// unspecified.
void bias_backward(const BiasShape& shape, const float* dy, float* dbias, void* workspace,
                   const Stream& stream);

}  // namespace bntrain::kernels
