#include "kernels/simt/host/shared_array.hpp"

#include <algorithm>

#include "kernels/simt/host/launch_state.hpp"

namespace bntrain::simt_host {
namespace {

// Thread ids are block-in-unit * 1024 + thread, whatever the block's size.
std::uint32_t block_of(std::uint32_t id) {
  return id >> 10;
}
std::uint32_t warp_of(std::uint32_t id) {
  return id >> 5;
}

/// Whether a barrier separates that access from the running thread's present one.
bool ordered(const Stamp& before, const Thread& now) {
  if (before.thread == Stamp::kNobody || before.thread == now.id) return true;
  const Block& block = *now.block;
  std::uint32_t synced = block.cluster->barrier.sync_time;
  if (block_of(before.thread) == block_of(now.id)) synced = std::max(synced, block.barrier.sync_time);
  if (warp_of(before.thread) == warp_of(now.id))
    synced = std::max(synced, block.warps[static_cast<std::size_t>(now.index / kLanes)].sync_time);
  if (block.has_parts && block_of(before.thread) == block_of(now.id)) {
    const unsigned both = 1u << (before.thread >> 5 & 31u) | 1u << (now.id >> 5 & 31u);
    for (const Part& part : block.parts)
      if ((part.warps & both) == both) synced = std::max(synced, part.barrier.sync_time);
  }
  return before.time < synced;
}

std::string who(const Stamp& stamp) {
  const Unit& unit = *self().block->cluster->unit;
  const Block& block = unit.blocks[block_of(stamp.thread)];
  return simt_host::name(block.threads[stamp.thread & 1023]);
}

}  // namespace

std::string find_race(const Cell& cell, Access access) {
  const Thread& thread = self();
  // Atomics do not race with each other.
  if (!(access == Access::atomic && cell.atomic) && !ordered(cell.writer, thread))
    return "was written by " + who(cell.writer) + " with no barrier " +
           (access == Access::read ? "since" : "before this write");
  if (access != Access::read)
    for (const Stamp& reader : {cell.reader, cell.other_lane, cell.other_warp, cell.other_block})
      if (!ordered(reader, thread))
        return "was read by " + who(reader) + " with no barrier before this write";
  return "";
}

void record_access(Cell& cell, Access access) {
  const Stamp now{self().id, launch_of(self()).clock};
  if (access != Access::read) {
    cell = Cell{};
    cell.writer = now;
    cell.atomic = access == Access::atomic;
    return;
  }
  if (cell.reader.thread != now.thread && cell.reader.thread != Stamp::kNobody) {
    if (block_of(cell.reader.thread) != block_of(now.thread))
      cell.other_block = cell.reader;
    else if (warp_of(cell.reader.thread) != warp_of(now.thread))
      cell.other_warp = cell.reader;
    else
      cell.other_lane = cell.reader;
  }
  cell.reader = now;
}

SharedArray::SharedArray(Block& owner, std::string name, std::int64_t count, std::size_t element_size)
    : owner_(owner), name_(std::move(name)), count_(count), element_size_(element_size) {
  bytes_.resize(static_cast<std::size_t>(count) * element_size);
  poison();
}

void SharedArray::poison() {
  std::fill(bytes_.begin(), bytes_.end(), std::byte{0xff});
  cells_.assign(static_cast<std::size_t>(count_), Cell{});
}

std::string SharedArray::element(std::int64_t i) const {
  std::string text = name_ + "[" + std::to_string(i) + "]";
  if (&owner_ != self().block) text += " of block " + std::to_string(owner_.x);
  return text;
}

void SharedArray::expect_aligned(std::int64_t first, const Where& where, std::size_t bytes) const {
  if (static_cast<std::size_t>(first) * element_size_ % bytes != 0)
    fail("misaligned " + std::to_string(bytes) + "-byte access to " + element(first), where);
}

void SharedArray::begin_copy(std::int64_t first, std::int64_t count, const Where& where) {
  access(Access::write, first, count, where);
  for (std::int64_t i = first; i < first + count; ++i) cells_[static_cast<std::size_t>(i)].copying = true;
}

void SharedArray::complete_copy(std::int64_t first, std::int64_t count, const void* from) {
  std::memcpy(bytes_.data() + first * static_cast<std::int64_t>(element_size_), from,
              static_cast<std::size_t>(count) * element_size_);
  for (std::int64_t i = first; i < first + count; ++i) {
    Cell& cell = cells_[static_cast<std::size_t>(i)];
    cell.copying = false;
    cell.writer.time = launch_of(self()).clock;  // a barrier before this does not count
  }
}

void SharedArray::access(Access access, std::int64_t first, std::int64_t count, const Where& where) {
  if (first < 0 || first + count > count_)
    fail("out of bounds: " + element(first < 0 ? first : first + count - 1) + ", the array has " +
             std::to_string(count_) + " elements",
         where);
  if (self().block != &owner_) check_remote(where);
  for (std::int64_t i = first; i < first + count; ++i) {
    Cell& cell = cells_[static_cast<std::size_t>(i)];
    if (cell.copying) fail(element(i) + " is used before copies_wait()", where);
    if (access != Access::write && cell.writer.thread == Stamp::kNobody)
      fail("read of " + element(i) + ", which nobody has written", where);
    if (const std::string race = find_race(cell, access); !race.empty())
      fail("race: " + element(i) + " " + race, where);
    record_access(cell, access);
  }
}

void SharedArray::check_remote(const Where& where) {
  const Thread& thread = self();
  if (owner_.exited())
    fail("access to " + name_ + " of block " + std::to_string(owner_.x) + ", which has exited", where);
  if (owner_.cluster->barrier.sync_time == 0)
    fail("access to " + name_ + " of block " + std::to_string(owner_.x) +
             " before the first cluster barrier: the block may not have started",
         where);
  owner_.remote = {thread.id, launch_of(thread).clock};
  owner_.remote_where = where;
  owner_.remote_array = this;
}

}  // namespace bntrain::simt_host
