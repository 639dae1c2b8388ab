// What is the same for any number of images in the lanes: borders, the loss.
#pragma once

#include <math.h>
#include <string.h>

#include "backend/cpu/kernels/vec.hpp"

namespace bntrain::cpu::BNTRAIN_ISA {

template <int Lanes>
static void pad_planes(const float* in, std::int64_t channels, std::int64_t height, std::int64_t width,
                       std::int64_t padding, float* out) {
  const std::int64_t row = (width + 2 * padding) * Lanes;
  for (std::int64_t c = 0; c < channels; ++c, out += (height + 2 * padding) * row)
    for (std::int64_t y = 0; y < height; ++y, in += width * Lanes)
      memcpy(out + (y + padding) * row + padding * Lanes, in,
             static_cast<std::size_t>(width * Lanes) * sizeof(float));
}

template <int Lanes>
static void softmax_of_lanes(const float* logits, std::int64_t classes, const std::uint8_t* labels,
                             const std::int64_t* indices, int valid, float scale, float* dlogits,
                             double* loss_sum, std::int64_t* correct) {
  memset(dlogits, 0, static_cast<std::size_t>(classes * Lanes) * sizeof(float));
  for (int lane = 0; lane < valid; ++lane) {
    const std::int64_t label = labels[indices[lane]];
    std::int64_t best = 0;
    bool nan = false;
    for (std::int64_t c = 0; c < classes; ++c) {
      const float v = logits[c * Lanes + lane];
      nan = nan || v != v;
      if (v > logits[best * Lanes + lane]) best = c;
    }
    // Double precision leaves one rounding, at the end; all of this is 0.2% of a step of the reference
    // network.
    const double top = logits[best * Lanes + lane];
    double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) sum += exp(logits[c * Lanes + lane] - top);
    *loss_sum += log(sum) + top - logits[label * Lanes + lane];
    *correct += best == label && !nan;
    for (std::int64_t c = 0; c < classes; ++c) {
      const double probability = exp(logits[c * Lanes + lane] - top) / sum;
      dlogits[c * Lanes + lane] = static_cast<float>((probability - (c == label ? 1.0 : 0.0)) * scale);
    }
  }
}

}  // namespace bntrain::cpu::BNTRAIN_ISA
