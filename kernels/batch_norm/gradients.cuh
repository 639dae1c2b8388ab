// The two sums of the backward pass and the gradient of the input: what every variant of it computes, in the
// same order.
//
// Maths. Ioffe and Szegedy 2015, arXiv 1502.03167, section 3; per channel of x, (batch, channels, spatial) or
// (batch, spatial, channels), over its n values, xhat = (x - mean) * invstd:
//   dbeta = sum(dy),  dgamma = sum(dy * xhat)
//   dx = gamma * invstd * (dy - dbeta / n - xhat * dgamma / n)
// The sums are made in float32 over the run of a channel that a thread has in registers, 8 to 32 values, and
// in fp64 from there on: per chunk of at most 8192 values, then over the chunks.
#pragma once

#include "kernels/batch_norm/register_tile.cuh"

namespace bntrain::kernels {

using GradientSums = simt::Pair<double>;  // dbeta, dgamma

/// xhat of one channel.
struct Standardizer {
  float center, invstd;

  SIMT_DEVICE float operator()(float x) const { return (x - center) * invstd; }
};

/// The sums of the chunk for the channel that this thread owns. All threads of the block come here. Source:
/// where x and dy are, Global or Tile; channels: of the thread's packs.
template <typename Source, int kWidth, int kChannels>
SIMT_DEVICE GradientSums chunk_gradients(const Walk& walk, const Chunk<kWidth, kChannels>& chunk,
                                         const Source& x, const Source& dy,
                                         const Standardizer (&channels)[kChannels],
                                         simt::Shared<simt::Pair<double>> scratch) {
  Cursor<kWidth, kChannels> cursor(walk, chunk);
  GradientSums sums[kChannels] = {};
  while (cursor.more()) {
    // Not zeros for x: (0 - mean) * invstd may be infinite, and dy = 0 times that NaN.
    const Run<kWidth> values = load_run(walk, cursor, x, Filler::first);
    const Run<kWidth> gradients = load_run(walk, cursor, dy, Filler::zero);
    skip_run(walk, cursor);
    simt::Pair<float> run[kChannels] = {};
    SIMT_UNROLL
    for (int i = 0; i < NormTuning::kRun * kWidth; ++i) {
      const int j = i / kWidth, lane = i % kWidth;
      const int k = channel_of<kChannels>(lane);
      run[k].first += gradients.at[j][lane];
      run[k].second += gradients.at[j][lane] * channels[k](values.at[j][lane]);
    }
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      sums[k].first += static_cast<double>(run[k].first);
      // x - mean may be infinite where the variance is, and that times 0 NaN.
      sums[k].second += channels[k].invstd == 0 ? 0 : static_cast<double>(run[k].second);
    }
  }
  return column_sums(sums, walk.columns, scratch);
}

/// dx of one channel.
struct InputGradient {
  Standardizer standardizer;
  float scale, dbeta_mean, dgamma_mean;

  SIMT_DEVICE float operator()(float x, float dy) const {
    const float xhat = standardizer(x);
    // One value per channel: dy - dbeta is exactly 0.
    const float value = (dy - dbeta_mean - xhat * dgamma_mean) * scale;
    return standardizer.invstd == 0 ? 0 : value;
  }
};

/// dx may be x or dy. channels: of the thread's packs.
template <typename T, typename Source, int kWidth, int kChannels>
SIMT_DEVICE void input_gradient_chunk(const Walk& walk, const Chunk<kWidth, kChannels>& chunk,
                                      const Source& x, const Source& dy,
                                      const InputGradient (&channels)[kChannels], T* dx) {
  Cursor<kWidth, kChannels> cursor(walk, chunk);
  while (cursor.more()) {
    const Run<kWidth> values = load_run(walk, cursor, x, Filler::zero);
    Run<kWidth> gradients = load_run(walk, cursor, dy, Filler::zero);
    SIMT_UNROLL
    for (int i = 0; i < NormTuning::kRun * kWidth; ++i) {
      const int j = i / kWidth, lane = i % kWidth;
      gradients.at[j][lane] =
          channels[channel_of<kChannels>(lane)](values.at[j][lane], gradients.at[j][lane]);
    }
    store_run(walk, cursor, gradients, dx);
  }
}

}  // namespace bntrain::kernels
