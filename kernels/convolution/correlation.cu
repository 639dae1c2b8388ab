// Convolutions of few channels without an intermediate matrix: the forward pass and the input's gradient.
//
// Maths, division of the work: correlation.hpp. A block stages a tile of the input and the weights of its
// output channels in shared memory, some input channels at a time; a thread keeps 2 x 4 pixels of 4 or 8
// channels in registers. For each row of taps it reads one or two rows of pixels and, with the other lanes of
// the warp, the weights of its channels: with 3 x 3 taps shared memory is busy for 0.35 (eight channels) to
// 0.6 (four) of the time that the multiply-adds take, and for 1 where an odd number of threads along a row
// makes lanes meet in their banks. Bytes moved: 4 * (x + y), and the weights once a block.
//
// With an input's gradient of stride 2 a thread multiplies zeros where a phase has fewer taps than
// ceil(kernel / 2): 16 products for 9 with 3 x 3 weights. A kernel for each of the four phases would save
// them for four times the code.
#include "kernels/convolution/correlation.hpp"

#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;
using Tuning = CorrelationTuning;

constexpr int kRows = Tuning::kRows, kColumns = Tuning::kColumns;

/// Where a unit of work lies: the first image, thread tiles, output channel, and the phase.
struct Unit {
  int image, row, column, channel;
  Axis vertical, horizontal;
  int phase_i, phase_j;
};

SIMT_DEVICE Unit unit_of(const Correlation& g, const CorrelationTile& t, int taps, int channels,
                         std::int64_t index) {
  const auto next = [&](int count) {
    const std::int64_t rest = index / count;
    const int part = static_cast<int>(index - rest * count);
    index = rest;
    return part;
  };
  Unit unit{};
  unit.channel = next(t.tiles_o) * t.groups * channels;
  unit.column = next(t.tiles_j) * t.columns;
  unit.row = next(t.tiles_i) * t.rows;
  unit.phase_j = next(t.phases);
  unit.phase_i = next(t.phases);
  unit.image = static_cast<int>(index) * t.images;
  unit.vertical = g.axis(taps, unit.phase_i);
  unit.horizontal = g.axis(taps, unit.phase_j);
  return unit;
}

/// tile[c][tap][o], zeros beyond the channels and the kernel. Of a warp, eight lanes take adjacent taps and
/// four adjacent output channels.
template <int taps>
SIMT_DEVICE void stage_weights(const Correlation& g, const CorrelationTile& t, const Unit& unit,
                               int first_channel, const float* __restrict__ weights, Shared<float> tile) {
  constexpr int kTaps = taps * taps, kTapLanes = 8, kChannelLanes = kWarpSize / kTapLanes;
  const int square = g.kernel * g.kernel;
  const int of_out = g.transposed ? square : g.in_channels * square;
  const int of_in = g.transposed ? g.out_channels * square : square;
  const int lane = lane_index() % kTapLanes;
  const int o = lane_index() / kTapLanes;
  for (int i = warp_index() * kTapLanes + lane; i < t.chunk() * kTaps; i += warp_count() * kTapLanes) {
    const int c = i / kTaps, tap = i % kTaps;
    const int r = unit.vertical.first_tap + tap / taps * unit.vertical.tap_step;
    const int s = unit.horizontal.first_tap + tap % taps * unit.horizontal.tap_step;
    const bool exists = first_channel + c < g.in_channels && r < g.kernel && s < g.kernel;
    const float* from = weights + static_cast<std::int64_t>(first_channel + c) * of_in + r * g.kernel + s;
    for (int k = o; k < t.weight_pitch; k += kChannelLanes) {
      const int channel = unit.channel + k;
      if (exists && channel < g.out_channels)
        copy_async<1>(tile + (i * t.weight_pitch + k), from + static_cast<std::int64_t>(channel) * of_out);
      else
        tile[i * t.weight_pitch + k] = 0.0f;
    }
  }
}

