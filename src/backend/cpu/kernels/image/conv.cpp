// The forward pass and the gradient of the input, see conv.hpp.
#include "backend/cpu/kernels/image/conv.hpp"

#include <string.h>

#include "backend/cpu/kernels/image/entry_points.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::image {
namespace conv {

// The register tile: kRows x kColumns sums, kColumns vectors and a broadcast, of 32 or 16 registers.
#if defined(__AVX512F__)
constexpr int kRows = 4, kColumns = 6;
#elif defined(__AVX2__)
constexpr int kRows = 4, kColumns = 3;
#else
constexpr int kRows = 4, kColumns = 2;
#endif

constexpr std::int64_t kPanelPixels = kColumns * kLanes;
constexpr std::int64_t kTerms = 256;  // of a product in one go: a panel of them stays in the cache

/// A block of the left matrix: element (row, term) at values[row * row_stride + term * term_stride].
struct Left {
  const float* values;
  std::int64_t row_stride, term_stride, terms;
};

/// sum[row][pixel] = sum over terms of left[row][term] * panel[term][pixel], for `rows` rows from the first,
/// the others repeat it.
template <int Columns>
BNTRAIN_INLINE void product(const Left& left, std::int64_t rows, const float* panel,
                            Vec (&sum)[kRows][Columns]) {
  const float* row[kRows];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) row[r] = left.values + (r < rows ? r * left.row_stride : 0);
  for (std::int64_t t = 0; t < left.terms; ++t, panel += Columns * kLanes) {
    Vec v[Columns];
#pragma GCC unroll 8
    for (int c = 0; c < Columns; ++c) v[c] = load(panel + c * kLanes);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const Vec weight = splat(*row[r]);
      row[r] += left.term_stride;
#pragma GCC unroll 8
      for (int c = 0; c < Columns; ++c) sum[r][c] += weight * v[c];
    }
  }
}

/// The panels of `pixels` pixels, of nearly equal numbers of vectors: calls use(Pixels, vectors).
template <class Use>
BNTRAIN_INLINE void for_each_panel(const ConvShape& s, const Use& use) {
  const std::int64_t pixels = s.out_height * s.out_width, vectors = (pixels + kLanes - 1) / kLanes,
                     panels = (vectors + kColumns - 1) / kColumns;
  for (std::int64_t p = 0; p < panels; ++p) {
    const std::int64_t first = vectors * p / panels, last = vectors * (p + 1) / panels;
    use(Pixels(s, first * kLanes, least(last * kLanes, pixels)), last - first);
  }
}

/// out[row][pixel] (+)= the product (+ bias).
template <int Columns>
static void forward_tile(const Left& left, std::int64_t rows, const float* panel, const float* bias, bool add,
                         std::int64_t pixels, float* out, std::int64_t out_row) {
  Vec sum[kRows][Columns] = {};
  product<Columns>(left, rows, panel, sum);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    if (r == rows) return;
    const Vec b = splat(bias != nullptr ? bias[r] : 0.0f);
#pragma GCC unroll 8
    for (int c = 0; c < Columns; ++c) {
      float* to = out + r * out_row + c * kLanes;
      const std::int64_t count = least(pixels - c * kLanes, kLanes);
      store_first(to, sum[r][c] + (add ? load_first(to, count) : b), count);
    }
  }
}

/// sums[row][pixel] = the product.
template <int Columns>
static void gradient_tile(const Left& left, std::int64_t rows, const float* panel, float* sums) {
  Vec sum[kRows][Columns] = {};
  product<Columns>(left, rows, panel, sum);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < Columns; ++c) store(sums + (r * Columns + c) * kLanes, sum[r][c]);
}

#if defined(__AVX512F__)
#define BNTRAIN_BY_COLUMNS(tile) \
  { nullptr, tile<1>, tile<2>, tile<3>, tile<4>, tile<5>, tile<6> }
#elif defined(__AVX2__)
#define BNTRAIN_BY_COLUMNS(tile) \
  { nullptr, tile<1>, tile<2>, tile<3> }
#else
#define BNTRAIN_BY_COLUMNS(tile) \
  { nullptr, tile<1>, tile<2> }
#endif

static std::int64_t packed_floats(const ConvShape& s) {
  return s.out_channels * s.in_channels * s.kernel * s.kernel;
}

static void pack(const ConvShape& s, const float* weights, float* packed) {
  memcpy(packed, weights, static_cast<std::size_t>(packed_floats(s)) * sizeof(float));
}

static GradientLayout gradient_layout(const ConvShape& s, std::int64_t /*padding*/, bool /*input_gradient*/) {
  return {s.out_height * s.out_width, s.out_width, 1, 0};
}

static std::int64_t scratch_floats(const ConvShape&) {
  constexpr std::int64_t kPanel = (kTerms + kRows) * kPanelPixels + kLanes;
  return kPanel > weight_scratch_floats() ? kPanel : weight_scratch_floats();
}

