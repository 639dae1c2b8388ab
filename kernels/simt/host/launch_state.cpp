#include "kernels/simt/host/launch_state.hpp"

#include "kernels/simt/host/device.hpp"
#include "kernels/simt/host/device_memory.hpp"

namespace bntrain::simt_host {
namespace {

constexpr std::int64_t kStaticSharedBytes = 48 * 1024;

}  // namespace

std::string to_string(Wait wait) {
  switch (wait) {
    case Wait::nothing:
      return "nothing";
    case Wait::warp_sync:
      return "warp barrier";
    case Wait::shuffle:
      return "shuffle";
    case Wait::vote:
      return "vote";
    case Wait::block_sync:
      return "block barrier";
    case Wait::part_sync:
      return "barrier of a part of the block";
    case Wait::cluster_sync:
      return "cluster barrier";
    case Wait::grid_sync:
      return "grid barrier";
    case Wait::message:
      return "message that does not come";
  }
  return "";
}

Thread& self() {
  if (running == nullptr) throw std::logic_error("a function of kernels was called outside a kernel");
  return *running;
}

std::string place(const Where& where) {
  const std::string file = where.file;
  return file.substr(file.find_last_of('/') + 1) + ":" + std::to_string(where.line);
}

std::string name(const Thread& thread) {
  std::string text = "block " + std::to_string(thread.block->x);
  if (launch_of(thread).config.grid_y > 1) text += "," + std::to_string(thread.block->y);
  return text + ", thread " + std::to_string(thread.index);
}

void fail(const std::string& what, const Where& where) {
  const Thread& thread = self();
  throw SimtError("kernel " + std::string(launch_of(thread).config.name) + ", " + name(thread) + ", " +
                  place(where) + ": " + what);
}

void give_way() {
  Thread& thread = self();
  launch_of(thread).scheduler.switch_from(thread.context);
}

SharedArray& Block::array(const ArrayKey& key, const char* name, std::int64_t count, std::size_t element_size,
                          const Where& where) {
  const std::int64_t bytes = count * static_cast<std::int64_t>(element_size);
  std::int64_t static_bytes = key.tag != nullptr ? bytes : 0;
  for (Array& array : arrays) {
    SharedArray& memory = *array.memory;
    const std::int64_t its_bytes = memory.count() * static_cast<std::int64_t>(memory.element_size());
    if (array.key == key) {
      if (memory.count() != count || memory.element_size() != element_size)
        fail("the shared array " + std::string(name) + " was carved as " + memory.name() + " with " +
                 std::to_string(memory.count()) + " elements before",
             where);
      return memory;
    }
    if (array.key.tag != nullptr)
      static_bytes += its_bytes;
    else if (key.tag == nullptr && key.offset < array.key.offset + its_bytes &&
             array.key.offset < key.offset + bytes)
      fail("the shared array " + std::string(name) + " overlaps " + memory.name(), where);
  }
  const Launch& launch = cluster->unit->launch;
  if (key.tag == nullptr && key.offset + bytes > launch.config.shared_bytes)
    fail("the shared array " + std::string(name) + " needs " + std::to_string(key.offset + bytes) +
             " bytes of dynamic shared memory, the launch asked for " +
             std::to_string(launch.config.shared_bytes),
         where);
  if (static_bytes > kStaticSharedBytes) fail("more than 48 KiB of static shared memory", where);
  if (static_bytes + launch.config.shared_bytes > launch.settings.device.shared_bytes_per_block)
    fail("static and dynamic shared memory exceed the device's", where);
  arrays.push_back({key, std::make_unique<SharedArray>(*this, name, count, element_size)});
  return *arrays.back().memory;
}

SharedArray& static_array(const void* tag, const char* name, std::int64_t count, std::size_t element_size,
                          const Where& where) {
  return self().block->array({tag, 0}, name, count, element_size, where);
}

SharedArray& dynamic_array(std::int64_t offset, const char* name, std::int64_t count,
                           std::size_t element_size, const Where& where) {
  return self().block->array({nullptr, offset}, name, count, element_size, where);
}

SharedArray& map_array(const SharedArray& array, int rank, const Where& where) {
  const Thread& thread = self();
  if (rank < 0 || rank >= launch_of(thread).config.cluster)
    fail("the cluster has no block of rank " + std::to_string(rank), where);
  for (const Block::Array& mine : array.owner().arrays)
    if (mine.memory.get() == &array)
      return thread.block->cluster->blocks[rank].array(mine.key, array.name().c_str(), array.count(),
                                                       array.element_size(), where);
  fail("map_shared() of an array that is nobody's", where);
}

Coordinates coordinates() {
  const Thread& thread = self();
  const kernels::LaunchConfig& config = launch_of(thread).config;
  return {.thread = thread.index,
          .block_size = config.block,
          .block_x = static_cast<int>(thread.block->x),
          .block_y = static_cast<int>(thread.block->y),
          .grid_x = static_cast<int>(config.grid),
          .grid_y = static_cast<int>(config.grid_y),
          .cluster_rank = thread.block->rank,
          .cluster_size = config.cluster};
}

void give_way_at_random() {
  if (launch_of(self()).settings.schedule == Schedule::random) give_way();
}

void before_atomic(const void* p, std::size_t bytes, const Where& where) {
  give_way_at_random();
  access_global(Access::atomic, p, bytes, bytes, where);
  ++launch_of(self()).counts.atomics;
}

void copy_later(const Copy& copy) {
  Thread& thread = self();
  thread.copies.push_back(copy);
  thread.copies.back().group = thread.copy_groups;
}

void copies_commit() {
  ++self().copy_groups;
}

void copies_wait(int pending) {
  Thread& thread = self();
  std::erase_if(thread.copies, [&](const Copy& copy) {
    if (copy.group >= thread.copy_groups - pending) return false;
    copy.to->complete_copy(copy.first, copy.count, copy.from);
    return true;
  });
}

void grid_dependency_wait() {
  self().waited_for_grids = true;
}

void access_global(Access access, const void* p, std::size_t bytes, std::size_t alignment,
                   const Where& where) {
  if (reinterpret_cast<std::uintptr_t>(p) % alignment != 0)
    fail("misaligned " + std::to_string(bytes) + "-byte access to global memory", where);
  if (const std::string fault = device_memory_fault(p, bytes); !fault.empty()) fail(fault, where);
  const Thread& thread = self();
  const Launch& launch = launch_of(thread);
  if (access != Access::read && launch.config.dependent && !thread.waited_for_grids)
    fail("a dependent launch writes to global memory before grid_dependency_wait()", where);
  thread.block->global.access(access, p, bytes, where);
  if (launch.settings.count && access != Access::atomic)
    thread.block->warps[static_cast<std::size_t>(thread.index / kLanes)].traffic.add(
        thread.index % kLanes, access == Access::write, p, bytes, where);
}

}  // namespace bntrain::simt_host
