// What the forward pass and the input's gradient have in common, and how the work is divided. With `taps` x
// `taps` weights and the kernel's stride, 1 or 2:
//
//   out[n, o, i * step + a, j * step + b] =
//       bias[o] + sum over c, r, s of in[n, c, i * stride + r + origin(a), j * stride + s + origin(b)]
//                                     * weight(o, c, tap(r; a), tap(s; b))
//
// Forward: step = 1, origin = -padding, tap(r) = r. The input's gradient of a convolution with stride D reads
// dy with stride 1 and step = D: the pixels a + D * i of dx, one of D phases, meet every D-th weight,
// backwards:
//   e = (a + padding) % D;  taps = ceil(kernel / D);  tap(r) = e + D * (taps - 1 - r), 0 beyond the kernel
//   origin = (a + padding - e) / D - (taps - 1)
#pragma once

#include <algorithm>
#include <utility>

#include "kernels/convolution/convolution.hpp"
#include "kernels/convolution/staging.cuh"

namespace bntrain::kernels {

struct CorrelationTuning {
  static constexpr int kRows = 2, kColumns = 4;              ///< output pixels of a thread
  static constexpr int kFewChannels = 4, kManyChannels = 8;  ///< its output channels
  static constexpr int kMostThreads = 256;
  // Threads along an image, so that a plane of the input fits into shared memory.
  static constexpr int kMostPixels = 96, kMostColumns = 8, kMostRows = 16;
  static constexpr int kBlocksPerSm = 16;
  /// From so many threads on they take kManyChannels, which reads less of shared memory for each
  /// multiply-add. Fewer threads could not hide its latency; they share their sums until there are so many.
  static constexpr std::int64_t kManyThreads = 64 * 1024;
  /// Blocks take several small images only while there are so many of them: two for each multiprocessor.
  static constexpr std::int64_t kBlocks = 264;
};

struct Axis {
  int origin, first_tap, tap_step;
};

struct Correlation {
  int batch, in_channels, in_height, in_width, out_channels, out_height, out_width;
  int kernel, padding, step;
  bool transposed;  ///< w is [in_channels, out_channels, kernel, kernel], and read backwards

  SIMT_HOST_DEVICE Axis axis(int taps, int phase) const {
    if (!transposed) return {-padding, 0, 1};
    const int offset = (phase + padding) % step;
    return {(phase + padding - offset) / step - (taps - 1), offset + step * (taps - 1), -step};
  }
};

/// The sizes of a shape that has_direct_convolution(), in int.
inline Correlation forward_correlation(const ConvolutionShape& s) {
  const auto narrow = [](std::int64_t size) { return static_cast<int>(size); };
  return {.batch = narrow(s.batch),
          .in_channels = narrow(s.in_channels),
          .in_height = narrow(s.height),
          .in_width = narrow(s.width),
          .out_channels = narrow(s.out_channels),
          .out_height = narrow(s.out_height()),
          .out_width = narrow(s.out_width()),
          .kernel = narrow(s.kernel),
          .padding = narrow(s.padding),
          .step = 1,
          .transposed = false};
}

inline Correlation input_gradient_correlation(const ConvolutionShape& s) {
  Correlation g = forward_correlation(s);
  std::swap(g.in_channels, g.out_channels);
  std::swap(g.in_height, g.out_height);
  std::swap(g.in_width, g.out_width);
  g.step = static_cast<int>(s.stride);
  g.transposed = true;
  return g;
}

/// Resident blocks per multiprocessor that registers must allow: two, so that one stages while the other
/// multiplies, but where 128 registers are too few.
SIMT_HOST_DEVICE constexpr int least_blocks(int taps, int stride) {
  return stride == 2 && taps >= 5 ? 1 : 2;
}

/// Threads that share their sums. Handing on the sums of many channels takes more registers than there are.
SIMT_HOST_DEVICE constexpr int most_splits(int channels) {
  return channels == CorrelationTuning::kFewChannels ? 4 : 1;
}

/// What a thread reads of a row, in vectors: floats.
SIMT_HOST_DEVICE constexpr int row_floats(int taps, int stride) {
  return round_up((CorrelationTuning::kColumns - 1) * stride + taps, 4);
}

/// A block computes `images` x (`rows` x `columns`) thread tiles x `groups` of channels, and has `splits`
/// threads for each, which take every splits-th input channel. It stages some of these at a time, and
/// weights[chunk][taps * taps][weight_pitch].
struct CorrelationTile {
  int columns, rows, images, groups, splits;
  int tiles_j, tiles_i, tiles_n, tiles_o, phases;
  int weight_pitch;
  PlaneTile in;

