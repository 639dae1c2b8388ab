// The convolution of one image, its pixels in the lanes, as products of matrices: the inputs under every tap
// are copied side by side ("im2col"), some pixels at a time, so that strides and borders are a matter of
// copying.
//
//   forward          out[o][pixel] = sum over taps of weights[o][tap] * inputs[tap][pixel]
//   input gradient   gradient[tap][pixel] = sum over o of weights[o][tap] * dout[o][pixel], which are added
//   up where
//                    taps of several pixels meet the same input: no zeros are multiplied, whatever the stride
//   weight gradient  dweights[o][tap] = sum over pixels of dout[o][pixel] * inputs[tap][pixel]
//
// A tap is one of input channels x kernel x kernel. The weights are read in the network's order.
#pragma once

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/image/vectors.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::image::conv {

/// Where a run of output pixels begins.
struct Pixels {
  std::int64_t first, last, y, x;
  BNTRAIN_METHOD Pixels(const ConvShape& s, std::int64_t from, std::int64_t to)
      : first(from), last(to), y(from / s.out_width), x(from % s.out_width) {}
};

/// Calls use(index of the first from p.first on, y, x, count) for the part of every row that is in `p`.
template <class Use>
BNTRAIN_INLINE void for_each_row(const ConvShape& s, const Pixels& p, const Use& use) {
  std::int64_t x = p.x, y = p.y;
  for (std::int64_t i = 0, size = p.last - p.first; i < size; ++y, x = 0) {
    const std::int64_t count = least(s.out_width - x, size - i);
    use(i, y, x, count);
    i += count;
  }
}

/// to[pixel] = the input under this tap, zeros up to a whole vector; up to a vector more is written.
static void copy_inputs(const ConvShape& s, const float* in, std::int64_t tap, const Pixels& p, float* to) {
  const std::int64_t area = s.kernel * s.kernel, ky = tap % area / s.kernel, kx = tap % s.kernel;
  const float* from = in + (tap / area * s.in_height + ky) * s.in_width + kx;
  for_each_row(s, p, [&](std::int64_t i, std::int64_t y, std::int64_t x, std::int64_t count) {
    const float* source = from + y * s.stride * s.in_width + x * s.stride;
    if (s.stride == 1)
      for_each_vector(count, [&](std::int64_t j, std::int64_t n) {
        *reinterpret_cast<LooseVec*>(to + i + j) =
            load_first(source + j, n);  // the next row writes over the excess
      });
    else
      for (std::int64_t j = 0; j < count; ++j) to[i + j] = source[j * s.stride];
  });
  *reinterpret_cast<LooseVec*>(to + p.last - p.first) = LooseVec{};
}

/// The weight gradient, as in the table, and what it needs of scratch memory.
void backward_weights(const ConvShape& s, const ChannelRange& outputs, const float* in, const float* dout,
                      const GradientLayout& layout, float* partial, float* dbias, float* scratch);
std::int64_t weight_scratch_floats();

}  // namespace bntrain::cpu::BNTRAIN_ISA::image::conv
