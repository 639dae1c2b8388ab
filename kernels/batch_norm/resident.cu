// Which threads of the resident kernels have which values: by the shape and the device alone.
#include "kernels/batch_norm/resident.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {
namespace {

constexpr int kBlockChannelThreads = 128;     // a channel of fewer vectors takes one a thread
constexpr std::int64_t kSmallestShare = 512;  // vectors of a block below which a larger cluster does not pay
// Channels last. A row of a group is two sectors, 64 bytes: the copy rate of such rows is twice that of one
// sector, and rows of 128 bytes take clusters of twice the size.
constexpr int kRowBytes = 64, kSectorBytes = 32;

std::int64_t divided_up(std::int64_t size, std::int64_t part) {
  return (size + part - 1) / part;
}

/// The number of vectors and threads that leaves the fewest idle for `share` vectors of a block; threads is 0
/// where a block has not so many.
ResidentTuning block_tuning(std::int64_t share, int columns) {
  ResidentTuning best;
  std::int64_t fewest = std::numeric_limits<std::int64_t>::max();
  for (const int vectors : kResidentVectors) {
    if (vectors == 1 && share > kBlockChannelThreads) continue;
    const std::int64_t threads = divided_up(share, std::int64_t{vectors} * simt::kWarpSize) * simt::kWarpSize;
    if (threads > resident_threads(vectors)) continue;
    const std::int64_t slots = vectors * threads;
    if (slots <= fewest) {  // of equal ones, the one with fewer threads
      fewest = slots;
      best = {vectors, static_cast<int>(threads), 1, columns};
    }
    if (vectors == 1) break;
  }
  return best;
}

/// The smallest cluster that has room: clusters cost a microsecond to launch, and a barrier. A larger one
/// where half of the multiprocessors would be idle.
ResidentTuning cluster_tuning(const ResidentSpace& space, int columns, std::int64_t groups,
                              const DeviceLimits& device, std::int64_t largest) {
  if (device.compute_capability < 90) largest = 1;
  ResidentTuning best;
  for (std::int64_t cluster = 1; cluster <= largest; cluster *= 2) {
    const std::int64_t share = divided_up(space.vectors, cluster) * columns;
    if (best.vectors != 0 && (groups * best.cluster * 2 > device.multiprocessors || share < kSmallestShare))
      break;
    ResidentTuning tuning = block_tuning(share, columns);
    tuning.cluster = static_cast<int>(cluster);
    if (tuning.vectors != 0) best = tuning;
  }
  return best;
}

}  // namespace

FastDivision fast_division(std::int64_t divisor) {
  const auto by = static_cast<std::uint64_t>(divisor);
  const auto shift = static_cast<unsigned>(std::bit_width(by - 1));
  const std::uint64_t multiplier = ((std::uint64_t{1} << 32) * ((std::uint64_t{1} << shift) - by)) / by + 1;
  return {static_cast<unsigned>(by), static_cast<unsigned>(multiplier), shift};
}

ResidentSpace resident_space(const NormShape& shape, int size) {
  const std::int64_t values = shape.batch * shape.spatial;
  // One channel is one row in every layout, and (N, C) is channels last.
  const bool whole = shape.channels == 1;
  const bool last = !whole && (shape.layout == Layout::channels_last || shape.spatial == 1);
  const std::int64_t row_values = whole ? values : last ? shape.channels : shape.spatial;
  const int width = row_values % size == 0 ? size : 1;
  const std::int64_t row = last ? 1 : row_values / width;  // vectors of a channel that are adjacent
  const std::int64_t row_stride = last ? shape.channels / width : shape.channels * row;

  ResidentSpace space{};
  if (values * shape.channels > std::numeric_limits<std::int32_t>::max()) return space;
  space.width = width;
  space.channels_per_vector = last ? width : 1;
  space.channels = static_cast<unsigned>(shape.channels);
  space.vectors = static_cast<unsigned>(last ? values : values / width);
  space.row = fast_division(row);
  space.row_gap = static_cast<unsigned>(row_stride - row);
  space.channel_stride = static_cast<unsigned>(last ? 1 : row_values);
  space.columns = last ? 0 : 1;
  return space;
}

ResidentTuning resident_tuning(const ResidentSpace& space, const DeviceLimits& device, int largest) {
  if (space.vectors == 0) return {};
  const bool last = space.columns != 1;
  const std::int64_t across = last ? space.channels / static_cast<unsigned>(space.channels_per_vector) : 1;
  int columns = 1;
  if (!last) return cluster_tuning(space, columns, space.channels, device, largest);
  const int vector_bytes = space.width > 1 ? simt::kVecBytes : 4;
  while (columns < across && columns * vector_bytes < kRowBytes) columns *= 2;
  for (;; columns /= 2) {
    const std::int64_t groups = divided_up(across, columns);
    const ResidentTuning tuning = cluster_tuning(space, columns, groups, device, largest);
    // Narrower where that keeps more multiprocessors busy or takes a cluster that there is.
    const bool busy = tuning.vectors != 0 && 2 * groups * tuning.cluster > device.multiprocessors;
    if (busy || columns * vector_bytes <= kSectorBytes || columns == 1) return tuning;
  }
}

ResidentSpace tuned(ResidentSpace space, const ResidentTuning& tuning) {
  const auto channels = static_cast<unsigned>(tuning.columns * space.channels_per_vector);
  space.columns = tuning.columns;
  space.columns_log2 = std::countr_zero(static_cast<unsigned>(tuning.columns));
  space.cluster = tuning.cluster;
  space.cluster_log2 = std::countr_zero(static_cast<unsigned>(tuning.cluster));
  space.groups = (space.channels + channels - 1) / channels;
  space.share = static_cast<unsigned>(divided_up(space.vectors, tuning.cluster));
  return space;
}

LaunchConfig resident_config(const char* name, const ResidentSpace& space, const ResidentTuning& tuning,
                             std::int64_t constants_bytes, std::int64_t tensor_bytes) {
  const std::int64_t owners = std::int64_t{tuning.columns} * space.channels_per_vector;
  // As the kernels carve it.
  const auto sums = [&](std::int64_t parts) { return simt::carved_bytes<double>(parts * 2 * owners); };
  return {.name = name,
          .grid = std::int64_t{space.groups} * tuning.cluster,
          .block = tuning.threads,
          .cluster = tuning.cluster,
          .dependent = true,
          .shared_bytes = sums(tuning.threads / simt::kWarpSize) + sums(tuning.cluster) +
                          simt::carved_bytes<unsigned char>(owners * constants_bytes) + tensor_bytes};
}

}  // namespace bntrain::kernels
