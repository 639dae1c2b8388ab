// Batch norm that reads its tensors once: a team of blocks keeps a group of channels in shared memory between
// the pass that sums and the pass that writes.
//
// The team is a cluster, whose blocks read each other's parts in shared memory, one block being the smallest;
// or it is a share of a cooperative grid, and parts go through the workspace. Each block holds some of the
// group's chunks. The chunks, their sums and the order in which these are merged are those of the plain
// kernels, and so are the bits. A thread copies to shared memory what it reads itself later: nothing waits
// for other threads until the parts are exchanged, and a place is filled with the team's next group as soon
// as the old value was used.
//
// What is done comes from a Pass:
//   Value, Part, Constants, Combine      of a tensor, of a chunk's sums, of a channel's last step, of parts
//   kTensors, tensor(i)                  what is kept on chip
//   sums(walk, chunk, slice, scratch)    the part of the channel that this thread owns; all threads come
//   finish(channel, part, write)         Constants; where `write` the channel's results are written
//   apply(walk, chunk, slice, constants) writes the tensor; constants: of the group's channels
#pragma once

#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/placement.hpp"
#include "kernels/batch_norm/register_tile.cuh"

namespace bntrain::kernels::on_chip {

/// Some chunks of a tensor in shared memory, from one pack on; stands for Global.
template <typename T>
struct Tile {
  simt::Shared<T> values;
  std::int64_t first_pack;

  template <int kWidth, int kChannels>
  SIMT_DEVICE simt::Shared<T> place(const Walk& walk, const Cursor<kWidth, kChannels>& cursor) const {
    const int row = static_cast<int>(cursor.pack - first_pack);
    return values + (row * walk.columns + simt::thread_index() % walk.columns) * kWidth;
  }
  template <int kWidth, int kChannels>
  SIMT_DEVICE void read(const Walk& walk, const Cursor<kWidth, kChannels>& cursor,
                        float (&pack)[kWidth]) const {
    const simt::Shared<T> from = place(walk, cursor);
    if constexpr (kWidth > 1) {
      const simt::Vec<T> vec = simt::load_vec(from);
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) pack[lane] = static_cast<float>(vec.lane[lane]);
    } else {
      const T value = from[0];
      pack[0] = static_cast<float>(value);
    }
  }
  template <int kWidth, int kChannels>
  SIMT_DEVICE float first(const Walk& walk, const Chunk<kWidth, kChannels>& chunk,
                          std::int64_t channel) const {
    const int row = static_cast<int>(chunk.begin - first_pack);
    const int in_group = static_cast<int>(channel - chunk.group * walk.group_channels());
    const T value = values[row * walk.columns * kWidth + in_group];
    return static_cast<float>(value);
  }
};

/// The chunks of all tensors that a block holds.
template <typename T>
struct Slice {
  simt::Shared<T> values;
  std::int64_t first_pack;
  int size;  ///< values of a tensor

  SIMT_DEVICE Tile<T> tile(int tensor) const { return {values + tensor * size, first_pack}; }
};

/// Begins to copy the thread's packs of a chunk.
template <typename T, int kWidth, int kChannels>
SIMT_DEVICE void fetch(const Walk& walk, const Chunk<kWidth, kChannels>& chunk, const T* x,
                       const Tile<T>& tile) {
  for (Cursor<kWidth, kChannels> cursor(walk, chunk); cursor.more(); cursor.next(walk)) {
    const T* from = x + cursor.offset(walk);
    const simt::Shared<T> to = tile.place(walk, cursor);
    if (kWidth > 1 && walk.aligned) {
      simt::copy_async<kWidth>(to, from);
    } else {
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) simt::copy_async<1>(to + lane, from + lane);
    }
  }
}

/// Behind it, every block of the team sees what the others did before.
SIMT_DEVICE void team_sync(const Team& team) {
  if (team.cooperative)
    simt::grid_sync();
  else if (team.size > 1)
    simt::cluster_sync();
  else
    simt::block_sync();
}

