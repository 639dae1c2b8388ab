#include "core/random.hpp"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "bntrain/error.hpp"

namespace bntrain {
namespace {

constexpr std::uint64_t two_to_32 = std::uint64_t{1} << 32;

std::uint32_t low_word(std::uint64_t value) {
  return static_cast<std::uint32_t>(value);
}
std::uint32_t high_word(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {high_word(product1) ^ counter[1] ^ key[0], low_word(product1),
               high_word(product0) ^ counter[3] ^ key[1], low_word(product0)};
    key[0] += 0x9E3779B9;  // the golden ratio and sqrt(3) - 1, in 32 bits
    key[1] += 0xBB67AE85;
  }
  return counter;
}

// Counter words: block (64 bits), ordinal (56 bits), purpose (8 bits); the key is the seed. Distinct streams
// therefore encrypt distinct counters.
RandomStream::RandomStream(std::uint64_t seed, RandomPurpose purpose, std::uint64_t ordinal)
    : key_{low_word(seed), high_word(seed)},
      stream_{low_word(ordinal), (high_word(ordinal) << 8) | static_cast<std::uint32_t>(purpose)} {
  BNTRAIN_EXPECTS(ordinal < (std::uint64_t{1} << 56));
  BNTRAIN_EXPECTS(static_cast<std::uint32_t>(purpose) < 256);
}

std::uint32_t RandomStream::next_u32() {
  if (used_ == 4) {
    words_ = philox4x32({low_word(block_), high_word(block_), stream_[0], stream_[1]}, key_);
    ++block_;
    used_ = 0;
  }
  return words_[static_cast<std::size_t>(used_++)];
}

double RandomStream::uniform() {
  return static_cast<double>(next_u32() >> 8) * 0x1p-24;
}

double RandomStream::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  // All 32 bits, so that the tail reaches 6.7 standard deviations; shifted into (0, 1] for the logarithm.
  const double radius = std::sqrt(-2.0 * std::log((static_cast<double>(next_u32()) + 1.0) * 0x1p-32));
  const double angle = 2.0 * std::numbers::pi * (static_cast<double>(next_u32()) * 0x1p-32);
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

std::uint64_t RandomStream::below(std::uint64_t bound) {
  BNTRAIN_EXPECTS(bound > 0 && bound <= two_to_32);
  std::uint64_t product = next_u32() * bound;
  if (low_word(product) < bound) {
    // The first (2^32 mod bound) low words would make some results one draw more likely than others.
    const std::uint64_t threshold = (two_to_32 - bound) % bound;
    while (low_word(product) < threshold) product = next_u32() * bound;
  }
  return product >> 32;
}

std::vector<std::int64_t> permutation(std::int64_t count, RandomStream stream) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::size_t last = order.size(); last > 1; --last)
    std::swap(order[last - 1], order[stream.below(last)]);
  return order;
}

std::vector<std::int64_t> epoch_order(std::int64_t count, std::uint64_t seed, std::int64_t epoch,
                                      bool shuffle) {
  BNTRAIN_EXPECTS(count >= 0 && epoch >= 0);
  if (shuffle)
    return permutation(count, RandomStream(seed, RandomPurpose::shuffle, static_cast<std::uint64_t>(epoch)));
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  return order;
}

}  // namespace bntrain
