// The two sums of the backward pass and the gradient of the input: what every variant of it but naive
// computes, in the same order.
//
// Maths. Ioffe and Szegedy 2015, arXiv 1502.03167, section 3; per channel of x, (batch, channels, spatial) or
// (batch, spatial, channels), over its n values, xhat = (x - mean) * inv_std:
//   dbeta = sum(dy),  dgamma = sum(dy * xhat)
//   dx = gamma * inv_std * (dy - dbeta / n - xhat * dgamma / n)
// Sums are in float32 over the 8 to 32 values of a channel that a thread has in registers, above that in
// fp64: over a chunk of at most 8192 values, then over the chunks.
#pragma once

#include "kernels/batch_norm/mean.cuh"
#include "kernels/batch_norm/register_tile.cuh"

namespace bntrain::kernels {

using GradientSums = simt::Pair<double>;  // dbeta, dgamma

/// xhat of one channel.
struct Standardizer {
  Mean mean;
  float inv_std;

  SIMT_DEVICE float operator()(float x) const { return mean.deviation(x) * inv_std; }
};
SIMT_DEVICE Standardizer standardizer(const Mean& mean, float inv_std) {
  // Where inv_std is 0, x - mean may be infinite, and 0 times that is NaN.
  return {inv_std == 0 ? Mean{0, 0} : mean, inv_std};
}

/// The sums of the chunk for the channel chunk.owned() of this thread. Collective: all threads of the block
/// call it. Source: Global or SharedTile; channels: those of the thread's vectors.
template <typename Source, int kWidth, int kChannels>
SIMT_DEVICE GradientSums chunk_gradients(const IterationSpace& space, const Chunk<kWidth, kChannels>& chunk,
                                         const Source& x, const Source& dy,
                                         const Standardizer (&channels)[kChannels],
                                         simt::Shared<simt::Pair<double>> scratch) {
  Cursor<kWidth, kChannels> cursor(space, chunk);
  GradientSums sums[kChannels] = {};
  while (cursor.more()) {
    const RegisterTile<kWidth> values = load_tile(space, cursor, x);
    const RegisterTile<kWidth> gradients = load_tile(space, cursor, dy);
    const int vectors = skip_tile(space, cursor);
    simt::Pair<float> tile[kChannels] = {};
    SIMT_UNROLL
    for (int i = 0; i < NormTuning::kTileVectors * kWidth; ++i) {
      const int j = i / kWidth, lane = i % kWidth;
      const int k = channel_of<kChannels>(lane);
      if (j >= vectors) continue;
      tile[k].first += gradients.at[j][lane];
      tile[k].second += gradients.at[j][lane] * channels[k](values.at[j][lane]);
    }
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      sums[k].first += static_cast<double>(tile[k].first);
      sums[k].second += static_cast<double>(tile[k].second);
    }
  }
  return column_sums(sums, space.block_columns, scratch);
}

/// dx of one channel.
struct InputGradient {
  Standardizer standardizer;
  float scale, dbeta_mean, dgamma_mean;

  SIMT_DEVICE float operator()(float x, float dy) const {
    const float xhat = standardizer(x);
    // With one value per channel dy - dbeta_mean is exactly 0.
    return (dy - dbeta_mean - xhat * dgamma_mean) * scale;
  }
};

/// dx may be x or dy. channels: those of the thread's vectors.
template <typename T, typename Source, int kWidth, int kChannels>
SIMT_DEVICE void input_gradient_chunk(const IterationSpace& space, const Chunk<kWidth, kChannels>& chunk,
                                      const Source& x, const Source& dy,
                                      const InputGradient (&channels)[kChannels], T* dx) {
  Cursor<kWidth, kChannels> cursor(space, chunk);
  while (cursor.more()) {
    const RegisterTile<kWidth> values = load_tile(space, cursor, x);
    RegisterTile<kWidth> gradients = load_tile(space, cursor, dy);
    SIMT_UNROLL
    for (int i = 0; i < NormTuning::kTileVectors * kWidth; ++i) {
      const int j = i / kWidth, lane = i % kWidth;
      gradients.at[j][lane] =
          channels[channel_of<kChannels>(lane)](values.at[j][lane], gradients.at[j][lane]);
    }
    store_tile(space, cursor, gradients, dx);
  }
}

}  // namespace bntrain::kernels
