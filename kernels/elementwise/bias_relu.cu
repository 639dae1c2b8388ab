// Bias and ReLU, where the matrix product or the convolution does not bring them along.
//
// Maths, x: [batch, channels, spatial]: y = max(x + bias[channel], 0), no bias being one of 0; dx = dy where
// y > 0, else 0.
//
// Contract: elementwise.hpp. Element by element, so that results may replace inputs and no bit depends on
// the grid. Bytes moved: 8 * size forward, 12 * size backward.
#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct BiasReluTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksAMultiprocessor = 8;
};

constexpr int kLanes = Vec<float>::kSize;

/// How elements are taken: one by one, four of the same channel, four of channels side by side.
enum class Access { single, one_channel, four_channels };

SIMT_DEVICE float activate(float v, bool relu) {
  return relu && v <= 0 ? 0.0f : v;  // keeps NaN
}

template <Access access>
SIMT_KERNEL(BiasReluTuning::kThreads)
bias_relu_kernel(BiasShape shape, bool relu, const float* x, const float* __restrict__ bias, float* y) {
  constexpr int kSize = access == Access::single ? 1 : kLanes;
  const std::int64_t items = shape.batch * shape.channels * shape.spatial / kSize;
  for (std::int64_t i = grid_thread(); i < items; i += grid_threads()) {
    const std::int64_t channel = i * kSize / shape.spatial % shape.channels;
    if constexpr (access == Access::single) {
      y[i] = activate(x[i] + (bias == nullptr ? 0.0f : bias[channel]), relu);
    } else {
      Vec<float> b = {};
      if (bias != nullptr) {
        if constexpr (access == Access::four_channels)
          b = load_vec(bias + channel);
        else
          b.lane[0] = b.lane[1] = b.lane[2] = b.lane[3] = bias[channel];
      }
      Vec<float> v = load_vec(x + i * kSize);
      SIMT_UNROLL
      for (int lane = 0; lane < kSize; ++lane) v.lane[lane] = activate(v.lane[lane] + b.lane[lane], relu);
      store_vec(y + i * kSize, v);
    }
  }
}

SIMT_DEVICE float pass(float y, float dy) {
  return y <= 0 ? 0.0f : dy;
}

/// `vectors` is size / 4 where all pointers are aligned and else 0; the rest is done one by one.
SIMT_KERNEL(BiasReluTuning::kThreads)
relu_backward_kernel(std::int64_t size, std::int64_t vectors, const float* __restrict__ y, const float* dy,
                     float* dx) {
  for (std::int64_t i = grid_thread(); i < vectors; i += grid_threads()) {
    const Vec<float> out = load_vec(y + i * kLanes);
    Vec<float> gradient = load_vec(dy + i * kLanes);
    SIMT_UNROLL
    for (int lane = 0; lane < kLanes; ++lane) gradient.lane[lane] = pass(out.lane[lane], gradient.lane[lane]);
    store_vec(dx + i * kLanes, gradient);
  }
  for (std::int64_t i = vectors * kLanes + grid_thread(); i < size; i += grid_threads())
    dx[i] = pass(y[i], dy[i]);
}

LaunchConfig config(const char* name, std::int64_t items, const Stream& stream) {
  return {
      .name = name,
      .grid = strided_grid(items, BiasReluTuning::kThreads, BiasReluTuning::kBlocksAMultiprocessor, stream),
      .block = BiasReluTuning::kThreads};
}

}  // namespace

void bias_relu_forward(const BiasShape& shape, const float* x, const float* bias, bool relu, float* y,
                       const Stream& stream) {
  constexpr const char* kName = "bias_relu_forward";
  require(shape.batch >= 0 && shape.channels >= 0 && shape.spatial >= 0, kName, "a size is negative");
  const std::int64_t size = shape.batch * shape.channels * shape.spatial;
  if (size == 0) return;
  const bool aligned = is_aligned(x) && is_aligned(y);
  if (aligned && shape.spatial % kLanes == 0)
    launch(bias_relu_kernel<Access::one_channel>, config(kName, size / kLanes, stream), stream, shape, relu,
           x, bias, y);
  else if (aligned && is_aligned(bias) && shape.spatial == 1 && shape.channels % kLanes == 0)
    launch(bias_relu_kernel<Access::four_channels>, config(kName, size / kLanes, stream), stream, shape, relu,
           x, bias, y);
  else
    launch(bias_relu_kernel<Access::single>, config(kName, size, stream), stream, shape, relu, x, bias, y);
}

void relu_backward(std::int64_t size, const float* y, const float* dy, float* dx, const Stream& stream) {
  require(size >= 0, "relu_backward", "the size is negative");
  if (size == 0) return;
  const bool aligned = is_aligned(y) && is_aligned(dy) && is_aligned(dx);
  const std::int64_t vectors = aligned ? size / kLanes : 0;
  launch(relu_backward_kernel, config("relu_backward", aligned ? vectors + 1 : size, stream), stream, size,
         vectors, y, dy, dx);
}

}  // namespace bntrain::kernels
