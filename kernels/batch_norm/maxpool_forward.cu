// Batch norm, activation and max pooling in training: the statistics of the batch, and y by them.
//
// Maths (Ioffe and Szegedy 2015, arXiv 1502.03167, algorithm 1), x: [batch, channels, height, width], over
// the n = batch * height * width values of a channel:
//   mean = sum(x) / n,  var = sum((x - mean)^2) / n,  inv_std = 1 / sqrt(var + eps)
// and y as in maxpool_inference.cu. A thread sums its values and their squares about their own mean, in
// float32; these sums are shifted to one origin, the first value of the channel, and added in fp64 ("shifted
// data" of Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance"). In a constant channel
// every difference is 0, and so is the variance, exactly. Values whose squares overflow float32 are summed
// again in fp64.
//
// Contract: maxpool.hpp. One launch where a cluster holds a channel in registers. Bytes moved: 4 * (size of x
// + size of y). Else the statistics, their finalisation and maxpool_inference.cu, with x read twice.
#include <cfloat>

#include "kernels/batch_norm/maxpool_resident.cuh"
#include "kernels/batch_norm/moments.cuh"

namespace bntrain::kernels {
namespace {

using namespace maxpool;

constexpr const char* kName = "batch_norm_maxpool_forward";

/// Sums of x - origin and of (x - origin)^2 over the values of this thread.
template <typename Tile, int kItems>
SIMT_DEVICE Pair<double> thread_sums(const Planes& p, const Items<Tile, kItems>& items,
                                     const float (&x)[kItems][Tile::kPixels], double origin) {
  const auto for_pixels = [&](const auto& use) {
    SIMT_UNROLL
    for (int i = 0; i < kItems; ++i) {
      const auto at = Tile::kWhole ? Place<Tile, unsigned>{} : items.place(p, 0, i);
      SIMT_UNROLL
      for (int k = 0; k < Tile::kPixels; ++k) use(x[i][k], i < items.count && at.holds(k), k % 4);
    }
  };
  // Several chains of additions, for their latency.
  const float first = x[0][0];
  float sum[4] = {}, squares[4] = {};
  int held = 0;
  for_pixels([&](float value, bool valid, int chain) {
    sum[chain] += valid ? value - first : 0;
    if constexpr (!Tile::kWhole) held += valid;
  });
  const auto count = static_cast<float>(Tile::kWhole ? items.count * Tile::kPixels : held);
  // 1 / count, approximately: the center need not be the mean to the last bit.
  const float root = inverse_sqrt_approximately(count);
  const float center = first + ((sum[0] + sum[1]) + (sum[2] + sum[3])) * (root * root);
  for (float& s : sum) s = 0;
  for_pixels([&](float value, bool valid, int chain) {
    const float d = valid ? value - center : 0;
    sum[chain] += d;
    squares[chain] += d * d;
  });
  if (items.count == 0) return {0, 0};
  const auto total = static_cast<double>((sum[0] + sum[1]) + (sum[2] + sum[3]));
  const auto total_squares = static_cast<double>((squares[0] + squares[1]) + (squares[2] + squares[3]));
  const double shift = static_cast<double>(center) - origin, shifted = static_cast<double>(count) * shift;
  return {total + shifted, total_squares + shift * (2 * total + shifted)};
}

/// The same in fp64, from memory: it happens to no channel of a sane network, and must cost no registers.
template <typename Tile, int kItems>
SIMT_DEVICE Pair<double> wide_thread_sums(const Planes& p, const Items<Tile, kItems>& items, unsigned channel,
                                          const float* x, double origin) {
  Pair<double> result{0, 0};
  SIMT_ROLL
  for (int i = 0; i < items.count; ++i) {
    const auto at = items.place(p, channel, i);
    float values[Tile::kPixels];
    load_item(p, at, x, values);
    for (int k = 0; k < Tile::kPixels; ++k) {
      const double d = at.holds(k) ? static_cast<double>(values[k]) - origin : 0;
      result = Add{}(result, Pair<double>{d, d * d});
    }
  }
  return result;
}

template <typename Tile, int kItems, typename Activate>
SIMT_KERNEL(Resident<Tile, Activate>::most_threads(kItems), 1)
forward_kernel(Planes p, unsigned first_channel, Activate activation, const float* x, const float* gamma,
               const float* beta, double inverse_count, StatisticsOutput output, float* y) {
  DynamicShared dynamic;
  ChannelSums sums(dynamic);
  const Items<Tile, kItems> items(p);
  const unsigned c = first_channel + static_cast<unsigned>(block_index() / cluster_size());
  grid_dependency_launch();
  grid_dependency_wait();
  float values[kItems][Tile::kPixels];
  SIMT_UNROLL
  for (int i = 0; i < kItems; ++i) {
    if (i < items.count) {
      load_item(p, items.place(p, c, i), x, values[i]);
    } else {
      SIMT_UNROLL
      for (float& value : values[i]) value = 0;
    }
  }
  const auto origin = static_cast<double>(x[static_cast<std::int64_t>(c) * p.size]);
  const float channel_gamma = gamma[c], channel_beta = beta[c];
  Pair<double> sum = thread_sums(p, items, values, origin);
  if (!(sum.second <= static_cast<double>(FLT_MAX))) sum = wide_thread_sums(p, items, c, x, origin);
  sum = sums.total(sum);
  const ChannelStatistics of_channel = statistics_about(origin, sum, inverse_count);
  const Channel channel(split_mean(of_channel.mean), inv_std_of(of_channel.var, output.options.eps),
                        channel_gamma, channel_beta);
  SIMT_UNROLL
  for (int i = 0; i < kItems; ++i) {
    if (i >= items.count) continue;
    float result[Tile::kOutputs];
    if constexpr (Tile::kPool > 1) {
      result[0] = argmax_of(values[i], channel.sign).x;
    } else {
      SIMT_UNROLL
      for (int k = 0; k < Tile::kOutputs; ++k) result[k] = values[i][k];
    }
    SIMT_UNROLL
    for (float& value : result) value = activation.forward(channel.apply(value));
    store_outputs(items.place(p, c, i), result, y);
  }
  if (cluster_rank() == 0 && thread_index() == 0) output.write(c, 0, of_channel);
}

std::int64_t moment_bytes(const PoolShape& shape) {
  return carved_bytes<ChannelMoments>(shape.channels);
}

NormShape norm_shape(const PoolShape& s) {
  return {.batch = s.batch, .channels = s.channels, .spatial = s.height * s.width};
}

}  // namespace

std::int64_t maxpool::forward_workspace(const PoolShape& shape) {
  return moment_bytes(shape) + batch_norm_workspace(norm_shape(shape));
}

void batch_norm_maxpool_forward(const PoolShape& shape, const Activation& activation, double eps,
                                const float* x, const float* gamma, const float* beta, float* y, float* mean,
                                float* var, float* inv_std, void* workspace, const Stream& stream) {
  const Planes planes = planes_of(shape, activation, true, kName);
  if (planes.batch * planes.channels == 0 || planes.size == 0) return;
  for (const void* needed : {x, gamma, beta, static_cast<const float*>(mean), static_cast<const float*>(var),
                             static_cast<const float*>(inv_std)})
    require(needed != nullptr, kName, "a pointer is null");
  require(workspace != nullptr && is_aligned(workspace), kName,
          "the workspace is null or not 16-byte aligned");
  bool done = false;
  with_resident_tile(planes, {x}, {y}, [&]<typename Tile>(Tile) {
    const Planes p = divided<Tile>(planes, kName);
    const StatisticsOutput output{{.eps = eps}, p.channels, mean, var, inv_std, nullptr, nullptr};
    with_fused_activation(activation, [&]<typename Activate>(const Activate& activate) {
      if constexpr (kFits<Tile, Activate>) {
        using Sizes = Resident<Tile, Activate>;
        done = launch_resident<Sizes>(kName, p, forward_kernel<Tile, Sizes::kSmall, Activate>,
                                      forward_kernel<Tile, Sizes::kLarge, Activate>, 0, stream, activate, x,
                                      gamma, beta, 1 / (static_cast<double>(p.batch) * p.size), output, y);
      }
    });
  });
  if (done) return;

  auto* moments = static_cast<ChannelMoments*>(workspace);
  batch_norm_statistics(norm_shape(shape), x, moments,
                        static_cast<unsigned char*>(workspace) + moment_bytes(shape), stream);
  batch_norm_finalize(1, shape.channels, moments, {.eps = eps}, mean, var, inv_std, nullptr, nullptr, stream);
  batch_norm_maxpool_inference(shape, activation, x, {mean, inv_std, gamma, beta}, y, stream);
}

}  // namespace bntrain::kernels
