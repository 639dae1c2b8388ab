// Sums over the blocks of a grid in the middle of a kernel, by messages.
//
// A barrier of the grid and then the sums behind it are two journeys through the L2 cache and a fence; here
// the sum itself says that it has arrived, which is one: 3 to 5 us per exchange against 8 under load,
// measured on an H200. A message is two doubles that each carry the number of the exchange, 1 to 15 in turn,
// in their lowest four bits, so that each 8 bytes, the most that arrives as a whole, is judged by itself. A
// sum loses these bits on its way, whatever the number: 2^-49 of it, in the same way in every run.
//
// Nothing is expected of the memory for messages. A launch clears it (0 is the number of no exchange),
// arrives at a barrier of the grid, and waits there before it sends: by then its first values are on their
// way from memory, which takes longer. A counter of exchanges that lives in the memory from launch to launch
// would need no barrier, but memory that belongs to one shape and was 0 once; numbers from the host would
// stand still in a captured graph.
//
// A block may be one exchange ahead of another, never two, because each exchange ends with something from all
// blocks. So a message is overwritten only after all have read it, see the two ways below, and numbers that
// repeat after 15 exchanges cannot be confused.
//
// All blocks must be resident: a cooperative launch, which a device that cannot do it refuses.
#pragma once

#include "kernels/simt/reduce.cuh"

namespace bntrain::kernels {

/// Two doubles on their way, or what memory held before.
struct alignas(16) Message {
  std::uint64_t first, second;
};

namespace messages {

inline constexpr std::uint64_t kNumberBits = 15;

SIMT_DEVICE std::uint64_t bits_of(double value) {
  std::uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
/// NaN stays NaN: the highest bit of its payload, which arithmetic sets, is not among the lowest four.
SIMT_DEVICE Message sealed(simt::Pair<double> sums, unsigned number) {
  return {(bits_of(sums.first) & ~kNumberBits) | number, (bits_of(sums.second) & ~kNumberBits) | number};
}
SIMT_DEVICE bool carries(Message message, unsigned number) {
  return (message.first & kNumberBits) == number && (message.second & kNumberBits) == number;
}
SIMT_DEVICE simt::Pair<double> content(Message message) {
  const std::uint64_t words[] = {message.first & ~kNumberBits, message.second & ~kNumberBits};
  simt::Pair<double> sums;
  memcpy(&sums, words, sizeof sums);
  return sums;
}

/// The sum over the warp, in every lane. The lanes exchange one of two doubles, then even lanes add up the
/// first and odd lanes the second: 6 shuffles of a double instead of 10.
SIMT_DEVICE simt::Pair<double> warp_pair_sum(simt::Pair<double> sums) {
  const bool odd = (simt::lane_index() & 1) != 0;
  double mine = (odd ? sums.second : sums.first) + simt::shuffle_xor(odd ? sums.first : sums.second, 1);
  SIMT_UNROLL
  for (int bits = 2; bits < simt::kWarpSize; bits *= 2) mine += simt::shuffle_xor(mine, bits);
  const double other = simt::shuffle_xor(mine, 1);
  return odd ? simt::Pair<double>{other, mine} : simt::Pair<double>{mine, other};
}

}  // namespace messages

/// Clears the messages of a launch and arrives at the barrier of the grid. All threads call it, first of all,
/// and pass the result to simt::grid_wait() before their block's first exchange.
SIMT_DEVICE simt::GridArrival clear_messages(Message* memory, std::int64_t count) {
  for (std::int64_t i = simt::grid_thread(); i < count; i += simt::grid_threads()) memory[i] = {0, 0};
  return simt::grid_arrive();
}

/// The exchanges of `blocks` blocks, of which this is number `rank`, for `channels` channels at a time.
class Exchange {
 public:
  /// Messages that the blocks need.
  static SIMT_HOST_DEVICE std::int64_t messages(std::int64_t channels, std::int64_t blocks) {
    return channels == 1 ? 2 * blocks : channels * (blocks + 1);
  }

  SIMT_DEVICE Exchange(Message* memory, int channels, int blocks, int rank)
      : memory_(memory), channels_(channels), blocks_(blocks), rank_(rank) {}

