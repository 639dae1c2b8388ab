// Barriers, shuffles and votes, and the errors in their use.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "kernels/simt/host/device.hpp"
#include "kernels/simt/host/launch_state.hpp"

namespace bntrain::simt_host {
namespace {

bool same_line(const Where& a, const Where& b) {
  return a.line == b.line && std::strcmp(a.file, b.file) == 0;
}

void block_and_wait(Wait kind, unsigned mask, const Where& where) {
  Thread& thread = self();
  thread.state = Thread::State::waiting;
  thread.wait = kind;
  thread.mask = mask;
  thread.where = where;
  launch_of(thread).scheduler.switch_from(thread.context);
}

Barrier& barrier_of(const Thread& thread, Wait kind) {
  if (kind == Wait::block_sync) return thread.block->barrier;
  if (kind == Wait::cluster_sync) return thread.block->cluster->barrier;
  return thread.block->cluster->unit->barrier;
}

bool in_scope(const Thread& thread, const Thread& other, Wait kind) {
  if (kind == Wait::block_sync) return thread.block == other.block;
  if (kind == Wait::cluster_sync) return thread.block->cluster == other.block->cluster;
  return true;
}

/// All threads of the barrier have arrived: they are ordered after everything that any of them did.
void complete(Barrier& barrier, Wait kind) {
  Thread& last = self();
  Unit& unit = *last.block->cluster->unit;
  const std::uint32_t time = ++unit.launch.clock;
  barrier.arrived = 0;
  barrier.sync_time = time;
  LaunchCounts& counts = unit.launch.counts;
  ++(kind == Wait::block_sync     ? counts.block_barriers
     : kind == Wait::cluster_sync ? counts.cluster_barriers
                                  : counts.grid_barriers);
  if (kind == Wait::grid_sync)
    for (Cluster& cluster : unit.clusters) cluster.barrier.sync_time = time;
  // The threads of a block are contiguous, and so are the blocks of a cluster.
  Thread* const first = kind == Wait::block_sync     ? last.block->threads
                        : kind == Wait::cluster_sync ? last.block->cluster->blocks->threads
                                                     : unit.threads.data();
  for (Thread* thread = first; thread != first + barrier.threads; ++thread)
    if (thread != &last) release(*thread);
}

void finish_vote(const Warp&, Thread* lanes, unsigned mask) {
  unsigned ballot = 0;
  for (int lane = 0; lane < kLanes; ++lane)
    if ((mask >> lane & 1) != 0 && *static_cast<const bool*>(lanes[lane].value)) ballot |= 1u << lane;
  for (int lane = 0; lane < kLanes; ++lane)
    if ((mask >> lane & 1) != 0) *static_cast<unsigned*>(lanes[lane].result) = ballot;
}

std::string lanes_text(unsigned mask) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 28; shift >= 0; shift -= 4) text += kDigits[mask >> shift & 15];
  return text;
}

}  // namespace

void release(Thread& thread) {
  thread.state = Thread::State::ready;
  thread.wait = Wait::nothing;
}

void wait_for_all(Wait kind, const Where& where) {
  Thread& thread = self();
  Launch& launch = launch_of(thread);
  if (kind == Wait::grid_sync && !launch.config.cooperative)
    fail("grid_sync() in a launch that is not cooperative", where);
  Barrier& barrier = barrier_of(thread, kind);
  if (barrier.exited > 0) {
    const auto& threads = thread.block->cluster->unit->threads;
    const auto gone = std::find_if(threads.begin(), threads.end(), [&](const Thread& other) {
      return other.state == Thread::State::done && in_scope(thread, other, kind);
    });
    fail(to_string(kind) + " that " + name(*gone) + " never reaches: it has exited", where);
  }
  if (barrier.arrived > 0 && !same_line(barrier.where, where))
    fail("divergent " + to_string(kind) + ": other threads wait for it at " + place(barrier.where), where);
  barrier.where = where;
  if (++barrier.arrived == barrier.threads)
    complete(barrier, kind);
  else
    block_and_wait(kind, 0, where);
}

