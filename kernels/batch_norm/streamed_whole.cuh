// Batch norm of a channels-last tensor that the registers of all blocks hold as a whole: every block has all
// channels, and x is read once.
//
// The tensor is a flat array of vectors, however many channels there are. The channels of a vector repeat
// after a period of vectors, so a block's threads stand in rows of a period, and each thread always meets the
// same channels. Rows of a strip of 20 or 50 channels would be 80 or 200 bytes, no multiple of a sector.
// Backward, x waits in shared memory, for which a thread copies what it alone reads.
//
// Bytes moved, for S bytes of tensor, forward and backward: 2 S, 3 S.
#pragma once

#include "kernels/batch_norm/streamed.hpp"
#include "kernels/batch_norm/streamed_pass.cuh"

namespace bntrain::kernels::streamed {

template <typename Pass, int kVectors>
SIMT_KERNEL(Tuning::kMaxThreads, 1)
whole_kernel(Pass pass, Whole whole, Message* messages, std::int64_t message_count) {
  using namespace simt;
  using T = typename Pass::Value;
  using Constants = typename Pass::Constants;
  constexpr int kInputs = Pass::kInputs, kWidth = Pass::kWidth;
  static_assert(Pass::kChannels == kWidth);

  const int threads = block_size(), columns = whole.period * kWidth;
  DynamicShared dynamic;
  // [kWidth][threads] sums, then [parts][columns] of them.
  const auto scratch = dynamic.take<Pair<double>>("scratch", static_cast<std::int64_t>(kWidth) * threads);
  const auto constants = dynamic.take<Constants>("constants", whole.channels);
  const auto origins = dynamic.take<float>("origins", whole.channels);
  const auto waiting =
      dynamic.take<T>("waiting", static_cast<std::int64_t>(kInputs - 1) * kVectors * threads * kWidth);

  const int row_threads = whole.rows * whole.period;
  const std::uint32_t stride = static_cast<std::uint32_t>(row_threads);
  const std::uint32_t first = static_cast<std::uint32_t>(block_index()) * stride * kVectors +
                              static_cast<std::uint32_t>(thread_index());
  const auto element = [&](int vector) {
    return static_cast<std::int64_t>(first + static_cast<std::uint32_t>(vector) * stride) * kWidth;
  };
  int count = 0;
  if (thread_index() < row_threads && first < whole.vectors)
    count = static_cast<int>((whole.vectors - first + stride - 1) / stride);
  if (count > kVectors) count = kVectors;

  const auto slot_of = [&](int vector) { return waiting + (vector * threads + thread_index()) * kWidth; };
  Bits held[kVectors] = {};  // the last input
  SIMT_UNROLL
  for (int j = 0; j < kVectors; ++j) {
    if (j >= count) continue;
    if constexpr (kInputs == 2) copy_async<kWidth>(slot_of(j), pass.input(0) + element(j));
    held[j] = bits_of(load_vec(pass.input(kInputs - 1) + element(j)));
  }
  const GridArrival cleared = clear_messages(messages, message_count);
  const int first_channel = thread_index() % whole.period * kWidth % whole.channels;
  const auto channel_of = [&](int k) {
    int channel = first_channel + k;
    while (channel >= whole.channels) channel -= whole.channels;
    return channel;
  };
  typename Pass::Thread thread(pass, channel_of);
  for (int channel = thread_index(); channel < whole.channels; channel += threads)
    origins[channel] = static_cast<float>(pass.input(0)[channel]);
  grid_wait(cleared);  // While the vectors are on their way; also a barrier of the block.
  copies_wait();

  const auto visit_all = [&](const auto& visit) {
    SIMT_UNROLL
    for (int j = 0; j < kVectors; ++j) {
      if (j >= count) continue;
      Bits inputs[kInputs];
      if constexpr (kInputs == 2) inputs[0] = bits_of(load_vec(slot_of(j)));
      inputs[kInputs - 1] = held[j];
      visit(inputs, j);
    }
  };
  visit_all([&](const auto& inputs, int) { thread.add(inputs); });
  thread.flush(
      [&](int k) {
        const float value = origins[channel_of(k)];
        return value;
      },
      [&](const auto& visit) { visit_all([&](const auto& inputs, int) { visit(inputs); }); });

  // The sums of the rows, in two steps: a thread adds up some rows of a column, one for each channel the
  // rest.
  SIMT_UNROLL
  for (int k = 0; k < kWidth; ++k) scratch[k * threads + thread_index()] = thread.total(k);
  block_sync();
  const int parts = threads / columns > 0 ? threads / columns : 1;
  Pair<double> partial{0, 0};  // of column thread % columns
  const auto add_rows = [&](int column, int part) {
    Pair<double> sum{0, 0};
    for (int row = part; row < whole.rows; row += parts) {
      const Pair<double> one = scratch[column % kWidth * threads + row * whole.period + column / kWidth];
      sum = Add{}(sum, one);
    }
    return sum;
  };
  const bool in_two_steps = threads >= columns;
  if (in_two_steps) {
    if (thread_index() < parts * columns)
      partial = add_rows(thread_index() % columns, thread_index() / columns);
    block_sync();
    scratch[thread_index()] = partial;
    block_sync();
  }

  Exchange exchange(messages, whole.channels, grid_size(), block_index());
  exchange(
      [&](int channel) {
        Pair<double> sum{0, 0};
        if (in_two_steps) {
          for (int i = channel; i < parts * columns; i += whole.channels) {
            const Pair<double> one = scratch[i];
            sum = Add{}(sum, one);
          }
        } else {
          for (int column = channel; column < columns; column += whole.channels)
            sum = Add{}(sum, add_rows(column, 0));
        }
        return sum;
      },
      [&](int channel) { return pass.prepare(channel); },
      [&](int channel, const typename Pass::Prepared& prepared, Pair<double> total) {
        const float origin = origins[channel];
        constants[channel] = pass.finish(channel, prepared, total, origin, block_index() == 0);
      });
  block_sync();
  SIMT_UNROLL
  for (int k = 0; k < kWidth; ++k) {
    const Constants mine = constants[channel_of(k)];
    thread.take(k, mine);
  }
  visit_all([&](const auto& inputs, int j) { store_vec(pass.result() + element(j), thread.apply(inputs)); });
}

}  // namespace bntrain::kernels::streamed
