// Sigmoid, forward and backward.
//
// Maths: y = 1 / (1 + exp(-x)), computed from e = exp(-|x|) <= 1, which cannot overflow:
//   y = 1 / (1 + e) for x >= 0, e / (1 + e) for x < 0;  dx = dy * y * (1 - y).
//
// Contract: elementwise.hpp. Element by element, so that results may replace inputs and no bit depends on
// the grid. Bytes moved: 8 * size forward, 12 * size backward.
#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct SigmoidTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksAMultiprocessor = 8;
};

constexpr int kLanes = Vec<float>::kSize;

SIMT_DEVICE float sigmoid(float x) {
  const float e = std::exp(-std::fabs(x));
  return (x < 0 ? e : 1.0f) / (1.0f + e);
}

SIMT_DEVICE float through_sigmoid(float y, float dy) {
  return dy * (y * (1.0f - y));
}

/// `vectors` is size / 4 where all pointers are aligned and else 0; the rest is done one by one.
SIMT_KERNEL(SigmoidTuning::kThreads)
sigmoid_kernel(std::int64_t size, std::int64_t vectors, const float* x, float* y) {
  for (std::int64_t i = grid_thread(); i < vectors; i += grid_threads()) {
    Vec<float> v = load_vec(x + i * kLanes);
    SIMT_UNROLL
    for (int lane = 0; lane < kLanes; ++lane) v.lane[lane] = sigmoid(v.lane[lane]);
    store_vec(y + i * kLanes, v);
  }
  for (std::int64_t i = vectors * kLanes + grid_thread(); i < size; i += grid_threads()) y[i] = sigmoid(x[i]);
}

SIMT_KERNEL(SigmoidTuning::kThreads)
sigmoid_backward_kernel(std::int64_t size, std::int64_t vectors, const float* __restrict__ y, const float* dy,
                        float* dx) {
  for (std::int64_t i = grid_thread(); i < vectors; i += grid_threads()) {
    const Vec<float> out = load_vec(y + i * kLanes);
    Vec<float> gradient = load_vec(dy + i * kLanes);
    SIMT_UNROLL
    for (int lane = 0; lane < kLanes; ++lane)
      gradient.lane[lane] = through_sigmoid(out.lane[lane], gradient.lane[lane]);
    store_vec(dx + i * kLanes, gradient);
  }
  for (std::int64_t i = vectors * kLanes + grid_thread(); i < size; i += grid_threads())
    dx[i] = through_sigmoid(y[i], dy[i]);
}

LaunchConfig config(const char* name, std::int64_t items, const Stream& stream) {
  return {.name = name,
          .grid = strided_grid(items, SigmoidTuning::kThreads, SigmoidTuning::kBlocksAMultiprocessor, stream),
          .block = SigmoidTuning::kThreads};
}

}  // namespace

void sigmoid_forward(std::int64_t size, const float* x, float* y, const Stream& stream) {
  require(size >= 0, "sigmoid_forward", "the size is negative");
  if (size == 0) return;
  const std::int64_t vectors = is_aligned(x) && is_aligned(y) ? size / kLanes : 0;
  launch(sigmoid_kernel, config("sigmoid_forward", vectors > 0 ? vectors : size, stream), stream, size,
         vectors, x, y);
}

void sigmoid_backward(std::int64_t size, const float* y, const float* dy, float* dx, const Stream& stream) {
  require(size >= 0, "sigmoid_backward", "the size is negative");
  if (size == 0) return;
  const bool aligned = is_aligned(y) && is_aligned(dy) && is_aligned(dx);
  const std::int64_t vectors = aligned ? size / kLanes : 0;
  launch(sigmoid_backward_kernel, config("sigmoid_backward", vectors > 0 ? vectors : size, stream), stream,
         size, vectors, y, dy, dx);
}

}  // namespace bntrain::kernels
