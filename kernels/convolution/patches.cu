// The patches of a convolution as a matrix, so that any convolution is a matrix product, and the way back.
//
// Contract: patches.hpp. A thread computes one element of the result; sum_patches() gathers what belongs to a
// pixel instead of scattering with atomics, so that sums have one order. Bytes moved: the patches once,
// kernel^2 / stride^2 times the image, which caches serve.
#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct PatchTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksPerSm = 8;
};

SIMT_KERNEL(PatchTuning::kThreads)
gather_patches_kernel(PatchShape s, std::int64_t out_height, std::int64_t out_width,
                      const float* __restrict__ x, float* __restrict__ patches) {
  const std::int64_t size = s.batch * s.channels * s.kernel * s.kernel * out_height * out_width;
  for (std::int64_t i = grid_thread(); i < size; i += grid_threads()) {
    const std::int64_t column = i % out_width, row = i / out_width % out_height;
    const std::int64_t element = i / (out_width * out_height);  // of all patches: ((n, c), i, j)
    const std::int64_t plane = element / (s.kernel * s.kernel);
    const std::int64_t h = row * s.stride + element / s.kernel % s.kernel - s.padding;
    const std::int64_t w = column * s.stride + element % s.kernel - s.padding;
    const bool inside = h >= 0 && h < s.height && w >= 0 && w < s.width;
    patches[i] = inside ? x[(plane * s.height + h) * s.width + w] : 0.0f;
  }
}

SIMT_KERNEL(PatchTuning::kThreads)
sum_patches_kernel(PatchShape s, std::int64_t out_height, std::int64_t out_width,
                   const float* __restrict__ patches, float* __restrict__ x) {
  const std::int64_t size = s.batch * s.channels * s.height * s.width;
  for (std::int64_t i = grid_thread(); i < size; i += grid_threads()) {
    const std::int64_t w = i % s.width + s.padding, h = i / s.width % s.height + s.padding;
    const std::int64_t plane = i / (s.width * s.height);
    float sum = 0;
    for (std::int64_t k = 0; k < s.kernel; ++k) {
      const std::int64_t row = (h - k) / s.stride;
      if (h < k || (h - k) % s.stride != 0 || row >= out_height) continue;
      for (std::int64_t l = 0; l < s.kernel; ++l) {
        const std::int64_t column = (w - l) / s.stride;
        if (w < l || (w - l) % s.stride != 0 || column >= out_width) continue;
        sum += patches[(((plane * s.kernel + k) * s.kernel + l) * out_height + row) * out_width + column];
      }
    }
    x[i] = sum;
  }
}

void check(const PatchShape& s, const char* kernel) {
  require(s.batch >= 0 && s.channels >= 0 && s.height >= 0 && s.width >= 0, kernel, "a size is negative");
  require(s.kernel >= 1 && s.stride >= 1 && s.padding >= 0, kernel,
          "the kernel or the stride is smaller than 1, or the padding negative");
  require(s.kernel <= s.height + 2 * s.padding && s.kernel <= s.width + 2 * s.padding, kernel,
          "the kernel is larger than the padded image");
}

LaunchConfig config(const char* name, std::int64_t items, const Stream& stream) {
  return {.name = name,
          .grid = strided_grid(items, PatchTuning::kThreads, PatchTuning::kBlocksPerSm, stream),
          .block = PatchTuning::kThreads};
}

}  // namespace

void gather_patches(const PatchShape& shape, const float* x, float* patches, const Stream& stream) {
  constexpr const char* kName = "gather_patches";
  check(shape, kName);
  const std::int64_t size = shape.batch * shape.patch() * shape.places();
  if (size > 0)
    launch(gather_patches_kernel, config(kName, size, stream), stream, shape, shape.out_height(),
           shape.out_width(), x, patches);
}

void sum_patches(const PatchShape& shape, const float* patches, float* x, const Stream& stream) {
  constexpr const char* kName = "sum_patches";
  check(shape, kName);
  const std::int64_t size = shape.batch * shape.channels * shape.height * shape.width;
  if (size > 0)
    launch(sum_patches_kernel, config(kName, size, stream), stream, shape, shape.out_height(),
           shape.out_width(), patches, x);
}

}  // namespace bntrain::kernels
