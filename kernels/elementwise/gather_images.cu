// Images as bytes, in the order of a permutation, to floats.
//
// Maths: out[n, i] = float(images[order[first + n], i]) / 255, images: [any, pixels], out: [batch, pixels];
// with a scale (that - mean[c]) / std[c], c = i / spatial, as torchvision's Normalize computes it.
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

/// Pixel `i` of an image.
template <bool scaled>
SIMT_DEVICE float to_float(std::uint8_t pixel, const PixelScale& scale, std::int64_t i) {
  const float value = to_float(pixel);
  if constexpr (!scaled) return value;
  const std::int64_t channel = i / scale.spatial;
  return (value - load(scale.mean + channel)) / load(scale.std + channel);
}

/// Four pixels from `i` on, in one access of four bytes.
template <bool scaled>
SIMT_DEVICE Vec<float> to_floats(const std::uint8_t* pixels, const PixelScale& scale, std::int64_t i) {
  const auto four = load(reinterpret_cast<const Pixels*>(pixels));
  Vec<float> result;
  SIMT_UNROLL
  for (int lane = 0; lane < kPixels; ++lane)
    result.lane[lane] = to_float<scaled>(four.bytes[lane], scale, i + lane);
  return result;
}

template <bool vectorized, bool scaled>
SIMT_KERNEL(GatherTuning::kThreads)
gather_kernel(std::int64_t batch, std::int64_t pixels, const std::uint8_t* __restrict__ images,
              const std::int64_t* __restrict__ order, const BatchState* __restrict__ state,
              float* __restrict__ out, PixelScale scale) {
  constexpr int kSize = vectorized ? kPixels : 1;
  const std::int64_t items = pixels / kSize;  // of an image
  const std::int64_t first = state != nullptr ? load(&state->first) : 0;
  for (std::int64_t i = grid_thread(); i < batch * items; i += grid_threads()) {
    const std::int64_t n = i / items;
    const std::int64_t image = order != nullptr ? load(order + first + n) : first + n;
    const std::int64_t pixel = (i - n * items) * kSize;
    const std::uint8_t* from = images + image * pixels + pixel;
    if constexpr (vectorized)
      store_vec(out + i * kSize, to_floats<scaled>(from, scale, pixel));
    else
      store(out + i, to_float<scaled>(load(from), scale, pixel));
  }
}

}  // namespace

void gather_images(std::int64_t batch, std::int64_t pixels, const std::uint8_t* images,
                   const std::int64_t* order, const BatchState* state, float* out, const Stream& stream,
                   const PixelScale& scale) {
  require(batch >= 0 && pixels >= 0, "gather_images", "a size is negative");
  if (batch * pixels == 0) return;
  const bool vectorized =
      pixels % kPixels == 0 && reinterpret_cast<std::uintptr_t>(images) % kPixels == 0 && is_aligned(out);
  const bool scaled = scale.mean != nullptr;
  require(!scaled || (scale.std != nullptr && scale.spatial > 0), "gather_images", "the scale is incomplete");
  const auto kernel = vectorized ? scaled ? gather_kernel<true, true> : gather_kernel<true, false>
                      : scaled ? gather_kernel<false, true>
                                 : gather_kernel<false, false>;
  launch(kernel,
         {.name = "gather_images",
          .grid = strided_grid(batch * pixels / (vectorized ? kPixels : 1), GatherTuning::kThreads,
                               GatherTuning::kBlocksPerSm, stream),
          .block = GatherTuning::kThreads},
         stream, batch, pixels, images, order, state, out, scale);
}

}  // namespace bntrain::kernels