  /// Adds up the blocks' sums of every channel, in the order of the blocks. Collective. sums(channel): this
  /// block's, called by thread `channel` modulo the block's size. Some thread of every block calls
  /// prepare(channel), which should load from memory what is needed later, and when the total is there
  /// finish(channel, prepared, total). A block_sync() must follow.
  template <typename Sums, typename Prepare, typename Finish>
  SIMT_DEVICE void operator()(const Sums& sums, const Prepare& prepare, const Finish& finish) {
    number_ = number_ % 15 + 1;
    if (channels_ == 1)
      one_channel(sums, prepare, finish);
    else
      many_channels(sums, prepare, finish);
  }

 private:
  /// Every block adds up for itself. Memory: [2][blocks], used in turn: who sends for the second time has all
  /// messages of the exchange between, whose senders have read those of the first.
  template <typename Sums, typename Prepare, typename Finish>
  SIMT_DEVICE void one_channel(const Sums& sums, const Prepare& prepare, const Finish& finish) {
    Message* const from = memory_ + static_cast<std::int64_t>(turn_) * blocks_;
    turn_ ^= 1;
    if (simt::thread_index() == 0) simt::store_message(from + rank_, messages::sealed(sums(0), number_));
    if (simt::warp_index() != 0) return;
    const auto prepared = prepare(0);
    const simt::Pair<double> total = collect(from);
    if (simt::lane_index() == 0) finish(0, prepared, total);
  }

  /// One warp of one block adds up a channel and sends the total to all. Memory: [channels][blocks] sums,
  /// [channels] totals: who sends a sum for the second time has the totals, for which all sums were read;
  /// who sends a total for the second time has all sums, whose senders have read the totals.
  template <typename Sums, typename Prepare, typename Finish>
  SIMT_DEVICE void many_channels(const Sums& sums, const Prepare& prepare, const Finish& finish) {
    using simt::thread_index;
    Message* const totals = memory_ + static_cast<std::int64_t>(channels_) * blocks_;
    for (int channel = thread_index(); channel < channels_; channel += simt::block_size())
      simt::store_message(memory_ + channel * blocks_ + rank_, messages::sealed(sums(channel), number_));
    // The lower half of the warps adds up, the upper half waits for totals.
    const int adding = (simt::warp_count() + 1) / 2, waiting = simt::block_size() - adding * simt::kWarpSize;
    if (simt::warp_index() < adding)
      for (int channel = rank_ + simt::warp_index() * blocks_; channel < channels_;
           channel += adding * blocks_) {
        const simt::Pair<double> total = collect(memory_ + channel * blocks_);
        if (simt::lane_index() == 0) simt::store_message(totals + channel, messages::sealed(total, number_));
      }
    else
      for (int channel = thread_index() - adding * simt::kWarpSize; channel < channels_; channel += waiting) {
        const auto prepared = prepare(channel);
        Message message;
        do message = simt::load_message(totals + channel);
        while (!messages::carries(message, number_));
        finish(channel, prepared, messages::content(message));
      }
  }

  /// The sum of [blocks] messages, in every lane of the warp that calls it.
  SIMT_DEVICE simt::Pair<double> collect(const Message* from) const {
    constexpr int kAtOnce = 5;  // 160 blocks: one round on every device of today but one
    simt::Pair<double> sum{0, 0};
    for (int first = simt::lane_index(); first - simt::lane_index() < blocks_;
         first += kAtOnce * simt::kWarpSize) {
      Message message[kAtOnce] = {};
      bool all;
      do {
        all = true;
        SIMT_UNROLL
        for (int i = 0; i < kAtOnce; ++i)
          if (first + i * simt::kWarpSize < blocks_)
            message[i] = simt::load_message(from + first + i * simt::kWarpSize);
        SIMT_UNROLL
        for (int i = 0; i < kAtOnce; ++i)
          if (first + i * simt::kWarpSize < blocks_) all = all && messages::carries(message[i], number_);
      } while (!all);
      SIMT_UNROLL
      for (int i = 0; i < kAtOnce; ++i)
        if (first + i * simt::kWarpSize < blocks_) sum = simt::Add{}(sum, messages::content(message[i]));
    }
    return messages::warp_pair_sum(sum);
  }

  Message* memory_;
  int channels_, blocks_, rank_;
  unsigned number_ = 0;
  int turn_ = 0;
};

}  // namespace bntrain::kernels
