// Images as bytes, in the order of a permutation, to floats.
//
// Maths: out[n, i] = float(images[order[first + n], i]) / 255, images: [any, pixels], out: [batch, pixels].
// A division, because the product with a rounded 1/255 differs in the last bit. (--use_fast_math of nvcc,
// which makes division approximate, would break it.)
//
// Contract: elementwise.hpp. Bytes moved: 5 * batch * pixels. A thread converts four pixels, so that the
// 16-byte writes of a warp are contiguous; with 16 pixels per thread they would not be.
#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct GatherTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksPerSm = 8;
};

constexpr int kPixels = Vec<float>::kSize;

struct alignas(kPixels) Pixels {
  std::uint8_t bytes[kPixels];
};

SIMT_DEVICE float to_float(std::uint8_t pixel) {
  return static_cast<float>(pixel) / 255.0f;
}

/// Four pixels in one access of four bytes.
SIMT_DEVICE Vec<float> to_floats(const std::uint8_t* pixels) {
  const auto four = load(reinterpret_cast<const Pixels*>(pixels));
  Vec<float> result;
  SIMT_UNROLL
  for (int lane = 0; lane < kPixels; ++lane) result.lane[lane] = to_float(four.bytes[lane]);
  return result;
}

template <bool vectorized>
SIMT_KERNEL(GatherTuning::kThreads)
gather_kernel(std::int64_t batch, std::int64_t pixels, const std::uint8_t* __restrict__ images,
              const std::int64_t* __restrict__ order, const BatchState* __restrict__ state,
              float* __restrict__ out) {
  constexpr int kSize = vectorized ? kPixels : 1;
  const std::int64_t items = pixels / kSize;  // of an image
  const std::int64_t first = state != nullptr ? load(&state->first) : 0;
  for (std::int64_t i = grid_thread(); i < batch * items; i += grid_threads()) {
    const std::int64_t n = i / items;
    const std::int64_t image = order != nullptr ? load(order + first + n) : first + n;
    const std::uint8_t* from = images + image * pixels + (i - n * items) * kSize;
    if constexpr (vectorized)
      store_vec(out + i * kSize, to_floats(from));
    else
      store(out + i, to_float(load(from)));
  }
}

}  // namespace

void gather_images(std::int64_t batch, std::int64_t pixels, const std::uint8_t* images,
                   const std::int64_t* order, const BatchState* state, float* out, const Stream& stream) {
  require(batch >= 0 && pixels >= 0, "gather_images", "a size is negative");
  if (batch * pixels == 0) return;
  const bool vectorized =
      pixels % kPixels == 0 && reinterpret_cast<std::uintptr_t>(images) % kPixels == 0 && is_aligned(out);
  launch(vectorized ? gather_kernel<true> : gather_kernel<false>,
         {.name = "gather_images",
          .grid = strided_grid(batch * pixels / (vectorized ? kPixels : 1), GatherTuning::kThreads,
                               GatherTuning::kBlocksPerSm, stream),
          .block = GatherTuning::kThreads},
         stream, batch, pixels, images, order, state, out);
}

}  // namespace bntrain::kernels