/// workspace: [walk.chunks][walk.channels] parts where the team is cooperative, else unused.
template <typename Pass, int kWidth, int kChannels>
SIMT_KERNEL(NormTuning::kThreads, 2)
on_chip_kernel(Walk walk, Team team, Pass pass, typename Pass::Part* workspace) {
  using namespace simt;
  using Value = typename Pass::Value;
  using Part = typename Pass::Part;
  const int owners = walk.group_channels();
  const int rank = block_index() % team.size;
  const int begin = rank * team.chunks;
  const int end = begin + team.chunks < walk.chunks ? begin + team.chunks : static_cast<int>(walk.chunks);
  DynamicShared dynamic;
  const int size = static_cast<int>(team.chunks * walk.chunk_packs) * walk.columns * kWidth;
  const Slice<Value> slice{dynamic.take<Value>("values", Pass::kTensors * size), begin * walk.chunk_packs,
                           size};
  const auto parts = dynamic.take<Part>("parts", static_cast<std::int64_t>(team.chunks) * owners);
  const auto constants = dynamic.take<typename Pass::Constants>("constants", owners);
  const auto scratch = dynamic.take<Pair<double>>("scratch", static_cast<std::int64_t>(kNormWarps) * owners);
  const auto fetch_chunk = [&](std::int64_t chunk, std::int64_t group) {
    if (group >= walk.groups) return;
    SIMT_UNROLL
    for (int tensor = 0; tensor < Pass::kTensors; ++tensor)
      fetch(walk, Chunk<kWidth, kChannels>(walk, chunk, group), pass.tensor(tensor), slice.tile(tensor));
  };

  const std::int64_t teams = grid_size() / team.size;
  std::int64_t group = block_index() / team.size;
  for (int chunk = begin; chunk < end; ++chunk) fetch_chunk(chunk, group);
  // Blocks without a group go along: barriers are for all.
  for (std::int64_t step = 0; step * teams < walk.groups; ++step, group += teams) {
    const bool active = group < walk.groups;
    const std::int64_t first_channel = group * owners;
    copies_wait();
    block_sync();
    for (int i = begin; i < end && active; ++i) {
      const Chunk<kWidth, kChannels> chunk(walk, i, group);
      const Part part = pass.sums(walk, chunk, slice, scratch);
      const std::int64_t channel = chunk.owned(walk);
      if (channel < 0) continue;
      if (team.cooperative)
        workspace[i * walk.channels + channel] = part;
      else
        parts[(i - begin) * owners + thread_index()] = part;
    }
    team_sync(team);
    const auto read = [&](std::int64_t i, std::int64_t channel) {
      if (team.cooperative) return workspace[i * walk.channels + channel];
      const int holder = static_cast<int>(i) / team.chunks;
      const Part part =
          (team.size > 1 ? map_shared(parts, holder)
                         : parts)[(i - static_cast<std::int64_t>(holder) * team.chunks) * owners + channel -
                                  first_channel];
      return part;
    };
    const std::int64_t end_channel =
        first_channel + owners < walk.channels ? first_channel + owners : walk.channels;
    if (active)
      merge_channels<Part>(thread_index(), block_size(), first_channel, end_channel, walk.chunks,
                           typename Pass::Combine{}, read, [&](std::int64_t channel, const Part& part) {
                             constants[channel - first_channel] = pass.finish(channel, part, rank == 0);
                           });
    // The parts have been read, the constants are there.
    if (team.size > 1 && !team.cooperative)
      cluster_sync();
    else
      block_sync();
    for (int i = begin; i < end && active; ++i) {
      pass.apply(walk, Chunk<kWidth, kChannels>(walk, i, group), slice, constants);
      fetch_chunk(i, group + teams);
    }
  }
}

/// The constants of the channels of this thread's packs; false where it has none.
template <typename Constants, int kWidth, int kChannels>
SIMT_DEVICE bool load_constants(const Walk& walk, const Chunk<kWidth, kChannels>& chunk,
                                simt::Shared<Constants> constants, Constants (&mine)[kChannels]) {
  const Cursor<kWidth, kChannels> cursor(walk, chunk);
  if (!cursor.more()) return false;
  SIMT_UNROLL
  for (int k = 0; k < kChannels; ++k) {
    const Constants one = constants[cursor.channel - chunk.group * walk.group_channels() + k];
    mine[k] = one;
  }
  return true;
}

template <typename Pass>
auto kernel_for(const Walk& walk) {
  constexpr int kSize = simt::Vec<typename Pass::Value>::kSize;
  return pick(walk, on_chip_kernel<Pass, 1, 1>, on_chip_kernel<Pass, kSize, 1>,
              on_chip_kernel<Pass, kSize, kSize>);
}

template <typename Pass>
Footprint footprint(const Walk& walk) {
  return {.kernel = address(kernel_for<Pass>(walk)),
          .tensors = Pass::kTensors,
          .value_bytes = sizeof(typename Pass::Value),
          .part_bytes = sizeof(typename Pass::Part),
          .constants_bytes = sizeof(typename Pass::Constants)};
}

/// walk.aligned: of all tensors that are read; what is written goes through walk.aligned too.
template <typename Pass>
void launch_on_chip(const char* name, const Walk& walk, const Placement& placement, const Pass& pass,
                    void* workspace, const Stream& stream) {
  launch(kernel_for<Pass>(walk), placement.config(name), stream, walk, placement.team, pass,
         static_cast<typename Pass::Part*>(workspace));
}

}  // namespace bntrain::kernels::on_chip
