// Batch norm over strips of channels, which groups of blocks share.
//
// A thread copies its vectors, two at a time (a batch), to a slot of a ring in shared memory, and reads no
// other thread's: the ring needs no barrier. The first batches of a strip stay in registers, the last ones in
// the ring; those between, if any, are read again after the exchange, the latest first, while the L2 cache
// may still have them. All copies form one sequence over all strips, so the ring runs ahead of every exchange
// and hides it. Groups of blocks work on different strips: one streams while another exchanges.
//
// Bytes moved, for S bytes of tensor, forward and backward: 2 S, 3 S where a strip fits on chip; a strip that
// does not is read again in part, from the L2 cache as far as that holds it.
#pragma once

#include "kernels/batch_norm/resident.cuh"
#include "kernels/batch_norm/streamed.hpp"
#include "kernels/batch_norm/streamed_pass.cuh"

namespace bntrain::kernels::streamed {

inline constexpr int kStripWarps = Tuning::kThreads / simt::kWarpSize;

/// The blocks that share a strip.
struct BlockGroup {
  int index, rank, blocks;

  SIMT_DEVICE explicit BlockGroup(int groups)
      : index(simt::block_index() % groups),
        rank(simt::block_index() / groups),
        blocks((simt::grid_size() - index + groups - 1) / groups) {}
};

/// A thread's vectors of every strip: in a tile each thread of the block has one, tile j of block `rank` is
/// number j * blocks + rank.
struct Tiles {
  int count, block_count;  ///< of this thread and of the block's first
  int column;              ///< of the vector in its row
  std::uint32_t first, step;

  SIMT_DEVICE Tiles(const Strips& strips, const BlockGroup& group) {
    const auto columns = static_cast<std::uint32_t>(strips.columns);
    const auto thread = static_cast<std::uint32_t>(simt::thread_index());
    const std::uint32_t tile_rows = Tuning::kThreads / columns;
    const std::uint32_t block_row = static_cast<std::uint32_t>(group.rank) * tile_rows;
    const std::uint32_t row = block_row + thread / columns;
    const std::uint32_t stride = static_cast<std::uint32_t>(group.blocks) * tile_rows;
    const auto tiles_from = [&](std::uint32_t from) {
      return from < strips.rows ? static_cast<int>((strips.rows - from + stride - 1) / stride) : 0;
    };
    column = static_cast<int>(thread % columns);
    block_count = tiles_from(block_row);
    count = tiles_from(row);
    first = row * strips.row_step + thread % columns;
    step = stride * strips.row_step;
  }
  /// The offset of vector `tile`, in vectors.
  template <bool kPlanes>
  SIMT_DEVICE std::uint32_t at(const Strips& strips, int tile, int strip) const {
    std::uint32_t vector = first + static_cast<std::uint32_t>(tile) * step;
    if constexpr (kPlanes) vector += divide(vector, strips.plane) * strips.plane_skip;
    return vector + static_cast<std::uint32_t>(strip) * strips.strip_step;
  }
};

/// Adds up the threads' sums of every warp; scratch: [warps][channels].
template <int kChannels, typename Thread>
SIMT_DEVICE void warp_sums(const Thread& thread, int columns, int channels,
                           simt::Shared<simt::Pair<double>> scratch) {
  const int first = simt::warp_index() * channels;
  if constexpr (kChannels == 1) {
    const simt::Pair<double> sum = messages::warp_pair_sum(thread.total(0));
    if (simt::lane_index() == 0) scratch[first] = sum;
  } else {
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      simt::Pair<double> sum = thread.total(k);
      for (int bits = columns; bits < simt::kWarpSize; bits *= 2)
        sum = simt::Add{}(sum, simt::shuffle_xor(sum, bits));
      if (simt::lane_index() < columns) scratch[first + simt::lane_index() * kChannels + k] = sum;
    }
  }
}

/// The sum of a channel over the warps.
SIMT_DEVICE simt::Pair<double> block_total(int channel, int channels,
                                           simt::Shared<simt::Pair<double>> scratch) {
  simt::Pair<double> total{0, 0};
  SIMT_UNROLL
  for (int warp = 0; warp < kStripWarps; ++warp) {
    const simt::Pair<double> sum = scratch[warp * channels + channel];
    total = simt::Add{}(total, sum);
  }
  return total;
}

