// How the work on the channels is divided into chunks: by the shape alone, so that sums have the same bits in
// every grid.
#pragma once

#include <cstdint>

#include "kernels/simt/simt.hpp"

namespace bntrain::kernels {

/// The `items` of each channel in chunks; a block processes one chunk at a time. A unit is the index of a
/// chunk among those of all channels, channel by channel.
struct ChannelChunks {
  std::int64_t channels, items;
  std::int64_t length;       ///< items of a chunk; the last may be shorter
  std::int64_t per_channel;  ///< chunks, at least 1

  SIMT_HOST_DEVICE std::int64_t units() const { return channels * per_channel; }
  SIMT_HOST_DEVICE std::int64_t channel(std::int64_t unit) const { return unit / per_channel; }
  SIMT_HOST_DEVICE std::int64_t first(std::int64_t unit) const { return unit % per_channel * length; }
  SIMT_HOST_DEVICE std::int64_t last(std::int64_t unit) const {
    const std::int64_t end = first(unit) + length;
    return end < items ? end : items;
  }
};

/// Chunks of at least `shortest` items, and at most `most` of them per channel.
inline ChannelChunks cut(std::int64_t channels, std::int64_t items, std::int64_t shortest,
                         std::int64_t most) {
  const std::int64_t needed = (items + most - 1) / most;
  const std::int64_t length = needed > shortest ? needed : shortest;
  const std::int64_t chunks = (items + length - 1) / length;
  return {channels, items, length, chunks > 0 ? chunks : 1};
}

}  // namespace bntrain::kernels