void warp_collective(Wait kind, unsigned mask, int source, const void* value, void* result, std::size_t size,
                     const Where& where) {
  Thread& thread = self();
  const int lane = thread.index % kLanes;
  Warp& warp = thread.block->warps[static_cast<std::size_t>(thread.index / kLanes)];
  Thread* const lanes = thread.block->threads + thread.index / kLanes * kLanes;
  if ((mask >> lane & 1) == 0)
    fail(
        "the mask " + lanes_text(mask) + " of this " + to_string(kind) + " leaves out the lane that calls it",
        where);
  if ((mask & warp.exited) != 0)
    fail(to_string(kind) + " with lanes " + lanes_text(mask & warp.exited) + " that have exited", where);
  if (kind == Wait::shuffle && (mask >> source & 1) == 0)
    fail("shuffle reads lane " + std::to_string(source) + ", which is not in its mask " + lanes_text(mask),
         where);
  thread.value = value;
  thread.result = result;
  thread.source = source;

  auto found = std::find_if(warp.collectives.begin(), warp.collectives.end(),
                            [&](const WarpCollective& m) { return m.mask == mask; });
  if (found == warp.collectives.end()) found = warp.collectives.insert(found, {mask, 0, kind, where});
  if (found->wait != kind || !same_line(found->where, where))
    fail("divergent " + to_string(kind) + ": other lanes of the mask are at a " + to_string(found->wait) +
             ", " + place(found->where),
         where);
  found->arrived |= 1u << lane;
  if (found->arrived != mask) return block_and_wait(kind, mask, where);

  warp.collectives.erase(found);
  if (kind == Wait::shuffle) ++launch_of(thread).counts.shuffles;
  if (kind == Wait::vote) finish_vote(warp, lanes, mask);
  if (kind == Wait::warp_sync) warp.sync_time = ++launch_of(thread).clock;
  for (int other = 0; other < kLanes; ++other) {
    if ((mask >> other & 1) == 0) continue;
    if (kind == Wait::shuffle) std::memcpy(lanes[other].result, lanes[lanes[other].source].value, size);
    if (&lanes[other] != &thread) release(lanes[other]);
  }
}

void exit_thread(Thread& thread) {
  Block& block = *thread.block;
  Cluster& cluster = *block.cluster;
  cluster.unit->stalls = 0;
  if (launch_of(thread).config.dependent && !thread.waited_for_grids)
    throw SimtError("kernel " + std::string(launch_of(thread).config.name) + ", " + name(thread) +
                    ": a dependent launch exits without grid_dependency_wait(), so the next launch would not "
                    "wait for those before this one");
  Warp& warp = block.warps[static_cast<std::size_t>(thread.index / kLanes)];
  for (const WarpCollective& pending : warp.collectives)
    if ((pending.mask >> thread.index % kLanes & 1) != 0)
      fail("exits, but other lanes wait for it at a " + to_string(pending.wait), pending.where);
  for (Wait kind : {Wait::block_sync, Wait::cluster_sync, Wait::grid_sync}) {
    Barrier& barrier = barrier_of(thread, kind);
    if (barrier.arrived > 0)
      fail("exits, but " + std::to_string(barrier.arrived) + " threads wait for it at a " + to_string(kind),
           barrier.where);
    ++barrier.exited;
  }
  warp.exited |= 1u << thread.index % kLanes;
  if (block.exited() && block.remote.thread != Stamp::kNobody &&
      block.remote.time >= cluster.barrier.sync_time)
    fail("the block exits, but another block's access to its " + block.remote_array->name() +
             " was followed by no cluster barrier",
         block.remote_where);
}

