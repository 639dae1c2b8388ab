// Batch norm that reads its tensors from memory once: a group of blocks keeps a group of channels in shared
// memory between the pass that sums and the pass that writes.
//
// The group of blocks is a cluster (of one block or more), whose blocks read each other's partial results in
// distributed shared memory; or it is a part of a cooperative grid, and partial results go through the
// workspace. Each block holds some of the group's chunks. The chunks, their sums and the order in which these
// are merged are those of the plain kernels, and so are the bits. A thread copies to shared memory what it
// reads itself later: it waits for other threads only to exchange partial results, and copies the next
// group's values to their place as soon as it has used the old ones.
//
// The computation is a Pass:
//   Value, Part, Constants, Combine       types: of a tensor, of a chunk's partial result, of what the last
//                                         pass over a channel needs; the operation that merges parts
//   kTensors, tensor(i)                   the tensors that are kept on chip
//   sums(space, chunk, slice, scratch)    the part of channel chunk.owned(); collective
//   finish(channel, part, write)          the Constants; where `write`, it also writes the channel's results
//   apply(space, chunk, slice, constants) writes the tensor; constants: those of the group's channels
#pragma once

#include "kernels/batch_norm/launch.cuh"
#include "kernels/batch_norm/placement.hpp"
#include "kernels/batch_norm/register_tile.cuh"

namespace bntrain::kernels::on_chip {

/// Chunks of a tensor in shared memory, from first_vector on: a source of load_tile(), as Global is.
template <typename T>
struct SharedTile {
  simt::Shared<T> values;
  std::int64_t first_vector;

  template <int kWidth, int kChannels>
  SIMT_DEVICE simt::Shared<T> place(const IterationSpace& space,
                                    const Cursor<kWidth, kChannels>& cursor) const {
    const int row = static_cast<int>(cursor.vector - first_vector);
    return values + (row * space.block_columns + simt::thread_index() % space.block_columns) * kWidth;
  }
  template <int kWidth, int kChannels>
  SIMT_DEVICE void read(const IterationSpace& space, const Cursor<kWidth, kChannels>& cursor,
                        float (&vector)[kWidth]) const {
    const simt::Shared<T> from = place(space, cursor);
    if constexpr (kWidth > 1) {
      const simt::Vec<T> vec = simt::load_vec(from);
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) vector[lane] = static_cast<float>(vec.lane[lane]);
    } else {
      const T value = from[0];
      vector[0] = static_cast<float>(value);
    }
  }
  template <int kWidth, int kChannels>
  SIMT_DEVICE float first(const IterationSpace& space, const Chunk<kWidth, kChannels>& chunk,
                          std::int64_t channel) const {
    const int row = static_cast<int>(chunk.begin - first_vector);
    const int in_group = static_cast<int>(channel - chunk.group * space.group_channels());
    const T value = values[row * space.block_columns * kWidth + in_group];
    return static_cast<float>(value);
  }
};

/// The chunks of all tensors that a block holds in shared memory.
template <typename T>
struct Slice {
  simt::Shared<T> values;
  std::int64_t first_vector;
  int size;  ///< values per tensor

  SIMT_DEVICE SharedTile<T> tile(int tensor) const { return {values + tensor * size, first_vector}; }
};

/// Starts to copy the thread's vectors of a chunk.
template <typename T, int kWidth, int kChannels>
SIMT_DEVICE void fetch(const IterationSpace& space, const Chunk<kWidth, kChannels>& chunk, const T* x,
                       const SharedTile<T>& tile) {
  for (Cursor<kWidth, kChannels> cursor(space, chunk); cursor.more(); cursor.next(space)) {
    const T* from = x + cursor.offset(space);
    const simt::Shared<T> to = tile.place(space, cursor);
    if (kWidth > 1 && space.aligned) {
      simt::copy_async<kWidth>(to, from);
    } else {
      SIMT_UNROLL
      for (int lane = 0; lane < kWidth; ++lane) simt::copy_async<1>(to + lane, from + lane);
    }
  }
}

/// A barrier of the block group, after which every block sees what the others wrote before.
SIMT_DEVICE void block_group_sync(const BlockGroup& block_group) {
  if (block_group.cooperative)
    simt::grid_sync();
  else if (block_group.size > 1)
    simt::cluster_sync();
  else
    simt::block_sync();
}

