// Counter-based random numbers: Philox4x32-10, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
// 3".
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace bntrain {

/// The block cipher itself: four 32-bit words for a counter and a key.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

/// What a stream of random numbers is for. The values are part of every file format and result: never
/// renumber.
enum class RandomPurpose : std::uint32_t {
  weight = 1,
  bias = 2,
  gamma = 3,
  beta = 4,
  shuffle = 5,
  synthetic = 6,
  rounding = 7,
  validation = 8
};

/// A stream keyed by (seed, purpose, ordinal). Streams never overlap; equal keys give equal numbers
/// everywhere.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, RandomPurpose purpose, std::uint64_t ordinal);
  std::uint32_t next_u32();
  /// Uniform in [0, 1) with 24 bits, exact in float32.
  double uniform();
  /// Standard normal by Box and Muller 1958, in double precision.
  double normal();
  /// Uniform integer in [0, bound), unbiased (Lemire 2019). bound > 0, at most 2^32.
  std::uint64_t below(std::uint64_t bound);

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 2> stream_;
  std::uint64_t block_ = 0;
  std::array<std::uint32_t, 4> words_{};
  int used_ = 4;
  double spare_ = 0;
  bool has_spare_ = false;
};

/// A Fisher-Yates shuffle of 0..count-1.
std::vector<std::int64_t> permutation(std::int64_t count, RandomStream stream);

/// The visiting order of one epoch: a permutation keyed by (seed, epoch).
std::vector<std::int64_t> epoch_order(std::int64_t count, std::uint64_t seed, std::int64_t epoch,
                                      bool shuffle);

}  // namespace bntrain
