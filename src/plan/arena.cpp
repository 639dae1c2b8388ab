// One arena for buffers whose lifetimes are known.
#include <algorithm>
#include <numeric>

#include "bntrain/error.hpp"
#include "plan/plan.hpp"

namespace bntrain {

std::vector<std::int64_t> plan_arena(const std::vector<BufferRequest>& requests, std::int64_t& total) {
  std::vector<std::size_t> by_size(requests.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](std::size_t a, std::size_t b) { return requests[a].size > requests[b].size; });

  std::vector<std::int64_t> offsets(requests.size(), 0);
  std::vector<std::size_t> placed;  // by ascending offset
  total = 0;
  for (const std::size_t current : by_size) {
    const BufferRequest& request = requests[current];
    BNTRAIN_EXPECTS(request.size >= 0 && request.first <= request.last);
    std::int64_t offset = 0;
    for (const std::size_t other : placed) {
      const bool together = requests[other].first <= request.last && request.first <= requests[other].last;
      if (!together) continue;
      if (offset + request.size <= offsets[other]) break;  // fits into the gap below
      offset = std::max(offset, offsets[other] + requests[other].size);
    }
    offsets[current] = offset;
    total = std::max(total, offset + request.size);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), offset,
                         [&](std::int64_t value, std::size_t other) { return value < offsets[other]; }),
        current);
  }
  return offsets;
}

}  // namespace bntrain