/// messages: Exchange::messages() for every group.
template <typename Pass, int kSlots>
SIMT_KERNEL(Tuning::kThreads, 1)
strips_kernel(Pass pass, Strips strips, Message* messages, std::int64_t message_count) {
  using namespace simt;
  using T = typename Pass::Value;
  using Constants = typename Pass::Constants;
  constexpr int kInputs = Pass::kInputs, kWidth = Pass::kWidth, kChannels = Pass::kChannels;
  constexpr int kTiles = Tuning::kSlotVectors / kInputs;  // of a batch
  constexpr int kKept = Tuning::kept(kChannels);
  constexpr int kWindow = 16;  // batches between two flushes
  using Batch = Bits[kTiles][kInputs];

  DynamicShared dynamic;
  const auto ring = dynamic.take<T>("ring", kSlots * Tuning::kSlotVectors * Tuning::kThreads * kWidth);
  const auto scratch =
      dynamic.take<Pair<double>>("scratch", static_cast<std::int64_t>(kStripWarps) * strips.strip_channels);
  const auto constants = dynamic.take<Constants>("constants", strips.strip_channels);
  const auto origins = dynamic.take<float>("origins", strips.strip_channels);

  const BlockGroup group(strips.groups);
  const Tiles tiles(strips, group);
  const int batches_needed = (tiles.block_count + kTiles - 1) / kTiles;
  const int batches = batches_needed > kKept ? batches_needed : kKept;
  const int held = batches - kKept < kSlots - Tuning::kAhead ? batches - kKept : kSlots - Tuning::kAhead;
  const int again = batches - kKept - held;
  const int end_again = kKept + again;  // batches [kKept, end_again) are read again
  // A strip may have fewer channels than columns have.
  const bool active = tiles.column * kChannels < strips.channels;
  const int count = active ? tiles.count : 0;
  const auto element = [&](int tile, int strip) {
    return static_cast<std::int64_t>(tiles.template at<kChannels == 1>(strips, tile, strip)) * kWidth;
  };

  // The sequence of copies: in each strip all batches, then [kKept, end_again) backwards.
  int next_copy = 0, copy_strip = group.index;
  const auto slot_of = [&](int slot, int vector) {
    return ring + ((slot * Tuning::kSlotVectors + vector) * Tuning::kThreads + thread_index()) * kWidth;
  };
  const auto fetch = [&](int slot) {
    if (copy_strip < strips.strips) {
      const int batch = next_copy < batches ? next_copy : end_again - 1 - (next_copy - batches);
      const bool keep =
          next_copy < batches && batch >= kKept && batch < end_again && batch >= end_again - strips.cached;
      SIMT_UNROLL
      for (int t = 0; t < kTiles; ++t) {
        const int tile = batch * kTiles + t;
        if (tile >= count) continue;
        const std::int64_t from = element(tile, copy_strip);
        SIMT_UNROLL
        for (int i = 0; i < kInputs; ++i) {
          if (keep)
            copy_async_keep<kWidth>(slot_of(slot, t * kInputs + i), pass.input(i) + from);
          else
            copy_async_once<kWidth>(slot_of(slot, t * kInputs + i), pass.input(i) + from);
        }
      }
      if (++next_copy == batches + again) {
        next_copy = 0;
        copy_strip += strips.groups;
      }
    }
    copies_commit();  // one group for each batch taken, empty or not: the number of groups tells what is
                      // there
  };
  // Only what fetch() copied is read.
  const auto take = [&](Batch& batch, int number, int slot) {
    copies_wait<kSlots - 1>();
    SIMT_UNROLL
    for (int t = 0; t < kTiles; ++t)
      if (number * kTiles + t < count) {
        SIMT_UNROLL
        for (int i = 0; i < kInputs; ++i) batch[t][i] = bits_of(load_vec(slot_of(slot, t * kInputs + i)));
      }
  };
  const auto next = [](int slot) { return slot + 1 == kSlots ? 0 : slot + 1; };

  SIMT_UNROLL  // A loop becomes an illegal LDGSTS ([R + UR0], desc[UR1]) with ptxas 13.0.
      for (int slot = 0; slot < kSlots; ++slot) fetch(slot);
  grid_wait(clear_messages(messages, message_count));
  const auto group_messages =
      Exchange::messages(strips.strip_channels, (grid_size() + strips.groups - 1) / strips.groups);
  Exchange exchange(messages + group.index * group_messages, strips.strip_channels, group.blocks, group.rank);

  int slot = 0;
  for (int strip = group.index; strip < strips.strips; strip += strips.groups) {
    const std::int64_t first_channel = static_cast<std::int64_t>(strip) * strips.strip_channels;
    const int strip_channels = strips.channels - first_channel < strips.strip_channels
                                   ? static_cast<int>(strips.channels - first_channel)
                                   : strips.strip_channels;
    const int first_column = active ? tiles.column * kChannels : 0;
    if (thread_index() < strip_channels)
      origins[thread_index()] = static_cast<float>(
          pass.input(0)[(first_channel + thread_index()) * static_cast<std::int64_t>(strips.origin_step)]);
    typename Pass::Thread thread(pass, [&](int k) { return first_channel + first_column + k; });
    block_sync();
    const auto origin = [&](int k) {
      const float value = origins[first_column + k];
      return value;
    };
    const auto put = [&](const Batch& batch, int number) {
      SIMT_UNROLL
      for (int t = 0; t < kTiles; ++t)
        if (number * kTiles + t < count)
          store_vec_once(pass.result() + element(number * kTiles + t, strip), thread.apply(batch[t]));
    };
    const auto add = [&](const Batch& batch, int number) {
      SIMT_UNROLL
      for (int t = 0; t < kTiles; ++t)
        if (number * kTiles + t < count) thread.add(batch[t]);
    };
    const auto flush = [&](int begin, int end) {
      thread.flush(origin, [&](const auto& visit) {
        for (int tile = begin * kTiles; tile < end * kTiles && tile < count; ++tile) {
          Bits inputs[kInputs];
          SIMT_UNROLL
          for (int i = 0; i < kInputs; ++i)
            inputs[i] = bits_of(load_vec(pass.input(i) + element(tile, strip)));
          visit(inputs);
        }
      });
    };

    Batch kept[kKept] = {};
    SIMT_UNROLL
    for (int batch = 0; batch < kKept; ++batch) {
      take(kept[batch], batch, slot);
      add(kept[batch], batch);
      fetch(slot);
      slot = next(slot);
    }
    flush(0, kKept);
    int window = kKept;
    for (int batch = kKept, at = slot; batch < batches; ++batch, at = next(at)) {
      Batch values = {};
      take(values, batch, at);
      add(values, batch);
      if (batch < end_again) {
        fetch(slot);
        slot = next(slot);
      } else {
        copies_commit();
      }
      if (batch + 1 - window == kWindow || batch + 1 == batches) {
        flush(window, batch + 1);
        window = batch + 1;
      }
    }

    warp_sums<kChannels>(thread, strips.columns, strips.strip_channels, scratch);
    block_sync();
    exchange([&](int channel) { return block_total(channel, strips.strip_channels, scratch); },
             [&](int channel) {
               return pass.prepare(channel < strip_channels ? first_channel + channel : first_channel);
             },
             [&](int channel, const typename Pass::Prepared& prepared, Pair<double> total) {
               if (channel >= strip_channels) return;
               const float first = origins[channel];
               constants[channel] =
                   pass.finish(first_channel + channel, prepared, total, first, group.rank == 0);
             });
    block_sync();
    SIMT_UNROLL
    for (int k = 0; k < kChannels; ++k) {
      const Constants mine = constants[first_column + k];
      thread.take(k, mine);
    }

    // The ring first: what is read again follows closely, and while the registers are written the ring is
    // full of what comes next.
    for (int i = 0; i < held + again; ++i) {
      const int batch = i < held ? end_again + i : end_again - 1 - (i - held);
      Batch values = {};
      take(values, batch, slot);
      fetch(slot);
      slot = next(slot);
      put(values, batch);
    }
    SIMT_UNROLL
    for (int batch = 0; batch < kKept; ++batch) put(kept[batch], batch);
  }
  copies_wait();
}

}  // namespace bntrain::kernels::streamed