/// Adds the products with one input channel.
template <int taps, int stride, int channels>
SIMT_DEVICE void multiply(Shared<float> in, int pitch, Shared<float> weights, int weight_pitch,
                          float (&sums)[kRows][channels][kColumns]) {
  float rows[kRows][row_floats(taps, stride)];
  SIMT_UNROLL
  for (int r = 0; r < taps; ++r) {
    SIMT_UNROLL
    for (int q = 0; q < kRows; ++q) {
      // With stride 1 the second row of one row of taps is the first of the next.
      if (stride == 1 && r > 0 && q + 1 < kRows) {
        SIMT_UNROLL
        for (int i = 0; i < row_floats(taps, stride); ++i) rows[q][i] = rows[q + 1][i];
      } else {
        read(in + (r + q * stride) * pitch, rows[q]);
      }
    }
    SIMT_UNROLL
    for (int s = 0; s < taps; ++s) {
      float weight[channels];
      read(weights + (r * taps + s) * weight_pitch, weight);
      SIMT_UNROLL
      for (int q = 0; q < kRows; ++q) SIMT_UNROLL
      for (int o = 0; o < channels; ++o) SIMT_UNROLL
      for (int p = 0; p < kColumns; ++p) sums[q][o][p] += weight[o] * rows[q][p * stride + s];
    }
  }
}

/// The threads that `give` hand their sums to those `lanes` before them that `take`. For all threads of the
/// block.
template <int channels>
SIMT_DEVICE void add_sums(bool give, bool take, int lanes, Shared<float> memory,
                          float (&sums)[kRows][channels][kColumns]) {
  const int lane = thread_index() % lanes;
  block_sync();  // before the tiles are overwritten
  SIMT_UNROLL
  for (int i = 0; i < kRows * channels * kColumns; ++i)
    if (give)
      memory[i * lanes + lane] = sums[i / (channels * kColumns)][i / kColumns % channels][i % kColumns];
  block_sync();
  SIMT_UNROLL
  for (int i = 0; i < kRows * channels * kColumns; ++i)
    if (take) {
      const float given = memory[i * lanes + lane];
      sums[i / (channels * kColumns)][i / kColumns % channels][i % kColumns] += given;
    }
}

/// `vectors`: four pixels of the output are 16 aligned bytes.
template <int taps, int stride, int channels>
SIMT_KERNEL(Tuning::kMostThreads, least_blocks(taps, stride))
correlation_kernel(Correlation g, CorrelationTile t, bool vectors, const float* __restrict__ in,
                   const float* __restrict__ weights, const float* __restrict__ bias,
                   float* __restrict__ out) {
  DynamicShared dynamic;
  const Shared<float> memory = dynamic.take<float>("tiles", t.shared_floats(taps, channels));
  const Shared<float> in_tile = memory, weight_tile = memory + t.in.floats();
  const int column = thread_index() % t.columns, row = thread_index() / t.columns % t.rows;
  const int image = thread_index() / t.pixels() % t.images;
  const int group = thread_index() / (t.pixels() * t.images) % t.groups;
  const int split = thread_index() / t.lanes();
  const Planes images{in, g.batch, g.in_channels, g.in_height, g.in_width};
  const int in_first = t.in.at(0, image, row * kRows * stride) + column * kColumns * stride;
  for (std::int64_t index = block_index(); index < t.units(); index += grid_size()) {
    const Unit unit = unit_of(g, t, taps, channels, index);
    float sums[kRows][channels][kColumns] = {};
    for (int first = 0; first < g.in_channels; first += t.chunk()) {
      block_sync();  // before the tiles are overwritten
      stage(images,
            {unit.image, first, unit.row * kRows * stride + unit.vertical.origin,
             unit.column * kColumns * stride + unit.horizontal.origin},
            t.in, in_tile);
      stage_weights<taps>(g, t, unit, first, weights, weight_tile);
      copies_wait();
      block_sync();
      if (split >= t.splits) continue;
      SIMT_ROLL  // unrolled, it fills all registers that the block may have
          for (int c = split; c < t.chunk(); c += t.splits) multiply<taps, stride>(
              in_tile + (t.in.at(c, 0, 0) + in_first), t.in.pitch(),
              weight_tile + (c * taps * taps * t.weight_pitch + group * channels), t.weight_pitch, sums);
    }
    if constexpr (most_splits(channels) > 1)
      for (int other = 1; other < t.splits; ++other)
        add_sums(split == other, split == 0, t.lanes(), memory, sums);
    const int n = unit.image + image;
    if (split > 0 || n >= g.batch) continue;
    const int i = (unit.row + row) * kRows, j = (unit.column + column) * kColumns;
    SIMT_UNROLL
    for (int o = 0; o < channels; ++o) {
      const int channel = unit.channel + group * channels + o;
      if (channel >= g.out_channels) break;
      const float added = bias != nullptr ? bias[channel] : 0.0f;
      float* plane =
          out + (static_cast<std::int64_t>(n) * g.out_channels + channel) * (g.out_height * g.out_width);
      SIMT_UNROLL
      for (int q = 0; q < kRows; ++q) {
        const int y = (i + q) * g.step + unit.phase_i;
        if (y >= g.out_height) break;
        Vec<float> four;
        SIMT_UNROLL
        for (int p = 0; p < kColumns; ++p) four.lane[p] = sums[q][o][p] + added;
        if (vectors) {
          store_vec(plane + y * g.out_width + j, four);
        } else {
          SIMT_UNROLL
          for (int p = 0; p < kColumns; ++p) {
            const int x = (j + p) * g.step + unit.phase_j;
            if (x < g.out_width) plane[y * g.out_width + x] = four.lane[p];
          }
        }
      }
    }
  }
}

