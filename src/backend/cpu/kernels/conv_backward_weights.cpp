// The gradient of the convolution's weights: a product of output gradients and shifted inputs, summed over
// positions, images and groups.
#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/entry_points.hpp"
#include "backend/cpu/kernels/vec.hpp"

namespace bntrain::cpu::BNTRAIN_ISA {

/// Strides in floats.
struct WeightTileArguments {
  std::int64_t height, width;
  std::int64_t dout_channel, dout_row, dout_column;
  std::int64_t in_row, in_column;
  std::int64_t channels, taps;  ///< how many of the tile's are real; the others repeat the first
};

/// sums[o][t] += sum over positions and lanes of dout[o] * in[tap t], for one tile.
static void weight_tile(const WeightTileArguments& a, const float* dout, const float* in,
                        const std::int64_t* tap_offsets, float* dweights, std::int64_t dweights_stride) {
  Vec sum[kWeightTileChannels][kWeightTileTaps] = {};
  std::int64_t channel[kWeightTileChannels];
  std::int64_t tap[kWeightTileTaps];
#pragma GCC unroll 8
  for (int o = 0; o < kWeightTileChannels; ++o) channel[o] = o < a.channels ? o * a.dout_channel : 0;
#pragma GCC unroll 8
  for (int t = 0; t < kWeightTileTaps; ++t) tap[t] = tap_offsets[t < a.taps ? t : 0];
  for (std::int64_t y = 0; y < a.height; ++y) {
    const float* g = dout + y * a.dout_row;
    const float* v = in + y * a.in_row;
    for (std::int64_t x = 0; x < a.width; ++x, g += a.dout_column, v += a.in_column) {
      Vec d[kWeightTileChannels];
#pragma GCC unroll 8
      for (int o = 0; o < kWeightTileChannels; ++o) d[o] = load(g + channel[o]);
#pragma GCC unroll 8
      for (int t = 0; t < kWeightTileTaps; ++t) {
        const Vec input = load(v + tap[t]);
#pragma GCC unroll 8
        for (int o = 0; o < kWeightTileChannels; ++o) sum[o][t] += d[o] * input;
      }
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < kWeightTileChannels; ++o)
#pragma GCC unroll 8
    for (int t = 0; t < kWeightTileTaps; ++t)
      if (o < a.channels && t < a.taps) dweights[o * dweights_stride + t] += lane_sum(sum[o][t]);
}

void conv_backward_weights(const ConvShape& s, const float* in, const float* dout,
                           const GradientLayout& layout, std::int64_t first, std::int64_t last,
                           float* dweights, float* dbias) {
  const std::int64_t taps = s.in_channels * s.kernel * s.kernel;
  WeightTileArguments a{s.out_height,
                        s.out_width,
                        layout.channel * kLanes,
                        layout.row * kLanes,
                        layout.column * kLanes,
                        s.stride * s.in_width * kLanes,
                        s.stride * kLanes,
                        0,
                        0};
  dout += layout.origin * kLanes;
  for (std::int64_t o = first; o < last; o += kWeightTileChannels) {
    a.channels = last - o;
    for (std::int64_t t = 0; t < taps; t += kWeightTileTaps) {
      a.taps = taps - t;
      std::int64_t offsets[kWeightTileTaps] = {};
      for (std::int64_t i = 0; i < kWeightTileTaps && t + i < taps; ++i) {
        const std::int64_t c = (t + i) / (s.kernel * s.kernel);
        const std::int64_t ky = (t + i) / s.kernel % s.kernel;
        const std::int64_t kx = (t + i) % s.kernel;
        offsets[i] = ((c * s.in_height + ky) * s.in_width + kx) * kLanes;
      }
      weight_tile(a, dout + o * a.dout_channel, in, offsets, dweights + o * taps + t, taps);
    }
  }
  if (dbias == nullptr) return;
  for (std::int64_t o = first; o < last; ++o) {
    Vec sum{};
    for (std::int64_t y = 0; y < s.out_height; ++y)
      for (std::int64_t x = 0; x < s.out_width; ++x)
        sum += load(dout + o * a.dout_channel + y * a.dout_row + x * a.dout_column);
    dbias[o] += lane_sum(sum);
  }
}

}  // namespace bntrain::cpu::BNTRAIN_ISA
