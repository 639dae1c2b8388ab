// Runs the contenders on a case: first the result, then the time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "benchmarks/norm_memory.hpp"
#include "core/quartiles.hpp"

namespace bntrain::benchmarks {

enum class Cache {
  cold,  ///< no launch finds anything of its own in the L2 cache
  hot,   ///< launch after launch on the same tensors
};
const char* to_string(Cache cache);

struct NormRow {
  NormCase norm_case;
  kernels::NormPass pass = kernels::NormPass::forward;
  Cache cache = Cache::cold;
  std::string contender;
  bool is_peer = false;
  double error = 0;          ///< of the result, NormMemory::error()
  std::string refusal = {};  ///< why there is no time
  Quartiles seconds = {};    ///< of a launch; meaningless with a refusal

  bool timed() const { return refusal.empty(); }
  bool wrong() const { return !(error <= kLargestError); }
};

struct TimingOptions {
  int samples = 25;                     ///< at most
  double row_seconds = 0.15;            ///< after which a row gets no more samples than kFewestSamples
  std::int64_t launches_a_sample = 20;  ///< at least, fewer of large tensors; every set is used equally often
  std::int64_t cache_bytes = 0;         ///< of the device's L2
};

inline constexpr int kFewestSamples = 3;

/// Seconds of one launch, once a sample. The launches of a sample are one captured graph, so that short ones
/// are not timed at the speed of the host; events stand around it.
std::vector<double> time_launches(cuda::DeviceStream& stream, std::int64_t launches,
                                  const TimingOptions& options,
                                  const std::function<void(std::int64_t)>& launch);

/// A row for each contender, cold and, where one set fits into the cache, hot, on random numbers of `seed`.
/// Times are only taken of right results.
std::vector<NormRow> time_norm(const NormCase& c, kernels::NormPass pass, std::uint64_t seed,
                               const Contenders& contenders, const TimingOptions& options,
                               cuda::DeviceStream& stream);

}  // namespace bntrain::benchmarks
