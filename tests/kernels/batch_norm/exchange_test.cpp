// Sums exchanged by messages: right in every order of execution, for every content of the memory, again and
// again.
#include "kernels/batch_norm/exchange.cuh"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/kernel_runs.hpp"
#include "support/device_vector.hpp"

namespace bntrain::kernels {
namespace {

using simt::Pair;
using simt_host::Executor;
using support::DeviceVector;

/// What block `rank` sends for a channel in an exchange.
SIMT_DEVICE Pair<double> sent(const double* values, int exchange, int channel, int channels, int rank,
                              int blocks) {
  const double* from =
      values + 2 * ((static_cast<std::int64_t>(exchange) * channels + channel) * blocks + rank);
  return {from[0], from[1]};
}

/// totals: [blocks][exchanges][channels], what each block has received. clear: false plants an error.
SIMT_KERNEL(64)
exchanges_kernel(int exchanges, int channels, bool clear, const double* values, Message* messages,
                 std::int64_t message_count, Pair<double>* totals) {
  simt::grid_wait(clear_messages(messages, clear ? message_count : 0));
  Exchange exchange(messages, channels, simt::grid_size(), simt::block_index());
  for (int i = 0; i < exchanges; ++i) {
    exchange(
        [&](int channel) {
          return sent(values, i, channel, channels, simt::block_index(), simt::grid_size());
        },
        [](int channel) { return channel; },
        [&](int channel, int prepared, Pair<double> total) {
          if (prepared != channel) return;
          totals[(simt::block_index() * exchanges + i) * channels + channel] = total;
        });
    simt::block_sync();
  }
}

struct Problem {
  int exchanges, channels, blocks;
  DeviceVector<double> values;

