// The small kernels of one image.
#include <string.h>

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/activation.hpp"
#include "backend/cpu/kernels/image/entry_points.hpp"
#include "backend/cpu/kernels/image/vectors.hpp"
#include "backend/cpu/kernels/planes.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::image {

void gather(const std::uint8_t* pixels, std::int64_t pixels_per_image, const std::int64_t* indices,
            int /*valid*/, const PixelScale& scale, float* out) {
  const std::uint8_t* image = pixels + indices[0] * pixels_per_image;
  // A true division, as in ../elementwise.cpp.
  for (std::int64_t p = 0; p < pixels_per_image; ++p) out[p] = static_cast<float>(image[p]) / 255.0f;
  if (scale.mean == nullptr) return;
  for (std::int64_t first = 0, c = 0; first < pixels_per_image; first += scale.spatial, ++c)
    for (std::int64_t p = first; p < first + scale.spatial; ++p)
      out[p] = (out[p] - scale.mean[c]) / scale.std[c];
}

void pad(const float* in, std::int64_t channels, std::int64_t height, std::int64_t width,
         std::int64_t padding, float* out) {
  pad_planes<1>(in, channels, height, width, padding, out);
}

void relayout(std::int64_t channels, std::int64_t height, std::int64_t width, const float* in,
              const GradientLayout& layout, float* out) {
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x)
        out[c * layout.channel + y * layout.row + x * layout.column + layout.origin] = *in++;
}

void softmax_cross_entropy(const float* logits, std::int64_t classes, const std::uint8_t* labels,
                           const std::int64_t* indices, int valid, float scale, float* dlogits,
                           double* loss_sum, std::int64_t* correct) {
  softmax_of_lanes<1>(logits, classes, labels, indices, valid, scale, dlogits, loss_sum, correct);
}

void activation_backward(const Activation& activation, std::int64_t size, const float* y, float* gradient) {
  with_activation(activation, [&](const auto& a) {
    for_each_vector(size, [&](std::int64_t i, std::int64_t count) {
      store_first(gradient + i, a.backward(load_first(y + i, count), load_first(gradient + i, count)), count);
    });
  });
}

void add(const Activation& activation, std::int64_t size, const float* a, const float* b, float* out) {
  with_activation(activation, [&](const auto& activate) {
    for_each_vector(size, [&](std::int64_t i, std::int64_t count) {
      store_first(out + i, activate.forward(load_first(a + i, count) + load_first(b + i, count)), count);
    });
  });
}

}  // namespace bntrain::cpu::BNTRAIN_ISA::image
