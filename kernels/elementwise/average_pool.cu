// Average pooling over square windows that do not overlap, forward and backward.
//
// Maths, x: [planes, height, width], windows of pool * pool pixels: y = (sum of x over the window) / pool^2;
// dx = dy of the pixel's window / pool^2, and 0 at a pixel outside every window.
//
// Contract: elementwise.hpp. A thread computes one element of the output (forward) or of the input
// (backward), which sums in the order of the window's rows, so no bit depends on the grid. Bytes moved: those
// of x and y once, except dy, which adjacent threads share.
#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct AveragePoolTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksPerSm = 8;
};

struct Windows {
  std::int64_t planes, height, width, out_height, out_width, pool;
};

Windows windows_of(const PoolShape& s, const char* kernel) {
  require(s.batch >= 0 && s.channels >= 0 && s.height >= 0 && s.width >= 0, kernel, "a size is negative");
  require(s.pool >= 1, kernel, "the window is smaller than 1");
  return {s.batch * s.channels, s.height, s.width, s.out_height(), s.out_width(), s.pool};
}

SIMT_KERNEL(AveragePoolTuning::kThreads)
average_pool_kernel(Windows w, const float* __restrict__ x, float* __restrict__ y) {
  const float size = static_cast<float>(w.pool * w.pool);
  const std::int64_t outputs = w.planes * w.out_height * w.out_width;
  for (std::int64_t i = grid_thread(); i < outputs; i += grid_threads()) {
    const std::int64_t column = i % w.out_width, row = i / w.out_width % w.out_height;
    const std::int64_t plane = i / (w.out_width * w.out_height);
    const float* window = x + (plane * w.height + row * w.pool) * w.width + column * w.pool;
    float sum = 0;
    for (std::int64_t k = 0; k < w.pool; ++k)
      for (std::int64_t l = 0; l < w.pool; ++l) sum += load(window + k * w.width + l);
    store(y + i, sum / size);
  }
}

SIMT_KERNEL(AveragePoolTuning::kThreads)
average_pool_backward_kernel(Windows w, const float* __restrict__ dy, float* __restrict__ dx) {
  const float size = static_cast<float>(w.pool * w.pool);
  const std::int64_t inputs = w.planes * w.height * w.width;
  for (std::int64_t i = grid_thread(); i < inputs; i += grid_threads()) {
    const std::int64_t column = i % w.width / w.pool, row = i / w.width % w.height / w.pool;
    const std::int64_t plane = i / (w.width * w.height);
    const bool inside = row < w.out_height && column < w.out_width;
    const float* const from = dy + (plane * w.out_height + row) * w.out_width + column;
    store(dx + i, inside ? load(from) / size : 0.0f);
  }
}

LaunchConfig config(const char* name, std::int64_t items, const Stream& stream) {
  return {.name = name,
          .grid = strided_grid(items, AveragePoolTuning::kThreads, AveragePoolTuning::kBlocksPerSm, stream),
          .block = AveragePoolTuning::kThreads};
}

}  // namespace

void average_pool_forward(const PoolShape& shape, const float* x, float* y, const Stream& stream) {
  constexpr const char* kName = "average_pool_forward";
  const Windows w = windows_of(shape, kName);
  const std::int64_t outputs = w.planes * w.out_height * w.out_width;
  if (outputs > 0) launch(average_pool_kernel, config(kName, outputs, stream), stream, w, x, y);
}

void average_pool_backward(const PoolShape& shape, const float* dy, float* dx, const Stream& stream) {
  constexpr const char* kName = "average_pool_backward";
  const Windows w = windows_of(shape, kName);
  const std::int64_t inputs = w.planes * w.height * w.width;
  if (inputs > 0) launch(average_pool_backward_kernel, config(kName, inputs, stream), stream, w, dy, dx);
}

}  // namespace bntrain::kernels
