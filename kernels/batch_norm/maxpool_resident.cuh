// Shared by the two training passes that hold a channel in the registers of a block or of a cluster: how many
// threads hold how many items each, and the sums over all of them.
//
// Block r of a cluster holds the items from r * threads * kItems on; its thread t those at t, t + threads,
// ... of them, so that a warp reads adjacent items.
#pragma once

#include "kernels/batch_norm/maxpool.cuh"
#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels::maxpool {

/// How a channel is held.
struct Residence {
  int items = 0;  ///< per thread; 0: it does not fit
  int threads = 0, cluster = 0;
};

/// A kernel's choices of items per thread, and with each the threads of a block that leave room for others on
/// its multiprocessor, and the most that the kernel was compiled for.
struct ResidentSize {
  int items, good_threads, most_threads;
};

/// Measured on an H200: 36 values in registers (20 of 24 x 24 and batch 256: 16 blocks of 256 threads with 9
/// windows each) need three blocks per multiprocessor to hide the latency of the reads, 20 (50 of 10 x 10:
/// 4 blocks of 320 threads with 5) as well.
struct ResidentTuning {
  static constexpr int kLargestCluster = 16;
  static constexpr int kFewestThreads = 128;  ///< smaller blocks are not worth a cluster
  /// Threads that have 64 and 80 (parts of windows: 128) registers each.
  static constexpr int kSmallThreads = 1024, kLargeThreads = 768, kPartThreads = 512;
  /// A row of a channel (without pooling, its plane) in bytes: under a sector most of what is read is of
  /// other channels, which only a tensor in the caches can afford.
  static constexpr std::int64_t kShortestRow = 32, kCachedElements = 256 * 1024;
};

/// The instances of the kernels: a small and a large number of items per thread, which are the same where one
/// is enough.
template <typename Tile, typename Activate>
struct Resident {
  static constexpr bool kSingle = Tile::kPool == 1 && Tile::kVector == 1;
  static constexpr int kLarge = (Tile::kVector > 1 ? 36 : 32) / Tile::kPixels;
  static constexpr int kSmall = kSingle                                               ? 8
                                : Tile::kWhole && std::is_same_v<Activate, Rectifier> ? 20 / Tile::kPixels
                                                                                      : kLarge;
  static constexpr int kLargeThreads =
      Tile::kWhole ? ResidentTuning::kLargeThreads : ResidentTuning::kPartThreads;

  /// The most that a kernel is compiled for.
  static constexpr int most_threads(int items) {
    return items < kLarge ? ResidentTuning::kSmallThreads : kLargeThreads;
  }

  /// The smallest cluster of good blocks, and a larger one while there are idle multiprocessors; else the
  /// largest, of blocks as large as it takes. largest: cluster; most_items: of a block.
  static Residence place(const Planes& p, int largest, int multiprocessors, int most_items) {
    const ResidentSize sizes[] = {{kSmall, 320, most_threads(kSmall)}, {kLarge, 256, most_threads(kLarge)}};
    const auto threads_of = [&](int cluster, const ResidentSize& size) {
      const std::int64_t per_thread = std::int64_t{cluster} * size.items;
      return (static_cast<std::int64_t>(p.items) + per_thread * kWarpSize - 1) / (per_thread * kWarpSize) *
             kWarpSize;
    };
    for (const bool good : {true, false})
      for (int cluster = good ? 1 : largest; cluster <= largest; cluster *= 2)
        for (const ResidentSize& size : sizes) {
          const std::int64_t threads = threads_of(cluster, size);
          if (threads > (good ? size.good_threads : size.most_threads) || threads * size.items > most_items)
            continue;
          const bool idle = static_cast<std::int64_t>(p.channels) * cluster < multiprocessors;
          if (good && idle && cluster < largest && threads > ResidentTuning::kFewestThreads) break;
          return {size.items, static_cast<int>(threads), cluster};
        }
    return {};
  }
};

/// The tiles of which items may stay in registers. Calls use(tile), or nothing for windows that are too
/// large.
template <typename Use>
void with_resident_tile(const Planes& p, std::initializer_list<const void*> pixels,
                        std::initializer_list<const void*> outputs, const Use& use) {
  with_tile(p, pixels, outputs, [&]<typename T>(T tile) {
    if constexpr (T::kPool != 0) {
      use(tile);
    } else {
      if (p.pool == 2) use(Tile<2, 1>{});
      if (p.pool == 3) use(Tile<3, 1>{});
    }
  });
}