template <int taps, int stride, int channels>
void launch_correlation(const char* name, const Correlation& g, const float* in, const float* weights,
                        const float* bias, float* out, const Stream& stream) {
  const CorrelationTile t = tile_of(g, taps, stride, channels);
  launch(correlation_kernel<taps, stride, channels>,
         {.name = name,
          .grid = strided_grid(t.units(), 1, Tuning::kBlocksPerSm, stream),
          .block = round_up(t.threads(), kWarpSize),
          .shared_bytes = carved_bytes<float>(t.shared_floats(taps, channels))},
         stream, g, t, g.step == 1 && g.out_width % kColumns == 0 && is_aligned(out), in, weights, bias, out);
}

/// With few channels per thread where many would leave threads or channels idle.
template <int taps, int stride>
void choose_channels(const char* name, const Correlation& g, const float* in, const float* weights,
                     const float* bias, float* out, const Stream& stream) {
  constexpr int kFew = Tuning::kFewChannels, kMany = Tuning::kManyChannels;
  const std::int64_t threads = static_cast<std::int64_t>(g.batch) * parts_of(g.out_height, kRows) *
                               parts_of(g.out_width, kColumns) * parts_of(g.out_channels, kMany);
  // With stride 2 the lanes read every other vector, two of each bank: that costs more than idle threads.
  const bool few = (stride == 1 && threads < Tuning::kManyThreads) ||
                   9 * round_up(g.out_channels, kFew) < 8 * round_up(g.out_channels, kMany);
  (few ? launch_correlation<taps, stride, kFew>
       : launch_correlation<taps, stride, kMany>)(name, g, in, weights, bias, out, stream);
}

template <int stride>
void choose_taps(const char* name, const Correlation& g, const float* in, const float* weights,
                 const float* bias, float* out, const Stream& stream) {
  const auto call = [&](auto launcher) { launcher(name, g, in, weights, bias, out, stream); };
  switch (parts_of(g.kernel, g.step)) {
    case 1:
      return call(choose_channels<1, stride>);
    case 3:
      return call(choose_channels<3, stride>);
    case 5:
      return call(choose_channels<5, stride>);
    case 7:
      return call(choose_channels<7, stride>);
    default:
      break;
  }
  if constexpr (stride == 1)  // a phase of 3 x 3, of 7 x 7
    g.kernel == 3 ? call(choose_channels<2, 1>) : call(choose_channels<4, 1>);
}

}  // namespace

void convolution_forward(const ConvolutionShape& shape, const float* x, const float* w, const float* bias,
                         float* y, const Stream& stream) {
  constexpr const char* kName = "convolution_forward";
  require_direct_convolution(shape, kName);
  if (shape.batch == 0) return;
  const Correlation g = forward_correlation(shape);
  (shape.stride == 1 ? choose_taps<1> : choose_taps<2>)(kName, g, x, w, bias, y, stream);
}

void convolution_backward_input(const ConvolutionShape& shape, const float* dy, const float* w, float* dx,
                                const Stream& stream) {
  constexpr const char* kName = "convolution_backward_input";
  require_direct_convolution(shape, kName);
  if (shape.batch == 0) return;
  choose_taps<1>(kName, input_gradient_correlation(shape), dy, w, nullptr, dx, stream);
}

}  // namespace bntrain::kernels
