// bntrain::kernels: operations on single elements, small windows and channels. Part of kernels.hpp, whose
// rules hold here too.
#pragma once

#include <cstdint>

namespace bntrain::kernels {

struct BatchState;
struct PoolShape;
struct Stream;

/// out[n, i] = float(images[order[first + n], i]) / 255, the exact quotient rounded once.
/// images: [any, pixels]; order: image numbers in device memory, or null: images in their own order;
/// state: gives `first`, or null: 0; out: [batch, pixels].
void gather_images(std::int64_t batch, std::int64_t pixels, const std::uint8_t* images,
                   const std::int64_t* order, const BatchState* state, float* out, const Stream& stream);

/// (batch, channels, spatial): spatial is height * width, 1 for (N, C).
struct BiasShape {
  std::int64_t batch = 0, channels = 0, spatial = 1;
};

/// y = x + bias[channel], and y = max(y, 0) where `relu`; NaN passes. y may be x; a null bias is 0.
void bias_relu_forward(const BiasShape& shape, const float* x, const float* bias, bool relu, float* y,
                       const Stream& stream);

/// dx = dy where y > 0 or is NaN, else 0. y: the output of the ReLU; all [size]; dx may be dy.
void relu_backward(std::int64_t size, const float* y, const float* dy, float* dx, const Stream& stream);

/// y = 1 / (1 + exp(-x)), to 4 roundings; NaN passes. Both [size]; y may be x.
void sigmoid_forward(std::int64_t size, const float* x, float* y, const Stream& stream);

/// dx = dy * y * (1 - y). y: the output of the sigmoid; all [size]; dx may be dy.
void sigmoid_backward(std::int64_t size, const float* y, const float* dy, float* dx, const Stream& stream);

/// y = the mean of each window. x: [batch, channels, height, width]; y: [batch, channels, out_height,
/// out_width]; shape.relu is not looked at. The two do not overlap.
void average_pool_forward(const PoolShape& shape, const float* x, float* y, const Stream& stream);

/// dx = dy of the pixel's window / pool^2; 0 outside every window. They do not overlap.
void average_pool_backward(const PoolShape& shape, const float* dy, float* dx, const Stream& stream);

/// Bytes of the workspace of bias_backward().
std::int64_t bias_backward_workspace(const BiasShape& shape);

/// dbias[c] = sum of dy[n, c, s] over n and s. workspace: on 16 bytes, its contents mean nothing.
void bias_backward(const BiasShape& shape, const float* dy, float* dbias, void* workspace,
                   const Stream& stream);

}  // namespace bntrain::kernels
