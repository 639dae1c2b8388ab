// Images as bytes, picked in the order of a permutation, to floats.
//
// Maths: out[n, i] = float(images[order[first + n], i]) / 255, images: [any, pixels], out: [batch, pixels].
// A true division: bytes times a rounded 1/255 differ from it in the last bit. (So nvcc's --use_fast_math,
// which makes division approximate, is not for this file.)
//
// Contract: elementwise.hpp. Bytes moved: 5 * batch * pixels. A thread takes four pixels, because a warp's
// 16-byte writes then lie side by side; with 16 bytes read at once they would not.
#include <cstring>

#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;

struct GatherTuning {
  static constexpr int kThreads = 256;
  static constexpr int kBlocksAMultiprocessor = 8;
};

constexpr int kPack = Vec<float>::kSize;

SIMT_DEVICE float to_float(std::uint8_t pixel) {
  return static_cast<float>(pixel) / 255.0f;
}

/// Four pixels on four bytes, in one access.
SIMT_DEVICE Vec<float> to_floats(const std::uint8_t* pixels) {
  std::uint8_t bytes[kPack];
  memcpy(bytes, __builtin_assume_aligned(pixels, kPack), kPack);
  Vec<float> result;
  SIMT_UNROLL
  for (int lane = 0; lane < kPack; ++lane) result.lane[lane] = to_float(bytes[lane]);
  return result;
}

template <bool packed>
SIMT_KERNEL(GatherTuning::kThreads)
gather_kernel(std::int64_t batch, std::int64_t pixels, const std::uint8_t* __restrict__ images,
              const std::int64_t* __restrict__ order, const BatchState* __restrict__ state,
              float* __restrict__ out) {
  constexpr int kSize = packed ? kPack : 1;
  const std::int64_t items = pixels / kSize;  // of an image
  const std::int64_t first = state != nullptr ? state->first : 0;
  for (std::int64_t i = grid_thread(); i < batch * items; i += grid_threads()) {
    const std::int64_t n = i / items;
    const std::int64_t image = order != nullptr ? order[first + n] : first + n;
    const std::uint8_t* from = images + image * pixels + (i - n * items) * kSize;
    if constexpr (packed)
      store_vec(out + i * kSize, to_floats(from));
    else
      out[i] = to_float(*from);
  }
}

}  // namespace

void gather_images(std::int64_t batch, std::int64_t pixels, const std::uint8_t* images,
                   const std::int64_t* order, const BatchState* state, float* out, const Stream& stream) {
  require(batch >= 0 && pixels >= 0, "gather_images", "a size is negative");
  if (batch * pixels == 0) return;
  const bool packed =
      pixels % kPack == 0 && reinterpret_cast<std::uintptr_t>(images) % kPack == 0 && is_aligned(out);
  launch(packed ? gather_kernel<true> : gather_kernel<false>,
         {.name = "gather_images",
          .grid = strided_grid(batch * pixels / (packed ? kPack : 1), GatherTuning::kThreads,
                               GatherTuning::kBlocksAMultiprocessor, stream),
          .block = GatherTuning::kThreads},
         stream, batch, pixels, images, order, state, out);
}

}  // namespace bntrain::kernels
