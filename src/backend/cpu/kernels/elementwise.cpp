// The small kernels: gathering images, borders, the loss, the update.
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/entry_points.hpp"
#include "backend/cpu/kernels/vec.hpp"

namespace bntrain::cpu::BNTRAIN_ISA {

void gather(const std::uint8_t* pixels, std::int64_t pixels_per_image, const std::int64_t* indices, int valid,
            float* out) {
  const std::uint8_t* image[kLanes];
  for (int lane = 0; lane < kLanes; ++lane)
    image[lane] = pixels + indices[lane < valid ? lane : 0] * pixels_per_image;
  for (std::int64_t p = 0; p < pixels_per_image; ++p) {
    IntVec bytes;
    for (int lane = 0; lane < kLanes; ++lane) bytes[lane] = image[lane][p];
    // A true division: bytes times a rounded 1/255 differs from PyTorch's values in the last bit.
    store(out + p * kLanes, __builtin_convertvector(bytes, Vec) / splat(255.0f));
  }
}

void pad(const float* in, std::int64_t channels, std::int64_t height, std::int64_t width,
         std::int64_t padding, float* out) {
  const std::int64_t row = (width + 2 * padding) * kLanes;
  for (std::int64_t c = 0; c < channels; ++c, out += (height + 2 * padding) * row)
    for (std::int64_t y = 0; y < height; ++y, in += width * kLanes)
      memcpy(out + (y + padding) * row + padding * kLanes, in,
             static_cast<std::size_t>(width * kLanes) * sizeof(float));
}

void relayout(std::int64_t channels, std::int64_t height, std::int64_t width, const float* in,
              const GradientLayout& layout, float* out) {
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x, in += kLanes)
        store(out + (c * layout.channel + y * layout.row + x * layout.column + layout.origin) * kLanes,
              load(in));
}

void softmax_cross_entropy(const float* logits, std::int64_t classes, const std::uint8_t* labels,
                           const std::int64_t* indices, int valid, float scale, float* dlogits,
                           double* loss_sum, std::int64_t* correct) {
  memset(dlogits, 0, static_cast<std::size_t>(classes * kLanes) * sizeof(float));
  for (int lane = 0; lane < valid; ++lane) {
    const std::int64_t label = labels[indices[lane]];
    std::int64_t best = 0;
    bool nan = false;
    for (std::int64_t c = 0; c < classes; ++c) {
      const float v = logits[c * kLanes + lane];
      nan = nan || v != v;
      if (v > logits[best * kLanes + lane]) best = c;
    }
    // Double precision costs nothing that can be measured here and leaves one rounding, at the end.
    const double top = logits[best * kLanes + lane];
    double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) sum += exp(logits[c * kLanes + lane] - top);
    *loss_sum += log(sum) + top - logits[label * kLanes + lane];
    *correct += best == label && !nan;
    for (std::int64_t c = 0; c < classes; ++c) {
      const double probability = exp(logits[c * kLanes + lane] - top) / sum;
      dlogits[c * kLanes + lane] = static_cast<float>((probability - (c == label ? 1.0 : 0.0)) * scale);
    }
  }
}

void merge(const float* partials, std::int64_t count, std::int64_t stride, std::int64_t size, float* sum) {
  for (std::int64_t i = 0; i < size; ++i) sum[i] = partials[i];
  for (std::int64_t p = 1; p < count; ++p)
    for (std::int64_t i = 0; i < size; ++i) sum[i] += partials[p * stride + i];
}

void sgd(std::int64_t size, const float* gradient, float lr, float momentum, float weight_decay,
         float* weights, float* velocity) {
  for (std::int64_t i = 0; i < size; ++i) {
    float g = gradient[i] + weight_decay * weights[i];
    if (velocity != nullptr) g = velocity[i] = momentum * velocity[i] + g;
    weights[i] -= lr * g;
  }
}

}  // namespace bntrain::cpu::BNTRAIN_ISA
