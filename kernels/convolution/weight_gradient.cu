// The gradient of a convolution's weights.
//
// Maths, division of the sum: weight_gradient.hpp. A block stages a tile of x and of dy in shared memory; a
// thread keeps all kernel x kernel sums of 2 to 8 output channels and one input channel in registers. At each
// step it reads 2 x 4 pixels of dy of its channels and, one after the other, the rows of x that they meet: 4
// * kernel^2 multiply-adds a channel for each two vectors. Adjacent lanes read the same pixels of x for
// different channels. At the end the block adds the sums of the threads that share channels, and a second
// launch those of the parts. Bytes moved: 4 * (x * tiles_o + dy * tiles_c) and twice the parts' sums.
#include "kernels/convolution/weight_gradient.hpp"

#include "kernels/kernels.hpp"
#include "kernels/linear/sum_parts.hpp"
#include "kernels/simt/launch.hpp"

namespace bntrain::kernels {
namespace {

using namespace simt;
using Tuning = WeightGradientTuning;

constexpr int kRows = Tuning::kRows, kColumns = Tuning::kColumns;
constexpr int kBlock = (Tuning::kMostThreads + kWarpSize - 1) / kWarpSize * kWarpSize;

/// Adds the products of an item of dy. x, dy: its first row in the thread's first channel; dy_plane: floats
/// from one of its channels to the next.
template <int kernel, int stride, int channels>
SIMT_DEVICE void multiply(Shared<float> x, int x_pitch, Shared<float> dy, int dy_pitch, int dy_plane,
                          float (&sums)[channels][kernel][kernel]) {
  float gradient[channels][kRows][kColumns];
  SIMT_UNROLL
  for (int o = 0; o < channels; ++o) SIMT_UNROLL
  for (int q = 0; q < kRows; ++q) read(dy + (o * dy_plane + q * dy_pitch), gradient[o][q]);
  SIMT_UNROLL
  for (int line = 0; line < (kRows - 1) * stride + kernel; ++line) {
    float row[x_row_floats(kernel, stride)];
    read(x + line * x_pitch, row);
    SIMT_UNROLL
    for (int q = 0; q < kRows; ++q) {
      const int r = line - q * stride;
      if (r < 0 || r >= kernel) continue;
      SIMT_UNROLL
      for (int o = 0; o < channels; ++o) SIMT_UNROLL
      for (int s = 0; s < kernel; ++s) SIMT_UNROLL
      for (int p = 0; p < kColumns; ++p) sums[o][r][s] += gradient[o][q][p] * row[p * stride + s];
    }
  }
}

/// out: [parts, out_channels, in_channels, kernel, kernel].
template <int kernel, int stride>
SIMT_KERNEL(kBlock, kernel < 7 ? 2 : 1)
weight_gradient_kernel(WeightGradientTile t, Planes x, Planes dy, int padding, float* __restrict__ out) {
  constexpr int channels = Tuning::channels(kernel);
  DynamicShared dynamic;
  const Shared<float> memory = dynamic.take<float>("tiles", t.shared_floats(kernel));
  const Shared<float> x_tile = memory, dy_tile = memory + t.x.floats();
  const int group = thread_index() % t.groups, in = thread_index() / t.groups % t.ins;
  const int split = thread_index() / t.lanes();
  for (std::int64_t unit = block_index(); unit < t.units(); unit += grid_size()) {
    const std::int64_t rest = unit / t.tiles_o, part = rest / t.tiles_c;
    const int first_out = static_cast<int>(unit - rest * t.tiles_o) * t.groups * channels;
    const int first_in = static_cast<int>(rest - part * t.tiles_c) * t.ins;
    float sums[channels][kernel][kernel] = {};
    for (std::int64_t tile = part * t.part_tiles; tile < (part + 1) * t.part_tiles && tile < t.tiles();
         ++tile) {
      const std::int64_t above = tile / t.tiles_j;
      const int n = static_cast<int>(above / t.tiles_i) * t.images;
      const int i = static_cast<int>(above % t.tiles_i) * t.rows * kRows;
      const int j = static_cast<int>(tile - above * t.tiles_j) * t.columns * kColumns;
      block_sync();  // before the tiles are overwritten
      stage(x, {n, first_in, i * stride - padding, j * stride - padding}, t.x, x_tile);
      stage(dy, {n, first_out, i, j}, t.dy, dy_tile);
      copies_wait();
      block_sync();
      if (split >= t.splits) continue;
      SIMT_ROLL
      for (int item = split; item < t.items(); item += t.splits) {
        const int line = t.by_columns.quotient(item), column = t.by_columns.remainder(item, line);
        const int image = t.by_rows.quotient(line), row = t.by_rows.remainder(line, image) * kRows;
        multiply<kernel, stride>(x_tile + (t.x.at(in, image, row * stride) + column * kColumns * stride),
                                 t.x.pitch(), dy_tile + (t.dy.at(group, image, row) + column * kColumns),
                                 t.dy.pitch(), t.dy.at(t.groups, 0, 0), sums);
      }
    }
    float* to = out + part * dy.channels * x.channels * (kernel * kernel);
    SIMT_UNROLL
    for (int o = 0; o < channels; ++o) {
      block_sync();  // before the tiles, and the channel before, are overwritten
      if (split < t.splits) {
        SIMT_UNROLL
        for (int tap = 0; tap < kernel * kernel; ++tap)
          memory[tap * t.threads() + thread_index()] = sums[o][tap / kernel][tap % kernel];
      }
      block_sync();
      for (int k = thread_index(); k < t.lanes() * kernel * kernel; k += block_size()) {
        const int tap = k / t.lanes(), lane = k - tap * t.lanes();
        const int channel = first_out + lane % t.groups + o * t.groups, from = first_in + lane / t.groups;
        float sum = 0;
        for (int other = 0; other < t.splits; ++other) {
          const float value = memory[tap * t.threads() + other * t.lanes() + lane];
          sum += value;
        }
        if (channel < dy.channels && from < x.channels)
          to[(static_cast<std::int64_t>(channel) * x.channels + from) * (kernel * kernel) + tap] = sum;
      }
    }
  }
}

template <int kernel>
void launch_kernel(const char* name, int stride, const WeightGradientTile& t, const Planes& x,
                   const Planes& dy, int padding, float* out, const Stream& stream) {
  launch(stride == 1 ? weight_gradient_kernel<kernel, 1> : weight_gradient_kernel<kernel, 2>,
         {.name = name,
          .grid = strided_grid(t.units(), 1, Tuning::kBlocksPerSm, stream),
          .block = round_up(t.threads(), kWarpSize),
          .shared_bytes = carved_bytes<float>(t.shared_floats(kernel))},
         stream, t, x, dy, padding, out);
}

std::int64_t weights_of(const ConvolutionShape& s) {
  return s.out_channels * s.in_channels * s.kernel * s.kernel;
}

}  // namespace

std::int64_t convolution_backward_weights_workspace(const ConvolutionShape& shape) {
  require_direct_convolution(shape, "convolution_backward_weights_workspace");
  const std::int64_t parts = shape.batch == 0 ? 0 : tile_of(shape).parts;
  return parts < 2 ? 0 : parts * weights_of(shape) * static_cast<std::int64_t>(sizeof(float));
}

void convolution_backward_weights(const ConvolutionShape& shape, const float* x, const float* dy, float* dw,
                                  void* workspace, const Stream& stream) {
  constexpr const char* kName = "convolution_backward_weights";
  require_direct_convolution(shape, kName);
  PartialSums sums{.size = weights_of(shape), .out = dw, .out_size = weights_of(shape)};
  if (shape.batch == 0) return sum_parts(kName, sums, stream);
  const WeightGradientTile t = tile_of(shape);
  auto* partial = static_cast<float*>(workspace);
  require(t.parts == 1 || (partial != nullptr && is_aligned(partial)), kName,
          "the workspace is null or not 16-byte aligned");
  const auto planes = [&](const float* data, std::int64_t channels, std::int64_t height, std::int64_t width) {
    return Planes{data, static_cast<int>(shape.batch), static_cast<int>(channels), static_cast<int>(height),
                  static_cast<int>(width)};
  };
  const auto run = [&](auto launcher) {
    launcher(kName, static_cast<int>(shape.stride), t,
             planes(x, shape.in_channels, shape.height, shape.width),
             planes(dy, shape.out_channels, shape.out_height(), shape.out_width()),
             static_cast<int>(shape.padding), t.parts == 1 ? dw : partial, stream);
  };
  switch (shape.kernel) {
    case 1:
      run(launch_kernel<1>);
      break;
    case 3:
      run(launch_kernel<3>);
      break;
    case 5:
      run(launch_kernel<5>);
      break;
    default:
      run(launch_kernel<7>);
  }
  if (t.parts == 1) return;
  sums.partial = partial;
  sums.parts = t.parts;
  sum_parts(kName, sums, stream);
}

}  // namespace bntrain::kernels
