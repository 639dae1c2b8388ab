// The gradients of batch norm, activation and max pooling in one launch, with a channel on chip.
//
// Maths: maxpool_backward.cu. Contract: maxpool.hpp. Bytes moved: 4 * (2 * size of x + size of y). The argmax
// and the input of the activation are found again in x, which costs less than to read them. With pooling x
// and dy stay in registers; without, dy does and x waits in shared memory: both would take the registers of
// other blocks.
#include "kernels/batch_norm/maxpool_resident.cuh"

namespace bntrain::kernels {
namespace {

using namespace maxpool;

/// The pixels of all items of a thread.
template <typename Tile, int kItems>
struct RegisterPixels {
  float values[kItems][Tile::kPixels];

  SIMT_DEVICE explicit RegisterPixels(DynamicShared&) {}
  template <typename Offset>
  SIMT_DEVICE void fetch(const Planes& p, const Place<Tile, Offset>& at, const float* x, int item) {
    load_item(p, at, x, values[item]);
  }
  SIMT_DEVICE void wait() const {}
  SIMT_DEVICE void read(int item, float (&pixels)[Tile::kPixels]) const {
    SIMT_UNROLL
    for (int k = 0; k < Tile::kPixels; ++k) pixels[k] = values[item][k];
  }
};

/// The same in shared memory, where a thread reads what it has copied itself.
template <typename Tile, int kItems>
struct SharedPixels {
  Shared<float> values;

  SIMT_DEVICE explicit SharedPixels(DynamicShared& dynamic)
      : values(dynamic.take<float>("x", std::int64_t{kItems} * Tile::kPixels * block_size())) {}
  SIMT_DEVICE Shared<float> place(int item) const {
    return values + (item * block_size() + thread_index()) * Tile::kPixels;
  }
  template <typename Offset>
  SIMT_DEVICE void fetch(const Planes&, const Place<Tile, Offset>& at, const float* x, int item) const {
    copy_async<Tile::kPixels>(place(item), x + at.in);
  }
  SIMT_DEVICE void wait() const { copies_wait(); }
  SIMT_DEVICE void read(int item, float (&pixels)[Tile::kPixels]) const {
    if constexpr (Tile::kPixels == 4) {
      const Vec<float> four = load_vec(place(item));
      SIMT_UNROLL
      for (int k = 0; k < 4; ++k) pixels[k] = four.lane[k];
    } else {
      const float one = place(item)[0];
      pixels[0] = one;
    }
  }
};

template <typename Tile, int kItems>
using Pixels = std::conditional_t<Tile::kPool == 1, SharedPixels<Tile, kItems>, RegisterPixels<Tile, kItems>>;

template <typename Tile, int kItems, typename Activate>
SIMT_KERNEL(Resident<Tile, Activate>::most_threads(kItems), 1)
resident_backward_kernel(Planes p, unsigned first_channel, Activate activation, const float* x,
                         const float* dy, ChannelNorm norm, double inverse_count, float* dx, float* dgamma,
                         float* dbeta) {
  DynamicShared dynamic;
  ChannelSums sums(dynamic);
  const Items<Tile, kItems> items(p);
  const unsigned c = first_channel + static_cast<unsigned>(block_index() / cluster_size());
  Pixels<Tile, kItems> held(dynamic);
  grid_dependency_launch();
  grid_dependency_wait();
  float g[kItems][Tile::kOutputs];
  SIMT_UNROLL
  for (int i = 0; i < kItems; ++i) {
    if (i >= items.count) continue;
    const auto at = items.place(p, c, i);
    held.fetch(p, at, x, i);
    load_outputs(at, dy, g[i]);
  }
  const Channel channel = channel_of(norm, p.channels, c);
  held.wait();

  Pair<float> sum[4] = {};  // several chains of additions, for their latency
  SIMT_UNROLL
  for (int i = 0; i < kItems; ++i) {
    if (i >= items.count) continue;
    float pixels[Tile::kPixels];
    held.read(i, pixels);
    SIMT_UNROLL
    for (int k = 0; k < Tile::kOutputs; ++k) {
      const float best = Tile::kPool > 1 ? argmax_of(pixels, channel.sign).x : pixels[k];
      g[i][k] = activation_gradient(activation, channel.apply(best), g[i][k]);
      Pair<float>& chain = sum[(i + k) % 4];
      chain = Add{}(chain, Pair<float>{g[i][k], g[i][k] * channel.xhat(best)});
    }
  }
  const Pair<float> mine = Add{}(Add{}(sum[0], sum[1]), Add{}(sum[2], sum[3]));
  const Pair<double> total = sums.total({static_cast<double>(mine.first), static_cast<double>(mine.second)});
  if (cluster_rank() == 0 && thread_index() == 0) {
    dbeta[c] = static_cast<float>(total.first);
    dgamma[c] = static_cast<float>(total.second);
  }
  if (dx == nullptr) return;

  const InputGradient gradient{channel, static_cast<float>(total.first * inverse_count),
                               static_cast<float>(total.second * inverse_count)};
  SIMT_UNROLL
  for (int i = 0; i < kItems; ++i) {
    if (i >= items.count) continue;
    float pixels[Tile::kPixels];
    held.read(i, pixels);
    const int best = Tile::kPool > 1 ? argmax_of(pixels, channel.sign).pixel : 0;
    SIMT_UNROLL
    for (int k = 0; k < Tile::kPixels; ++k)
      pixels[k] = gradient(pixels[k], Tile::kPool == 1 ? g[i][k % Tile::kOutputs] : k == best ? g[i][0] : 0);
    store_item(p, items.place(p, c, i), pixels, dx);
  }
}

}  // namespace

bool maxpool::backward_resident(const Planes& planes, const Activation& activation, const float* x,
                                const float* dy, const ChannelNorm& norm, float* dx, float* dgamma,
                                float* dbeta, const Stream& stream) {
  constexpr const char* kName = "batch_norm_maxpool_backward";
  constexpr int kPixelBytes = static_cast<int>(sizeof(float));
  bool done = false;
  with_resident_tile(planes, {x, dx}, {dy}, [&]<typename Tile>(Tile) {
    const Planes p = divided<Tile>(planes, kName);
    with_fused_activation(activation, [&]<typename Activate>(const Activate& activate) {
      if constexpr (kFits<Tile, Activate>) {
        using Sizes = Resident<Tile, Activate>;
        done =
            launch_resident<Sizes>(kName, p, resident_backward_kernel<Tile, Sizes::kSmall, Activate>,
                                   resident_backward_kernel<Tile, Sizes::kLarge, Activate>,
                                   Tile::kPool == 1 ? kPixelBytes * Tile::kPixels : 0, stream, activate, x,
                                   dy, norm, 1 / (static_cast<double>(p.batch) * p.size), dx, dgamma, dbeta);
      }
    });
  });
  return done;
}

}  // namespace bntrain::kernels
