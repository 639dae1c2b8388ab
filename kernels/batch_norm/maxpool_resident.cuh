// Shared by the two training passes that hold a channel in the registers of a block or of a cluster: how many
// threads hold how many items each, and the sums over all of them.
//
// Block r of a cluster holds the items from r * threads * kItems on; its thread t those at t, t + threads,
// ... of them, so that a warp reads adjacent items.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/batch_norm/maxpool.cuh"

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

/// What a prototype was fast with on an H200: for 256 x 20 x 24 x 24 16 blocks of 256 threads with 9 windows
/// each, for 256 x 50 x 10 x 10 4 blocks of 320 threads with 5. At 80 and 64 registers a thread three such
/// blocks fit on a multiprocessor, so that some read while others add up or write.
struct PoolTuning {
  static constexpr int kLargestCluster = 16;
  static constexpr int kFewestThreads = 128;  ///< smaller blocks are not worth a cluster
  /// Threads that have 64 and 80 (parts of windows: 128) registers each.
  static constexpr int kSmallThreads = 1024, kLargeThreads = 768, kPartThreads = 512;
  /// Elements. With planes of less than a sector most of what is read is of other channels, which only a
  /// tensor in the caches can afford.
  static constexpr std::int64_t kSmallestPlane = 8, kCachedTensor = 256 * 1024;
};

/// The instances of the kernels: a small and a large number of items per thread, which are the same where one
/// is enough.
template <typename Tile, typename Activate>
struct Resident {
  static constexpr bool kSingle = Tile::kPool == 1 && Tile::kVector == 1;
  static constexpr bool kFast = Tile::kVector > 1 && std::is_same_v<Activate, Rectifier>;
  static constexpr int kLarge = (kFast ? 36 : 28) / Tile::kPixels;
  static constexpr int kSmall = kSingle ? 8 : kFast ? 20 / Tile::kPixels : kLarge;
  static constexpr int kLargeThreads = Tile::kWhole ? PoolTuning::kLargeThreads : PoolTuning::kPartThreads;

  /// The most that a kernel is compiled for.
  static constexpr int most_threads(int items) {
    return items < kLarge ? PoolTuning::kSmallThreads : kLargeThreads;
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
          if (good && idle && cluster < largest && threads > PoolTuning::kFewestThreads) break;
          return {size.items, static_cast<int>(threads), cluster};
        }
    return {};
  }
};

/// The sums over a cluster that holds one channel.
class ChannelSums {
 public:
  SIMT_DEVICE explicit ChannelSums(DynamicShared& dynamic) : sums_(one_column(), dynamic) {}
  static constexpr std::int64_t bytes(int threads, int cluster) {
    return carved_bytes<double>(2 * threads / kWarpSize) + carved_bytes<double>(2 * cluster);
  }

  /// In every thread.
  SIMT_DEVICE Pair<double> total(const Pair<double>& mine) {
    double values[] = {mine.first, mine.second};
    sums_.add(values);
    return sums_.total(0);
  }

 private:
  SIMT_DEVICE static ResidentSpace one_column() {
    ResidentSpace space{};
    space.cluster = cluster_size();
    space.columns = 1;
    return space;
  }
  ClusterSums<2> sums_;
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
  const std::int64_t elements = std::int64_t{p.batch} * p.channels * p.size;
  if (elements > UINT32_MAX) return false;
  if (p.size < PoolTuning::kSmallestPlane && elements > PoolTuning::kCachedTensor) return false;
  const DeviceLimits device = device_limits(stream);
  constexpr std::int64_t kSums = ChannelSums::bytes(PoolTuning::kSmallThreads, PoolTuning::kLargestCluster);
  const std::int64_t most_items =
      item_bytes == 0 ? INT32_MAX : (device.shared_bytes_per_block - kSums) / item_bytes;
  for (int largest = device.compute_capability >= 90 ? PoolTuning::kLargestCluster : 1; largest > 0;
       largest /= 2) {
    const Residence r = Sizes::place(p, largest, device.multiprocessors, static_cast<int>(most_items));
    if (r.items == 0) return false;
    const Kernel kernel = r.items == Sizes::kSmall ? small : large;
    LaunchConfig config{.name = name,
                        .grid = std::int64_t{r.cluster} * p.channels,
                        .block = r.threads,
                        .cluster = r.cluster,
                        .dependent = true,
                        .shared_bytes = std::int64_t{r.threads} * r.items * item_bytes +
                                        ChannelSums::bytes(r.threads, r.cluster)};
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

}  // namespace bntrain::kernels::maxpool
