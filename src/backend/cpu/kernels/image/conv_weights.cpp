// The gradient of the weights, see conv.hpp.
#include "backend/cpu/kernels/image/conv.hpp"
#include "backend/cpu/kernels/transpose.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::image::conv {

// The register tile: kOutputs x kTaps sums, one a lane when they are added up.
#if defined(__AVX512F__)
constexpr int kOutputs = 4, kTaps = 4;
#elif defined(__AVX2__)
constexpr int kOutputs = 4, kTaps = 2;
#else
constexpr int kOutputs = 2, kTaps = 2;
#endif
static_assert(kOutputs * kTaps == kLanes);

constexpr std::int64_t kPixels = 512;  // of a partial sum
constexpr std::int64_t kTapStride = kPixels + kLanes;

std::int64_t weight_scratch_floats() {
  return kTaps * kTapStride;
}

/// Lane o * kTaps + t = sum over `size` pixels of dout[o] * inputs[t]; those from `outputs` on repeat the
/// first.
static Vec weight_sums(std::int64_t outputs, const float* dout, std::int64_t channel, const float* inputs,
                       std::int64_t tap_stride, std::int64_t size) {
  Vec sum[kLanes] = {};
  const float* planes[kOutputs];
#pragma GCC unroll 4
  for (int o = 0; o < kOutputs; ++o) planes[o] = dout + (o < outputs ? o * channel : 0);
  for_each_vector(
      size, [&](std::int64_t i, std::int64_t count) __attribute__((always_inline)) {
        Vec d[kOutputs];
#pragma GCC unroll 4
        for (int o = 0; o < kOutputs; ++o) d[o] = load_first(planes[o] + i, count);
#pragma GCC unroll 4
        for (int t = 0; t < kTaps; ++t) {
          const Vec v = load(inputs + t * tap_stride + i);
#pragma GCC unroll 4
          for (int o = 0; o < kOutputs; ++o) sum[o * kTaps + t] += d[o] * v;
        }
      });
  return sums_of_rows(sum);
}

void backward_weights(const ConvShape& s, const ChannelRange& outputs, const float* in, const float* dout,
                      const GradientLayout& layout, float* partial, float* dbias, float* scratch) {
  const std::int64_t taps = s.in_channels * s.kernel * s.kernel, plane = s.out_height * s.out_width;
  for (std::int64_t first = 0; first < plane; first += kPixels) {
    const Pixels pixels(s, first, least(first + kPixels, plane));
    const std::int64_t size = pixels.last - first;
    for (std::int64_t tap = 0; tap < taps; tap += kTaps) {
      const std::int64_t count = least(kTaps, taps - tap);
      for (std::int64_t t = 0; t < count; ++t) copy_inputs(s, in, tap + t, pixels, scratch + t * kTapStride);
      for (std::int64_t o = outputs.first; o < outputs.last; o += kOutputs) {
        const std::int64_t rows = least(kOutputs, outputs.last - o);
        const Vec sums =
            weight_sums(rows, dout + o * layout.channel + first, layout.channel, scratch, kTapStride, size);
        for (std::int64_t r = 0; r < rows; ++r)
          for (std::int64_t t = 0; t < count; ++t) partial[(o + r) * taps + tap + t] += sums[r * kTaps + t];
      }
    }
  }
  if (dbias == nullptr) return;
  for (std::int64_t o = outputs.first; o < outputs.last; ++o) {
    Vec sum{};
    for_each_vector(plane, [&](std::int64_t i, std::int64_t count) {
      sum += load_first(dout + o * layout.channel + i, count);
    });
    dbias[o] += lane_sum(sum);
  }
}

}  // namespace bntrain::cpu::BNTRAIN_ISA::image::conv
