// Fully connected layers of a few images: a vector holds the inputs of one row of a block of weights, so that
// the weights are read once and in their order.
#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/image/entry_points.hpp"
#include "backend/cpu/kernels/image/vectors.hpp"
#include "backend/cpu/kernels/transpose.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::image {

constexpr std::int64_t kSumLength = 64;          // terms of a lane's partial sum
constexpr int kVectors = kLinearBlock / kLanes;  // of a row of a block
constexpr std::int64_t kBlockFloats = std::int64_t{kLinearBlock} * kLinearBlock;
constexpr std::int64_t kSumBlocks = kSumLength / kVectors;

/// Lane i = weights of output `first + i` times x, over blocks [block, end) of the inputs.
BNTRAIN_INLINE Vec output_sums(const LinearShape& s, std::int64_t first, std::int64_t block, std::int64_t end,
                               const float* weights, const float* x) {
  Vec sum[kLanes] = {};
  for (; block < end; ++block) {
    const float* row = weights + weight_position(s, first, block * kLinearBlock);
    const std::int64_t left = s.in - block * kLinearBlock;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const std::int64_t count = left < v * kLanes ? 0 : least(kLanes, left - v * kLanes);
      const Vec inputs = load_first(x + block * kLinearBlock + v * kLanes, count);
      if (count == kLanes) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) sum[i] += load(row + i * kLinearBlock + v * kLanes) * inputs;
      } else {  // what lies beyond the layer may be anything
        for (int i = 0; i < kLanes; ++i)
          sum[i] += load_first(row + i * kLinearBlock + v * kLanes, count) * inputs;
      }
    }
  }
  return sums_of_rows(sum);
}

void linear_forward(const LinearShape& s, const LinearPart& outputs, const float* weights, const float* bias,
                    bool relu, const float* x, float* y) {
  const std::int64_t blocks = linear_blocks(s.in);
  for (std::int64_t first = outputs.first; first < outputs.last; first += kLanes)
    for (std::int64_t image = outputs.first_group; image < outputs.last_group; ++image) {
      const std::int64_t count = least(kLanes, outputs.last - first);
      Vec sum = bias != nullptr ? load_first(bias + first, count) : Vec{};
      for (std::int64_t block = 0; block < blocks; block += kSumBlocks)
        sum += output_sums(s, first, block, least(block + kSumBlocks, blocks), weights, x + image * s.in);
      store_first(y + image * s.out + first, relu ? (sum < 0 ? Vec{} : sum) : sum, count);
    }
}

void linear_backward_input(const LinearShape& s, const LinearPart& inputs, const float* weights,
                           const float* dy, bool add, float* dx) {
  constexpr int kBlocks = 4;  // side by side: enough sums to hide their latency
  constexpr std::int64_t kOutputs = 2 * kSumLength;
  for (std::int64_t first = inputs.first; first < inputs.last; first += kBlocks * kLanes)
    for (std::int64_t image = inputs.first_group; image < inputs.last_group; ++image) {
      Vec total[kBlocks] = {};
      const float* gradient = dy + image * s.out;
      const float* at[kBlocks];
      for (int b = 0; b < kBlocks; ++b) {
        const std::int64_t input = first + b * kLanes;
        at[b] = weights + weight_position(s, 0, input < inputs.last ? input : first);
      }
      for (std::int64_t output = 0; output < s.out; output += kOutputs) {
        Vec sum[kBlocks] = {};
        const std::int64_t end = least(output + kOutputs, s.out);
        for (std::int64_t o = output; o < end; ++o) {
          const std::int64_t row = weight_position(s, o, 0);
          const Vec g = splat(gradient[o]);
#pragma GCC unroll 4
          for (int b = 0; b < kBlocks; ++b) sum[b] += g * load(at[b] + row);
        }
        for (int b = 0; b < kBlocks; ++b) total[b] += sum[b];
      }
      for (int b = 0; b < kBlocks; ++b) {
        const std::int64_t input = first + b * kLanes;
        if (input >= inputs.last) break;
        const std::int64_t count = least(kLanes, inputs.last - input);
        float* to = dx + image * s.in + input;
        store_first(to, add ? load_first(to, count) + total[b] : total[b], count);
      }
    }
}

void linear_backward_weights(const LinearShape& s, std::int64_t images, const LinearTile& tile,
                             const float* x, const float* dy, float* dweights, float* dbias) {
  for (std::int64_t input = tile.first_input; input < tile.last_input; input += kLanes) {
    const std::int64_t count = least(kLanes, s.in - input);
    const Vec first = load_first(x + input, count);
    for (std::int64_t block = tile.first_output; block < tile.last_output; block += kLinearBlock) {
      float* to = dweights + weight_position(s, block, input);
      const std::int64_t end = least(block + kLinearBlock, tile.last_output);
      for (std::int64_t o = block; o < end; ++o, to += kLinearBlock) {
        Vec sum = splat(dy[o]) * first;
        for (std::int64_t image = 1; image < images; ++image)
          sum += splat(dy[image * s.out + o]) * load_first(x + image * s.in + input, count);
        store(to, sum);
      }
    }
  }
  if (dbias == nullptr) return;
  for (std::int64_t o = tile.first_output; o < tile.last_output; ++o) {
    float sum = 0;
    for (std::int64_t image = 0; image < images; ++image) sum += dy[image * s.out + o];
    dbias[o] = sum;
  }
}

}  // namespace bntrain::cpu::BNTRAIN_ISA::image