/// Launches one of two kernels, of Resident::kSmall and kLarge items per thread, if the device can hold the
/// channels so. item_bytes: of shared memory.
template <typename Sizes, typename Kernel, typename... Arguments>
bool launch_resident(const char* name, const Planes& p, Kernel small, Kernel large, int item_bytes,
                     const Stream& stream, const Arguments&... arguments) {
  const bool short_row = (p.pool == 1 ? p.size : p.width) * sizeof(float) < ResidentTuning::kShortestRow;
  const std::int64_t elements = std::int64_t{p.batch} * p.channels * p.size;
  if (elements > UINT32_MAX || (short_row && elements > ResidentTuning::kCachedElements)) return false;
  const DeviceLimits device = device_limits(stream);
  constexpr std::int64_t kStatic = 1024;  // shared memory for the sums
  const std::int64_t most_items =
      item_bytes == 0 ? INT32_MAX : (device.shared_bytes_per_block - kStatic) / item_bytes;
  for (int largest = device.compute_capability >= 90 ? ResidentTuning::kLargestCluster : 1; largest > 0;
       largest /= 2) {
    const Residence r = Sizes::place(p, largest, device.multiprocessors, static_cast<int>(most_items));
    if (r.items == 0) return false;
    const Kernel kernel = r.items == Sizes::kSmall ? small : large;
    LaunchConfig config{.name = name,
                        .grid = std::int64_t{r.cluster} * p.channels,
                        .block = r.threads,
                        .cluster = r.cluster,
                        .shared_bytes = std::int64_t{r.threads} * r.items * item_bytes};
    // Not every device has room for the largest clusters.
    if (r.cluster > 1 && co_resident_blocks(address(kernel), config, {stream.handle}) < r.cluster) continue;
    // A loop over channels in the kernel would keep all places of a thread in registers.
    if (stream.max_blocks > 0)
      config.grid =
          std::min<std::int64_t>(config.grid, std::max(stream.max_blocks / r.cluster, 1) * r.cluster);
    for (unsigned first = 0; first < p.channels; first += static_cast<unsigned>(config.grid / r.cluster)) {
      config.grid = std::min(config.grid, std::int64_t{r.cluster} * (p.channels - first));
      launch(kernel, config, stream, p, first, arguments...);
    }
    return true;
  }
  return false;
}

/// The items of this thread.
template <typename Tile, int kItems>
struct Items {
  unsigned first;
  int count;  ///< up to kItems

  SIMT_DEVICE explicit Items(const Planes& p)
      : first(static_cast<unsigned>(cluster_rank() * block_size() * kItems + thread_index())) {
    const auto step = static_cast<unsigned>(block_size());
    const unsigned available = first < p.items ? (p.items - first + step - 1) / step : 0;
    count = available < kItems ? static_cast<int>(available) : kItems;
  }
  SIMT_DEVICE Place<Tile, unsigned> place(const Planes& p, unsigned channel, int i) const {
    return place_of<Tile, unsigned>(p, channel, first + static_cast<unsigned>(i * block_size()));
  }
};

/// The sums over the threads of a cluster, in every thread and with the same bits.
class ClusterSums {
 public:
  SIMT_DEVICE ClusterSums(Shared<double> warps, Shared<double> blocks) : warps_(warps), blocks_(blocks) {
    if (cluster_size() > 1) cluster_sync();  // all blocks run: their shared memory may be written
  }

  static constexpr int kWarpSlots = 2 * kMaxWarps, kBlockSlots = 2 * ResidentTuning::kLargestCluster;

  /// Once. A warp adds `first` in its even lanes and `second` in the odd ones: one chain of shuffles, not
  /// two.
  SIMT_DEVICE Pair<double> total(Pair<double> value) const {
    const int lane = lane_index(), half = lane % 2, size = cluster_size();
    double sum = half != 0 ? value.second : value.first;
    sum += shuffle_xor(half != 0 ? value.first : value.second, 1);
    sum = add_halves(sum);
    if (lane < 2) warps_[2 * warp_index() + lane] = sum;
    block_sync();
    if (warp_index() == 0) {
      sum = 0;
      for (int i = lane; i < 2 * warp_count(); i += kWarpSize) {
        const double part = warps_[i];
        sum += part;
      }
      sum = add_halves(sum);
      const int to = lane / 2;
      if (to < size) (size > 1 ? map_shared(blocks_, to) : blocks_)[2 * cluster_rank() + half] = sum;
    }
    size > 1 ? cluster_sync() : block_sync();
    Pair<double> result{0, 0};
    SIMT_UNROLL
    for (int block = 0; block < ResidentTuning::kLargestCluster; ++block) {
      if (block == size) break;
      const double first = blocks_[2 * block], second = blocks_[2 * block + 1];
      result = Add{}(result, Pair<double>{first, second});
    }
    return result;
  }

 private:
  SIMT_DEVICE static double add_halves(double sum) {
    SIMT_UNROLL
    for (int bits = 2; bits < kWarpSize; bits *= 2) sum += shuffle_xor(sum, bits);
    return sum;
  }

  Shared<double> warps_, blocks_;
};

}  // namespace bntrain::kernels::maxpool
