#include "kernels/simt/host/access_counts.hpp"

#include <algorithm>

namespace bntrain::simt_host {
namespace {

constexpr std::uintptr_t kSector = 32;

}  // namespace

Traffic& Traffic::operator+=(const Traffic& other) {
  accesses += other.accesses;
  bytes += other.bytes;
  sectors += other.sectors;
  fewest_sectors += other.fewest_sectors;
  return *this;
}

LaunchCounts& LaunchCounts::operator+=(const LaunchCounts& other) {
  reads += other.reads;
  writes += other.writes;
  atomics += other.atomics;
  messages += other.messages;
  shuffles += other.shuffles;
  block_barriers += other.block_barriers;
  cluster_barriers += other.cluster_barriers;
  grid_barriers += other.grid_barriers;
  return *this;
}

WarpTraffic::Site& WarpTraffic::site(bool write, const Where& where) {
  for (Site& site : sites_)
    if (site.where.line == where.line && site.where.file == where.file && site.write == write) return site;
  return sites_.emplace_back(Site{.where = where, .write = write});
}

void WarpTraffic::add(int lane, bool write, const void* p, std::size_t bytes, const Where& where) {
  Site& here = site(write, where);
  const std::size_t time = here.times[static_cast<std::size_t>(lane)]++ - here.finished;
  if (time >= here.accesses.size()) here.accesses.resize(time + 1);
  const auto first = reinterpret_cast<std::uintptr_t>(p);
  here.accesses[time].spans.push_back({first, first + bytes});
  // Accesses that all 32 lanes have come to need not be kept.
  while (!here.accesses.empty() && here.accesses.front().spans.size() == here.times.size()) {
    add_up(here.accesses.front(), here.traffic);
    here.accesses.pop_front();
    ++here.finished;
  }
}

void WarpTraffic::add_up(WarpAccess& access, Traffic& traffic) {
  std::sort(access.spans.begin(), access.spans.end(),
            [](const Span& a, const Span& b) { return a.first < b.first; });
  std::uintptr_t seen = 0, next_sector = 0, bytes = 0, sectors = 0;
  for (const Span& span : access.spans) {
    bytes += span.end - std::min(span.end, std::max(span.first, seen));
    seen = std::max(seen, span.end);
    const std::uintptr_t first = std::max(span.first / kSector, next_sector);
    const std::uintptr_t end = (span.end + kSector - 1) / kSector;
    if (end > first) sectors += end - first;
    next_sector = std::max(next_sector, end);
  }
  ++traffic.accesses;
  traffic.bytes += static_cast<std::int64_t>(bytes);
  traffic.sectors += static_cast<std::int64_t>(sectors);
  traffic.fewest_sectors += static_cast<std::int64_t>((bytes + kSector - 1) / kSector);
}

void WarpTraffic::finish(LaunchCounts& counts) {
  for (Site& site : sites_) {
    for (WarpAccess& access : site.accesses) add_up(access, site.traffic);
    (site.write ? counts.writes : counts.reads) += site.traffic;
  }
  sites_.clear();
}

}  // namespace bntrain::simt_host
