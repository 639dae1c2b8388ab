#include "backend/cpu/peaks.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "backend/cpu/memory.hpp"
#include "backend/cpu/thread_team.hpp"
#include "bntrain/error.hpp"

namespace bntrain::cpu {
namespace {

/// Seconds of the fastest of the runs, of which one more in front only warms up.
template <class Work>
double fastest(int repetitions, const Work& work) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int repetition = 0; repetition <= repetitions; ++repetition) {
    const Clock::time_point start = Clock::now();
    work();
    const std::chrono::duration<double> seconds = Clock::now() - start;
    best = repetition <= 1 ? seconds.count() : std::min(best, seconds.count());
  }
  return best;
}

/// Floats of one of two arrays that together are at least twice the caches: what comes round again in turn
/// has left them by then.
std::int64_t uncached_floats() {
  constexpr std::int64_t kLeastBytes = std::int64_t{256} << 20;
  const std::int64_t cache = sysconf(_SC_LEVEL3_CACHE_SIZE);  // 0 or -1 where unknown
  return std::max(kLeastBytes, cache) / static_cast<std::int64_t>(sizeof(float));
}

double copy_rate(ThreadTeam& team) {
  const std::int64_t size = uncached_floats();
  FloatBuffer from(size), to(size);
  std::fill_n(from.data(), size, 1.0f);
  // One range a thread: memcpy() writes around the caches only when it sees a long one.
  const std::int64_t parts = team.size();
  const double seconds = fastest(3, [&] {
    team.for_each(parts, [&](std::int64_t part, int) {
      const std::int64_t first = size * part / parts, last = size * (part + 1) / parts;
      std::memcpy(to.data() + first, from.data() + first,
                  static_cast<std::size_t>(last - first) * sizeof(float));
    });
  });
  if (std::memcmp(from.data(), to.data(), static_cast<std::size_t>(size) * sizeof(float)) != 0)
    throw Error(ErrorKind::runtime, "a copy in memory differs from its source: the memory is at fault");
  return 2.0 * sizeof(float) * static_cast<double>(size) / seconds;
}

double multiply_add_rate(ThreadTeam& team, const Kernels& kernels) {
  constexpr std::int64_t kRounds =
      100'000;  // a millisecond: some runs then fall between other programs' turns
  const std::int64_t tasks = 8 * static_cast<std::int64_t>(team.size());  // a late thread takes fewer
  std::vector<float> sums(static_cast<std::size_t>(tasks));
  const double seconds = fastest(100, [&] {
    team.for_each(tasks, [&](std::int64_t task, int) {
      // Every chain settles at 1 = 1 * 0.5 + 0.5: it neither grows nor fades into denormal numbers.
      sums[static_cast<std::size_t>(task)] = kernels.multiply_add_chains(kRounds, 0.5f, 0.5f);
    });
  });
  for (const float sum : sums)
    if (sum != static_cast<float>(kernels.chain_floats))
      throw Error(ErrorKind::runtime,
                  "multiply-adds in registers gave a wrong sum: the processor is at fault");
  return 2.0 * static_cast<double>(tasks * kRounds * kernels.chain_floats) / seconds;
}

}  // namespace

DevicePeaks measure_peaks(int threads, const Kernels& kernels) {
  ThreadTeam team(threads);
  return {copy_rate(team), multiply_add_rate(team, kernels)};
}

}  // namespace bntrain::cpu
