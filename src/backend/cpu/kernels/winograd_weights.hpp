// Winograd's gradient of the weights: winograd_tiles.hpp has the formula.
//
// For each point a product of output gradients (channel, image) with inputs (image, channel), summed over
// tiles and images. The inputs are transposed, so that a vector holds channels: no sums over lanes. Every run
// of tiles has a sum of its own, which is then added to the slice's: four times more exact than one long sum.
#pragma once

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/conv_bias.hpp"
#include "backend/cpu/kernels/transpose.hpp"
#include "backend/cpu/kernels/winograd_tiles.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::winograd {

constexpr std::int64_t kTerms = std::int64_t{kVectors} * kLanes;  // of a sum: the images of a run of tiles

/// Sizes of the operands, channels rounded up to whole vectors and register tiles.
struct WeightOperands {
  std::int64_t in_vectors, in_row, out_channels;
  std::int64_t input_point, gradient_point, sum_point;  ///< floats from one point to the next

  explicit BNTRAIN_METHOD WeightOperands(const ConvShape& s)
      : in_vectors(ceil_div(s.in_channels, kLanes)),
        in_row(in_vectors * kLanes),
        out_channels(ceil_div(s.out_channels, kChannels) * kChannels),
        input_point(kTerms * in_row + kSkew),
        gradient_point(out_channels * kTerms + kSkew),
        sum_point(out_channels * in_row) {}
};

template <class Tile>
static std::int64_t weight_scratch_floats(const ConvShape& s) {
  const WeightOperands w(s);
  return Tile::kPoints * (w.input_point + w.gradient_point) + std::int64_t{Tile::kPoints} * kLanes * kLanes;
}

template <class Tile>
static std::int64_t partial_floats(const ConvShape& s) {
  return Tile::kPoints * WeightOperands(s).sum_point;
}