  SIMT_HOST_DEVICE int chunk() const { return in.channels(); }
  SIMT_HOST_DEVICE int pixels() const { return columns * rows; }
  SIMT_HOST_DEVICE int lanes() const { return pixels() * images * groups; }
  SIMT_HOST_DEVICE int threads() const { return lanes() * splits; }
  /// channels: of a thread.
  SIMT_HOST_DEVICE int shared_floats(int taps, int channels) const {
    const int staged = in.floats() + chunk() * taps * taps * weight_pitch;
    const int sums =
        splits > 1 ? lanes() * CorrelationTuning::kRows * CorrelationTuning::kColumns * channels : 0;
    return staged > sums ? staged : sums;
  }
  SIMT_HOST_DEVICE std::int64_t units() const {
    return static_cast<std::int64_t>(tiles_n) * tiles_i * tiles_j * tiles_o * phases * phases;
  }
};

/// channels: of a thread. No size of g is 0.
inline CorrelationTile tile_of(const Correlation& g, int taps, int stride, int channels) {
  using Tuning = CorrelationTuning;
  const int all_columns = parts_of(parts_of(g.out_width, g.step), Tuning::kColumns);
  const int tiles_j = parts_of(all_columns, Tuning::kMostColumns);
  const int columns = parts_of(all_columns, tiles_j);
  const int all_rows = parts_of(parts_of(g.out_height, g.step), Tuning::kRows);
  const int tiles_i = parts_of(all_rows, std::min(Tuning::kMostPixels / columns, Tuning::kMostRows));
  const int rows = parts_of(all_rows, tiles_i);
  const int pixels = rows * columns;
  // A plane of the input and the weights of one input channel take at most half of the shared memory each.
  const int all_groups = parts_of(g.out_channels, channels);
  const int tiles_o = parts_of(
      all_groups, std::min(Tuning::kMostThreads / pixels, kSharedFloats / 2 / (taps * taps * channels) - 1));
  const int groups = parts_of(all_groups, tiles_o);

  const int in_rows = (Tuning::kRows * rows - 1) * stride + taps;
  const int column_floats = Tuning::kColumns * stride;
  const int pitch = best_pitch((columns - 1) * column_floats + row_floats(taps, stride), [&](int candidate) {
    return wavefronts([&](int lane) {
      return lane % pixels / columns * Tuning::kRows * stride * candidate + lane % columns * column_floats;
    });
  });
  // Four more than a multiple of 8: the lanes that stage four channels of eight taps use different banks.
  const int weight_pitch = round_up(groups * channels - 4, 8) + 4;

  const int plane = in_rows * pitch + 4, weights = taps * taps * weight_pitch;
  const std::int64_t blocks =
      static_cast<std::int64_t>(g.batch) * tiles_i * tiles_j * tiles_o * g.step * g.step;
  const int fitting = std::min(Tuning::kMostThreads / (pixels * groups), (kSharedFloats - weights) / plane);
  const int images = static_cast<int>(std::clamp<std::int64_t>(blocks / Tuning::kBlocks, 1, fitting));
  const int chunks = parts_of(g.in_channels, kSharedFloats / (images * plane + weights));
  const int chunk = parts_of(g.in_channels, chunks), lanes = pixels * groups * images;
  const std::int64_t threads = blocks / images * lanes;
  const int splits = static_cast<int>(
      std::clamp<std::int64_t>(Tuning::kManyThreads / threads, 1,
                               std::min({Tuning::kMostThreads / lanes, most_splits(channels), chunk})));
  return {.columns = columns,
          .rows = rows,
          .images = images,
          .groups = groups,
          .splits = splits,
          .tiles_j = tiles_j,
          .tiles_i = tiles_i,
          .tiles_n = parts_of(g.batch, images),
          .tiles_o = tiles_o,
          .phases = g.step,
          .weight_pitch = weight_pitch,
          .in = PlaneTile(chunk, images, in_rows, pitch)};
}

}  // namespace bntrain::kernels