void Unit::report_deadlock() const {
  std::string text = "kernel " + std::string(launch.config.name) + ": deadlock";
  for (std::size_t i = 0; i < threads.size();) {
    const Thread& first = threads[i];
    std::size_t end = i + 1;
    while (end < threads.size() && threads[end].block == first.block && threads[end].state == first.state &&
           threads[end].wait == first.wait && threads[end].mask == first.mask &&
           (first.state == Thread::State::done || same_line(threads[end].where, first.where)))
      ++end;
    text += "\n  " + name(first);
    if (end > i + 1) text += " to " + std::to_string(threads[end - 1].index);
    if (first.state == Thread::State::done) {
      text += ": gone";
    } else {
      text += ": at a " + to_string(first.wait);
      if (first.mask != 0) text += " of lanes " + lanes_text(first.mask);
      text += ", " + place(first.where);
    }
    i = end;
  }
  throw SimtError(text);
}

void block_sync(const Where& where) {
  wait_for_all(Wait::block_sync, where);
}
void cluster_sync(const Where& where) {
  wait_for_all(Wait::cluster_sync, where);
}
void grid_sync(const Where& where) {
  wait_for_all(Wait::grid_sync, where);
}

void part_sync(int id, int threads, const Where& where) {
  Thread& thread = self();
  Block& block = *thread.block;
  if (id < 1 || id >= kParts)
    fail("part_sync() with id " + std::to_string(id) + ", allowed are 1 to 15", where);
  if (threads < kLanes || threads > block.barrier.threads || threads % kLanes != 0)
    fail("part_sync() of " + std::to_string(threads) + " threads in a block of " +
             std::to_string(block.barrier.threads) + ", allowed are multiples of 32",
         where);
  Part& part = block.parts[static_cast<std::size_t>(id)];
  Barrier& barrier = part.barrier;
  const unsigned warp = 1u << thread.index / kLanes;
  if ((barrier.threads != 0 && barrier.threads != threads) || (part.warps != 0 && (part.warps & warp) == 0))
    fail("part_sync() with id " + std::to_string(id) +
             " by another warp or for another number of threads than before, " + place(barrier.where),
         where);
  barrier.threads = threads;
  barrier.where = where;
  part.arriving |= warp;
  thread.source = id;
  if (++barrier.arrived < threads) return block_and_wait(Wait::part_sync, 0, where);
  if (std::popcount(part.arriving) * kLanes != threads)
    fail("part_sync() with id " + std::to_string(id) + " by parts of warps", where);
  barrier.arrived = 0;
  barrier.sync_time = ++launch_of(thread).clock;
  ++launch_of(thread).counts.block_barriers;
  part.warps = std::exchange(part.arriving, 0u);
  block.has_parts = true;
  for (Thread* other = block.threads; other != block.threads + block.barrier.threads; ++other)
    if (other->wait == Wait::part_sync && other->source == id) release(*other);
}

void before_store_message() {
  give_way_at_random();
}

void after_store_message() {
  Unit& unit = *self().block->cluster->unit;
  ++unit.messages;
  ++unit.launch.counts.messages;
  unit.stalls = 0;
  for (Thread& thread : unit.threads)
    if (thread.wait == Wait::message) release(thread);
}

void before_load_message(const void* p, const Where& where) {
  Thread& thread = self();
  Unit& unit = *thread.block->cluster->unit;
  if (!launch_of(thread).config.cooperative)
    fail("load_message() in a launch that is not cooperative: the sender may not be resident", where);
  give_way_at_random();
  const auto seen = [&] {
    return std::find(thread.polled.begin(), thread.polled.end(), p) != thread.polled.end();
  };
  if (thread.messages == unit.messages && seen()) block_and_wait(Wait::message, 0, where);
  if (thread.messages != unit.messages) thread.polled.clear();
  thread.messages = unit.messages;
  if (!seen()) thread.polled.push_back(p);
}
void warp_sync(const Where& where) {
  warp_collective(Wait::warp_sync, simt::kFullMask, 0, nullptr, nullptr, 0, where);
}

void shuffle(const void* value, void* result, std::size_t size, int source, unsigned mask,
             const Where& where) {
  warp_collective(Wait::shuffle, mask, source, value, result, size, where);
}

unsigned ballot(bool predicate, unsigned mask, const Where& where) {
  unsigned result = 0;
  warp_collective(Wait::vote, mask, 0, &predicate, &result, 0, where);
  return result;
}

}  // namespace bntrain::simt_host