/// workspace: [space.chunks][space.channels] parts where block_group.cooperative, else unused.
template <typename Pass, int kWidth, int kChannels>
SIMT_KERNEL(NormTuning::kThreads, 2)
on_chip_kernel(IterationSpace space, BlockGroup block_group, Pass pass, typename Pass::Part* workspace) {
  using namespace simt;
  using Value = typename Pass::Value;
  using Part = typename Pass::Part;
  const int owners = space.group_channels();
  const int rank = block_index() % block_group.size;
  const int begin = rank * block_group.chunks;
  const int end =
      begin + block_group.chunks < space.chunks ? begin + block_group.chunks : static_cast<int>(space.chunks);
  DynamicShared dynamic;
  const int size = static_cast<int>(block_group.chunks * space.chunk_vectors) * space.block_columns * kWidth;
  const Slice<Value> slice{dynamic.take<Value>("values", Pass::kTensors * size), begin * space.chunk_vectors,
                           size};
  const auto parts = dynamic.take<Part>("parts", static_cast<std::int64_t>(block_group.chunks) * owners);
  const auto constants = dynamic.take<typename Pass::Constants>("constants", owners);
  const auto scratch = dynamic.take<Pair<double>>("scratch", static_cast<std::int64_t>(kNormWarps) * owners);
  const auto fetch_chunk = [&](std::int64_t chunk, std::int64_t group) {
    if (group >= space.groups) return;
    SIMT_UNROLL
    for (int tensor = 0; tensor < Pass::kTensors; ++tensor)
      fetch(space, Chunk<kWidth, kChannels>(space, chunk, group), pass.tensor(tensor), slice.tile(tensor));
  };

  const std::int64_t block_groups = grid_size() / block_group.size;
  std::int64_t group = block_index() / block_group.size;
  for (int chunk = begin; chunk < end; ++chunk) fetch_chunk(chunk, group);
  // Blocks without a group of channels take part in the barriers.
  for (std::int64_t iteration = 0; iteration * block_groups < space.groups;
       ++iteration, group += block_groups) {
    const bool active = group < space.groups;
    const std::int64_t first_channel = group * owners;
    copies_wait();
    block_sync();
    for (int i = begin; i < end && active; ++i) {
      const Chunk<kWidth, kChannels> chunk(space, i, group);
      const Part part = pass.sums(space, chunk, slice, scratch);
      const std::int64_t channel = chunk.owned(space);
      if (channel < 0) continue;
      if (block_group.cooperative)
        workspace[i * space.channels + channel] = part;
      else
        parts[(i - begin) * owners + thread_index()] = part;
    }
    block_group_sync(block_group);
    const auto read = [&](std::int64_t i, std::int64_t channel) {
      if (block_group.cooperative) return workspace[i * space.channels + channel];
      const int holder = static_cast<int>(i) / block_group.chunks;
      const Part part = (block_group.size > 1
                             ? map_shared(parts, holder)
                             : parts)[(i - static_cast<std::int64_t>(holder) * block_group.chunks) * owners +
                                      channel - first_channel];
      return part;
    };
    const std::int64_t end_channel =
        first_channel + owners < space.channels ? first_channel + owners : space.channels;
    if (active)
      merge_channels<Part>(thread_index(), block_size(), first_channel, end_channel, space.chunks,
                           typename Pass::Combine{}, read, [&](std::int64_t channel, const Part& part) {
                             constants[channel - first_channel] = pass.finish(channel, part, rank == 0);
                           });
    // All parts have been read, all constants written.
    if (block_group.size > 1 && !block_group.cooperative)
      cluster_sync();
    else
      block_sync();
    for (int i = begin; i < end && active; ++i) {
      pass.apply(space, Chunk<kWidth, kChannels>(space, i, group), slice, constants);
      fetch_chunk(i, group + block_groups);
    }
  }
}

/// The constants of the channels of this thread's vectors; false where it has none.
template <typename Constants, int kWidth, int kChannels>
SIMT_DEVICE bool load_constants(const IterationSpace& space, const Chunk<kWidth, kChannels>& chunk,
                                simt::Shared<Constants> constants, Constants (&mine)[kChannels]) {
  const Cursor<kWidth, kChannels> cursor(space, chunk);
  if (!cursor.more()) return false;
  SIMT_UNROLL
  for (int k = 0; k < kChannels; ++k) {
    const Constants one = constants[cursor.channel - chunk.group * space.group_channels() + k];
    mine[k] = one;
  }
  return true;
}

template <typename Pass>
auto kernel_for(const IterationSpace& space) {
  constexpr int kSize = simt::Vec<typename Pass::Value>::kSize;
  return pick(space, on_chip_kernel<Pass, 1, 1>, on_chip_kernel<Pass, kSize, 1>,
              on_chip_kernel<Pass, kSize, kSize>);
}

template <typename Pass>
Footprint footprint(const IterationSpace& space) {
  return {.kernel = address(kernel_for<Pass>(space)),
          .tensors = Pass::kTensors,
          .value_bytes = sizeof(typename Pass::Value),
          .part_bytes = sizeof(typename Pass::Part),
          .constants_bytes = sizeof(typename Pass::Constants)};
}

/// space.aligned: whether all tensors are, those that are read and those that are written.
template <typename Pass>
void launch_on_chip(const char* name, const IterationSpace& space, const Placement& placement,
                    const Pass& pass, void* workspace, const Stream& stream) {
  launch(kernel_for<Pass>(space), placement.config(name), stream, space, placement.block_group, pass,
         static_cast<typename Pass::Part*>(workspace));
}

}  // namespace bntrain::kernels::on_chip
