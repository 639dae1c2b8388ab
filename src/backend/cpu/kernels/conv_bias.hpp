// The gradient of a convolution's bias.
#pragma once

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/vec.hpp"

namespace bntrain::cpu::BNTRAIN_ISA {

/// dbias[channel] += the sum of its plane of output gradients.
BNTRAIN_INLINE void add_bias_gradient(const ConvShape& s, const float* dout, const GradientLayout& layout,
                                      float* dbias) {
  for (std::int64_t o = 0; o < s.out_channels; ++o) {
    Vec sum{};
    for (std::int64_t y = 0; y < s.out_height; ++y)
      for (std::int64_t x = 0; x < s.out_width; ++x)
        sum +=
            load(dout + (layout.origin + o * layout.channel + y * layout.row + x * layout.column) * kLanes);
    dbias[o] += lane_sum(sum);
  }
}

}  // namespace bntrain::cpu::BNTRAIN_ISA