/// sums[o][channel] += sum over `terms` of gradients[o][term] * inputs[term][channel]
template <int Vectors>
static void weight_product(std::int64_t terms, std::int64_t in_row, const float* gradients,
                           const float* inputs, float* sums) {
  Vec sum[kChannels][Vectors] = {};
  for (std::int64_t i = 0; i < terms; ++i, inputs += in_row) {
    Vec v[Vectors];
#pragma GCC unroll 4
    for (int c = 0; c < Vectors; ++c) v[c] = load(inputs + c * kLanes);
#pragma GCC unroll 8
    for (int o = 0; o < kChannels; ++o) {
      const Vec gradient = splat(gradients[o * kTerms + i]);
#pragma GCC unroll 4
      for (int c = 0; c < Vectors; ++c) sum[o][c] += gradient * v[c];
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < kChannels; ++o)
#pragma GCC unroll 4
    for (int c = 0; c < Vectors; ++c) {
      float* p = sums + o * in_row + c * kLanes;
      store(p, load(p) + sum[o][c]);
    }
}

/// inputs[point][tile, image][channel]; `block` has room for kPoints * kLanes vectors.
template <class Tile>
static void transpose_inputs(const ConvShape& s, const WeightOperands& w, const float* in, std::int64_t y,
                             std::int64_t x, std::int64_t tiles, float* block, float* inputs) {
  for (std::int64_t first = 0; first < s.in_channels; first += kLanes)
    for (std::int64_t t = 0; t < tiles; ++t) {
      const std::int64_t channels = s.in_channels - first < kLanes ? s.in_channels - first : kLanes;
      for (std::int64_t c = 0; c < channels; ++c) {
        Vec v[Tile::kPoints];
        transform_input<Tile>(s, in, first + c, y, x + Tile::kOut * t, v);
#pragma GCC unroll 36
        for (int f = 0; f < Tile::kPoints; ++f) store(block + (f * kLanes + c) * kLanes, v[f]);
      }
      for (int f = 0; f < Tile::kPoints; ++f)
        transpose(block + f * kLanes * kLanes, channels,
                  inputs + f * w.input_point + t * kLanes * w.in_row + first, w.in_row);
    }
}

/// gradients[point][channel][tile, image]
template <class Tile>
static void transform_gradients(const ConvShape& s, const WeightOperands& w, const float* dout,
                                const GradientLayout& layout, std::int64_t y, std::int64_t x,
                                std::int64_t tiles, float* gradients) {
  for (std::int64_t o = 0; o < s.out_channels; ++o)
    for (std::int64_t t = 0; t < tiles; ++t) {
      const std::int64_t column = x + Tile::kOut * t;
      const TileSource dy{dout + (layout.origin + o * layout.channel + y * layout.row + column) * kLanes,
                          layout.row * kLanes, s.out_height - y, s.out_width - column};
      Vec m[Tile::kPoints];
      transform_output_gradient<Tile>(dy, m);
#pragma GCC unroll 36
      for (int f = 0; f < Tile::kPoints; ++f)
        store(gradients + f * w.gradient_point + o * kTerms + t * kLanes, m[f]);
    }
}

template <class Tile>
static void backward_weights(const ConvShape& s, const ChannelRange&, const float* in, const float* dout,
                             const GradientLayout& layout, float* partial, float* dbias, float* scratch) {
  static constexpr decltype(&weight_product<1>) products[] = {nullptr, weight_product<1>, weight_product<2>,
                                                              weight_product<3>, weight_product<kVectors>};
  const WeightOperands w(s);
  const TileRuns<Tile> runs(s.out_width);
  float* inputs = scratch;
  float* gradients = inputs + Tile::kPoints * w.input_point;
  float* block = gradients + Tile::kPoints * w.gradient_point;
  const std::int64_t panels = ceil_div(w.in_vectors, kVectors);
  for (std::int64_t y = 0; y < s.out_height; y += Tile::kOut)
    for (std::int64_t run = 0; run < runs.count; ++run) {
      const std::int64_t x = Tile::kOut * runs.first(run), tiles = runs.length(run);
      transpose_inputs<Tile>(s, w, in, y, x, tiles, block, inputs);
      transform_gradients<Tile>(s, w, dout, layout, y, x, tiles, gradients);
      for (int f = 0; f < Tile::kPoints; ++f)
        for (std::int64_t panel = 0; panel < panels; ++panel) {
          const std::int64_t first = w.in_vectors * panel / panels,
                             last = w.in_vectors * (panel + 1) / panels;
          for (std::int64_t o = 0; o < w.out_channels; o += kChannels)
            products[last - first](tiles * kLanes, w.in_row, gradients + f * w.gradient_point + o * kTerms,
                                   inputs + f * w.input_point + first * kLanes,
                                   partial + f * w.sum_point + o * w.in_row + first * kLanes);
        }
    }
  if (dbias != nullptr) add_bias_gradient(s, dout, layout, dbias);
}

template <class Tile>
static void merge(const ConvShape& s, const float* partials, std::int64_t count, std::int64_t stride,
                  std::int64_t first, std::int64_t last, float* dweights) {
  const WeightOperands w(s);
  for (std::int64_t o = first; o < last; ++o)
    for (std::int64_t c = 0; c < s.in_channels; c += kLanes) {
      Vec sum[Tile::kPoints], dg[9];
      for (int f = 0; f < Tile::kPoints; ++f) {
        const float* p = partials + f * w.sum_point + o * w.in_row + c;
        sum[f] = load(p);
        for (std::int64_t slice = 1; slice < count; ++slice) sum[f] += load(p + slice * stride);
      }
      transform_tile<3, Tile::kIn>([](const auto& from, auto& to) { Tile::weight_gradient(from, to); },
                                   [&](int y, int x) { return sum[Tile::kIn * y + x]; }, dg);
      for (std::int64_t i = 0; i < kLanes && c + i < s.in_channels; ++i)
        for (int tap = 0; tap < 9; ++tap) dweights[(o * s.in_channels + c + i) * 9 + tap] = dg[tap][i];
    }
}

}  // namespace bntrain::cpu::BNTRAIN_ISA::winograd