static void forward(const ConvShape& s, const ChannelRange& outputs, const float* in, const float* packed,
                    const float* bias, float* out, const ConvEpilogue& epilogue, float* scratch) {
  static constexpr decltype(&forward_tile<1>) tiles[] = BNTRAIN_BY_COLUMNS(forward_tile);
  const std::int64_t plane = s.out_height * s.out_width, taps = s.in_channels * s.kernel * s.kernel;
  for_each_panel(s, [&](const Pixels& pixels, std::int64_t vectors) {
    for (std::int64_t term = 0; term < taps; term += kTerms) {
      const std::int64_t terms = least(kTerms, taps - term);
      for (std::int64_t t = 0; t < terms; ++t)
        copy_inputs(s, in, term + t, pixels, scratch + t * vectors * kLanes);
      for (std::int64_t o = outputs.first; o < outputs.last; o += kRows)
        tiles[vectors]({packed + o * taps + term, taps, 1, terms}, least(kRows, outputs.last - o), scratch,
                       bias != nullptr ? bias + o : nullptr, term > 0, pixels.last - pixels.first,
                       out + o * plane + pixels.first, plane);
    }
  });
  if (epilogue.block == nullptr) return;
  const BlockShape& b = *epilogue.block;
  BlockShape range = b;
  range.channels = outputs.last - outputs.first;
  block_reduce(range, out + outputs.first * plane,
               epilogue.gamma != nullptr ? epilogue.gamma + outputs.first : nullptr, epilogue.valid,
               epilogue.moments != nullptr ? epilogue.moments + outputs.first : nullptr,
               epilogue.pooled + outputs.first * b.out_height * b.out_width);
}

/// din += the gradients of the inputs under this tap.
static void add_gradients(const ConvShape& s, std::int64_t padding, std::int64_t tap, const Pixels& p,
                          const float* gradients, float* din) {
  const std::int64_t area = s.kernel * s.kernel, height = s.in_height - 2 * padding,
                     width = s.in_width - 2 * padding;
  const std::int64_t top = tap % area / s.kernel - padding, left = tap % s.kernel - padding;
  float* plane = din + tap / area * height * width;
  for_each_row(s, p, [&](std::int64_t i, std::int64_t y, std::int64_t x, std::int64_t count) {
    const std::int64_t row = y * s.stride + top;
    if (row < 0 || row >= height) return;
    float* to = plane + row * width;
    if (s.stride == 1) {
      const std::int64_t first = x + left < 0 ? -left - x : 0, last = least(count, width - left - x);
      for_each_vector(last - first, [&](std::int64_t j, std::int64_t n) {
        float* at = to + x + left + first + j;
        store_first(at, load_first(at, n) + load_first(gradients + i + first + j, n), n);
      });
    } else {
      for (std::int64_t j = 0; j < count; ++j) {
        const std::int64_t column = (x + j) * s.stride + left;
        if (column >= 0 && column < width) to[column] += gradients[i + j];
      }
    }
  });
}

static void backward_input(const ConvShape& s, const ChannelRange& inputs, std::int64_t padding,
                           const float* dout, const GradientLayout& layout, const float* packed, float* din,
                           float* scratch) {
  static constexpr decltype(&gradient_tile<1>) tiles[] = BNTRAIN_BY_COLUMNS(gradient_tile);
  const std::int64_t area = s.kernel * s.kernel,
                     plane = (s.in_height - 2 * padding) * (s.in_width - 2 * padding);
  float* sums = scratch + kTerms * kPanelPixels;
  memset(din + inputs.first * plane, 0,
         static_cast<std::size_t>((inputs.last - inputs.first) * plane) * sizeof(float));
  for_each_panel(s, [&](const Pixels& pixels, std::int64_t vectors) {
    const std::int64_t size = pixels.last - pixels.first;
    for (std::int64_t output = 0; output < s.out_channels; output += kTerms) {
      const std::int64_t terms = least(kTerms, s.out_channels - output);
      for (std::int64_t t = 0; t < terms; ++t)
        for_each_vector(size, [&](std::int64_t i, std::int64_t count) {
          store(scratch + t * vectors * kLanes + i,
                load_first(dout + (output + t) * layout.channel + pixels.first + i, count));
        });
      for (std::int64_t tap = inputs.first * area; tap < inputs.last * area; tap += kRows) {
        const std::int64_t rows = least(kRows, inputs.last * area - tap);
        tiles[vectors]({packed + output * s.in_channels * area + tap, 1, s.in_channels * area, terms}, rows,
                       scratch, sums);
        for (std::int64_t r = 0; r < rows; ++r)
          add_gradients(s, padding, tap + r, pixels, sums + r * vectors * kLanes, din);
      }
    }
  });
}

}  // namespace conv

constexpr ConvAlgorithm conv_table{"im2col",
                                   conv::packed_floats,
                                   conv::pack,
                                   conv::packed_floats,
                                   conv::pack,
                                   conv::gradient_layout,
                                   conv::scratch_floats,
                                   conv::forward,
                                   conv::backward_input,
                                   conv::packed_floats,
                                   conv::backward_weights,
                                   direct::merge};

}  // namespace bntrain::cpu::BNTRAIN_ISA::image