  Problem(int exchange_count, int channel_count, int block_count)
      : exchanges(exchange_count), channels(channel_count), blocks(block_count) {
    std::mt19937 generator{7};
    std::normal_distribution<double> normal;
    values.resize(at(2ll * exchanges * channels * blocks));
    for (double& value : values) value = normal(generator);
  }
  std::int64_t messages() const { return Exchange::messages(channels, blocks); }
};

/// Totals of all blocks, NaN where none was written.
DeviceVector<Pair<double>> run(const Problem& p, DeviceVector<Message>& memory, Executor& executor,
                               bool clear = true) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  DeviceVector<Pair<double>> totals(at(1ll * p.blocks * p.exchanges * p.channels), {kNan, kNan});
  launch(exchanges_kernel,
         {.name = "exchanges", .grid = p.blocks, .block = 64, .cooperative = true, .shared_bytes = 0},
         executor.stream(), p.exchanges, p.channels, clear, p.values.data(), memory.data(), p.messages(),
         totals.data());
  return totals;
}

/// The totals are the sums but for the bits that a message loses, and every block has the same.
testing::AssertionResult right(const Problem& p, const DeviceVector<Pair<double>>& totals) {
  for (int i = 0; i < p.exchanges; ++i)
    for (int channel = 0; channel < p.channels; ++channel) {
      long double first = 0, second = 0, size = 0;
      for (int rank = 0; rank < p.blocks; ++rank) {
        const Pair<double> one = sent(p.values.data(), i, channel, p.channels, rank, p.blocks);
        first += one.first;
        second += one.second;
        size += std::abs(one.first) + std::abs(one.second);
      }
      for (int rank = 0; rank < p.blocks; ++rank) {
        const Pair<double> total = totals[at((1ll * rank * p.exchanges + i) * p.channels + channel)];
        const auto bound = static_cast<double>(size) * 0x1p-47;
        if (!(std::abs(total.first - static_cast<double>(first)) <= bound) ||
            !(std::abs(total.second - static_cast<double>(second)) <= bound) ||
            std::memcmp(&total, &totals[at(1ll * i * p.channels + channel)], sizeof total) != 0)
          return testing::AssertionFailure()
                 << "exchange " << i << ", channel " << channel << ", block " << rank << ": " << total.first
                 << " for " << static_cast<double>(first);
      }
    }
  return testing::AssertionSuccess();
}

DeviceVector<Message> garbage(std::int64_t size, std::uint64_t bits) {
  return DeviceVector<Message>(at(size), {bits, bits});
}

TEST(NormExchange, IsRightInEveryOrderOfExecution) {
  for (const auto& settings : simt_host::all_schedules())
    for (const int channels : {1, 2, 5, 70, 130})
      for (const int blocks : {1, 2, 7, 33}) {
        SCOPED_TRACE(to_string(settings.schedule) + ", channels " + std::to_string(channels) + ", blocks " +
                     std::to_string(blocks));
        const Problem p(3, channels, blocks);
        Executor executor(settings);
        DeviceVector<Message> memory = garbage(p.messages(), 0xffff'ffff'ffff'ffff);
        EXPECT_TRUE(right(p, run(p, memory, executor)));
      }
}

TEST(NormExchange, NumbersMayRepeat) {
  for (const auto& settings : simt_host::all_schedules())
    for (const int channels : {1, 4}) {
      const Problem p(50, channels, 5);
      Executor executor(settings);
      DeviceVector<Message> memory = garbage(p.messages(), 0);
      EXPECT_TRUE(right(p, run(p, memory, executor)));
    }
}

TEST(NormExchange, ExpectsNothingOfTheMemory) {
  // Messages of every number, and what a launch before has left: of this shape, of another.
  const Problem p(4, 3, 5), other(7, 1, 8);
  DeviceVector<Message> memory;
  for (std::uint64_t number = 0; number < 16; ++number) {
    Executor executor;
    memory = garbage(p.messages(), 0x3ff0'0000'0000'0000 | number);
    const auto totals = run(p, memory, executor);
    EXPECT_TRUE(right(p, totals)) << number;
    EXPECT_TRUE(right(p, run(p, memory, executor)));
    memory.resize(at(std::max(p.messages(), other.messages())));
    EXPECT_TRUE(right(other, run(other, memory, executor)));
    EXPECT_TRUE(right(p, run(p, memory, executor)));
  }
}

TEST(NormExchange, ARecordedLaunchMayBeReplayed) {
  for (const auto& settings : simt_host::all_schedules()) {
    const Problem p(5, 3, 6);
    Executor executor(settings);
    DeviceVector<Message> memory = garbage(p.messages(), 0x3ff0'0000'0000'0001);
    DeviceVector<Pair<double>> totals(at(1ll * p.blocks * p.exchanges * p.channels));
    executor.begin_recording();
    launch(exchanges_kernel, {.name = "exchanges", .grid = p.blocks, .block = 64, .cooperative = true},
           executor.stream(), p.exchanges, p.channels, true, p.values.data(), memory.data(), p.messages(),
           totals.data());
    const auto replay = executor.end_recording();
    for (int i = 0; i < 20; ++i) {
      std::fill(totals.begin(), totals.end(), Pair<double>{0, 0});
      replay();
      EXPECT_TRUE(right(p, totals)) << i;
    }
  }
}

TEST(NormExchange, TheSameBitsInEveryOrderOfExecution) {
  const Problem p(3, 9, 7);
  DeviceVector<Pair<double>> expected;
  for (const auto& settings : simt_host::all_schedules()) {
    Executor executor(settings);
    DeviceVector<Message> memory = garbage(p.messages(), 0);
    const auto totals = run(p, memory, executor);
    if (expected.empty()) expected = totals;
    EXPECT_EQ(std::memcmp(totals.data(), expected.data(), totals.size() * sizeof totals[0]), 0);
  }
}

TEST(NormExchange, PassesNanAndInfinity) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  Problem p(1, 3, 4);
  p.values[2 * 1] = kInf;                                                // channel 0, block 1
  p.values[2 * (4 + 2) + 1] = std::numeric_limits<double>::quiet_NaN();  // channel 1, block 2, second sum
  p.values[2 * 8] = kInf;
  p.values[2 * 9] = -kInf;
  Executor executor;
  DeviceVector<Message> memory = garbage(p.messages(), 0);
  const auto totals = run(p, memory, executor);
  EXPECT_EQ(totals[0].first, kInf);
  EXPECT_TRUE(std::isfinite(totals[0].second));
  EXPECT_TRUE(std::isfinite(totals[1].first));
  EXPECT_TRUE(std::isnan(totals[1].second));
  EXPECT_TRUE(std::isnan(totals[2].first));
}

TEST(NormExchange, MemoryThatIsNotClearedIsNoticed) {
  // So the tests above would see a protocol that trusts its memory.
  const Problem p(1, 3, 5);
  Executor executor;
  DeviceVector<Message> memory = garbage(p.messages(), 0x3ff0'0000'0000'0001);
  EXPECT_FALSE(right(p, run(p, memory, executor, false)));
}

}  // namespace
}  // namespace bntrain::kernels
