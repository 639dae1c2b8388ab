// Winograd's forward pass and the gradient of the input: winograd_tiles.hpp has the formulas.
//
// A run of a few tiles of all input channels is transformed at once and stays in the second-level cache for
// all output channels. Points are separate products, which read like a fully connected layer: weights are
// broadcast, vectors are tiles.
#pragma once

#include "backend/cpu/kernels.hpp"
#include "backend/cpu/kernels/block_rows.hpp"
#include "backend/cpu/kernels/winograd_tiles.hpp"

namespace bntrain::cpu::BNTRAIN_ISA::winograd {

// Output channels whose products are kept before they are transformed: 48 or 32.
constexpr std::int64_t kBlocks = 8;

template <class Tile>
static std::int64_t packed_points(std::int64_t out_channels, std::int64_t in_channels) {
  return Tile::kPoints * ceil_div(out_channels, kChannels) * kChannels * in_channels;
}

/// packed[point][block][in channel][channel within the block], short blocks filled with zeros. `at(o, c,
/// tap)` is the weight from input channel c to output channel o.
template <class Tile, class At>
static void pack_points(std::int64_t out_channels, std::int64_t in_channels, const At& at, float* packed) {
  const std::int64_t blocks = ceil_div(out_channels, kChannels), block = kChannels * in_channels;
  for (std::int64_t o = 0; o < blocks * kChannels; ++o)
    for (std::int64_t c = 0; c < in_channels; c += kLanes) {
      const std::int64_t channels = in_channels - c < kLanes ? in_channels - c : kLanes;
      Vec g[9] = {}, u[Tile::kPoints];
      if (o < out_channels)
        for (std::int64_t i = 0; i < channels; ++i)
          for (std::int64_t tap = 0; tap < 9; ++tap) g[tap][i] = at(o, c + i, tap);
      transform_tile<Tile::kIn, 3>([](const auto& from, auto& to) { Tile::weights(from, to); },
                                   [&](int y, int x) { return g[3 * y + x]; }, u);
      float* to = packed + o / kChannels * block + c * kChannels + o % kChannels;
      for (int f = 0; f < Tile::kPoints; ++f)
        for (std::int64_t i = 0; i < channels; ++i) to[f * blocks * block + i * kChannels] = u[f][i];
    }
}

template <class Tile>
static std::int64_t packed_floats(const ConvShape& s) {
  return packed_points<Tile>(s.out_channels, s.in_channels);
}

template <class Tile>
static void pack(const ConvShape& s, const float* weights, float* packed) {
  pack_points<Tile>(
      s.out_channels, s.in_channels,
      [&](std::int64_t o, std::int64_t c, std::int64_t tap) {
        return weights[(o * s.in_channels + c) * 9 + tap];
      },
      packed);
}

template <class Tile>
static std::int64_t backward_packed_floats(const ConvShape& s) {
  return packed_points<Tile>(s.in_channels, s.out_channels);
}

template <class Tile>
static void backward_pack(const ConvShape& s, const float* weights, float* packed) {
  pack_points<Tile>(
      s.in_channels, s.out_channels,
      [&](std::int64_t o, std::int64_t c, std::int64_t tap) {
        return weights[(c * s.in_channels + o) * 9 + (8 - tap)];
      },
      packed);
}

static GradientLayout gradient_layout(const ConvShape& s, std::int64_t padding, bool input_gradient) {
  const std::int64_t border = input_gradient ? 2 - padding : 0, row = s.out_width + 2 * border;
  return {(s.out_height + 2 * border) * row, row, 1, border * row + border};
}

/// Where a pass keeps what: inputs[point][channel][tile], products[point][channel][tile], and the moments.
template <class Tile>
struct ForwardScratch {
  std::int64_t input_point, product_point;  ///< floats from one point to the next
  std::int64_t products, moments, size;     ///< floats from the beginning; moments are 128-byte aligned

  explicit BNTRAIN_METHOD ForwardScratch(const ConvShape& s)
      : input_point(s.in_channels * kVectors * kLanes + kSkew),
        product_point(kBlocks * kChannels * kVectors * kLanes + kSkew),
        products(Tile::kPoints * input_point),
        moments((products + Tile::kPoints * product_point + 31) / 32 * 32),
        size(moments + s.out_channels * static_cast<std::int64_t>(sizeof(LaneMoments) / sizeof(float))) {}
};

/// The layer whose forward pass is the gradient of the input of `s`.
static ConvShape backward_shape(const ConvShape& s, std::int64_t padding) {
  const std::int64_t border = 2 * (2 - padding);
  return {s.out_channels,
          s.out_height + border,
          s.out_width + border,
          s.in_channels,
          s.in_height - 2 * padding,
          s.in_width - 2 * padding,
          3,
          1};
}

/// products[o][tile] = sum over c of weights[c][o] * inputs[c][tile]
template <int Tiles>
static void product(std::int64_t in_channels, const float* weights, const float* inputs, float* products) {
  Vec sum[kChannels][Tiles] = {};
  for (std::int64_t c = 0; c < in_channels; ++c, weights += kChannels, inputs += kVectors * kLanes) {
    Vec v[Tiles];
#pragma GCC unroll 4
    for (int t = 0; t < Tiles; ++t) v[t] = load(inputs + t * kLanes);
#pragma GCC unroll 8
    for (int o = 0; o < kChannels; ++o) {
      const Vec weight = splat(weights[o]);
#pragma GCC unroll 4
      for (int t = 0; t < Tiles; ++t) sum[o][t] += weight * v[t];
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < kChannels; ++o)
#pragma GCC unroll 4
    for (std::int64_t t = 0; t < Tiles; ++t) store(products + (o * kVectors + t) * kLanes, sum[o][t]);
}

/// inputs[point][channel][tile] of `tiles` tiles from (y, x) on.
template <class Tile>
static void transform_inputs(const ConvShape& s, const float* in, std::int64_t y, std::int64_t x,
                             std::int64_t tiles, const ForwardScratch<Tile>& at, float* inputs) {
  for (std::int64_t c = 0; c < s.in_channels; ++c)
    for (std::int64_t t = 0; t < tiles; ++t) {
      Vec v[Tile::kPoints];
      transform_input<Tile>(s, in, c, y, x + Tile::kOut * t, v);
#pragma GCC unroll 36
      for (int f = 0; f < Tile::kPoints; ++f)
        store(inputs + f * at.input_point + (c * kVectors + t) * kLanes, v[f]);
    }
}

/// out of `channels` output channels = A^T products A + bias
template <class Tile>
static void transform_outputs(const ConvShape& s, const ForwardScratch<Tile>& at, const float* products,
                              const float* bias, std::int64_t channels, std::int64_t y, std::int64_t x,
                              std::int64_t tiles, float* out) {
  const std::int64_t rows = s.out_height - y < Tile::kOut ? s.out_height - y : Tile::kOut;
  for (std::int64_t o = 0; o < channels; ++o)
    for (std::int64_t t = 0; t < tiles; ++t) {
      Vec m[Tile::kPoints], result[Tile::kOut * Tile::kOut];
#pragma GCC unroll 36
      for (int f = 0; f < Tile::kPoints; ++f)
        m[f] = load(products + f * at.product_point + (o * kVectors + t) * kLanes);
      transform_tile<Tile::kOut, Tile::kIn>([](const auto& from, auto& to) { Tile::output(from, to); },
                                            [&](int i, int j) { return m[Tile::kIn * i + j]; }, result);
      const Vec b = splat(bias != nullptr ? bias[o] : 0.0f);
      const std::int64_t column = x + Tile::kOut * t, left = s.out_width - column;
      const std::int64_t columns = left < Tile::kOut ? left : Tile::kOut;
      float* to = out + ((o * s.out_height + y) * s.out_width + column) * kLanes;
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < columns; ++j)
          store(to + (i * s.out_width + j) * kLanes, result[i * Tile::kOut + j] + b);
    }
}

template <class Tile>
static void forward(const ConvShape& s, const ChannelRange&, const float* in, const float* packed,
                    const float* bias, float* out, const ConvEpilogue& epilogue, float* scratch) {
  static constexpr decltype(&product<1>) products[] = {nullptr, product<1>, product<2>, product<3>,
                                                       product<kVectors>};
  const ForwardScratch<Tile> at(s);
  float* inputs = scratch;
  float* sums = scratch + at.products;
  LaneMoments* moments = reinterpret_cast<LaneMoments*>(scratch + at.moments);
  const TileRuns<Tile> runs(s.out_width);
  const std::int64_t blocks = ceil_div(s.out_channels, kChannels), point = blocks * kChannels * s.in_channels;
  const BlockShape* block = epilogue.block;
  const std::int64_t chunk_rows = block != nullptr ? rows_per_chunk(*block) : 0;
  std::int64_t reduced = 0;  // rows
  if (epilogue.moments != nullptr)
    for (std::int64_t o = 0; o < s.out_channels; ++o) moments[o] = LaneMoments{};
  for (std::int64_t y = 0; y < s.out_height; y += Tile::kOut) {
    for (std::int64_t run = 0; run < runs.count; ++run) {
      const std::int64_t x = Tile::kOut * runs.first(run), tiles = runs.length(run);
      transform_inputs(s, in, y, x, tiles, at, inputs);
      for (std::int64_t first = 0; first < blocks; first += kBlocks) {
        const std::int64_t last = first + kBlocks < blocks ? first + kBlocks : blocks;
        for (int f = 0; f < Tile::kPoints; ++f)
          for (std::int64_t b = first; b < last; ++b)
            products[tiles](s.in_channels, packed + f * point + b * kChannels * s.in_channels,
                            inputs + f * at.input_point,
                            sums + f * at.product_point + (b - first) * kChannels * kVectors * kLanes);
        const std::int64_t o = first * kChannels, left = s.out_channels - o;
        transform_outputs(s, at, sums, bias != nullptr ? bias + o : nullptr,
                          left < kBlocks * kChannels ? left : kBlocks * kChannels, y, x, tiles,
                          out + o * s.out_height * s.out_width * kLanes);
      }
    }
    if (block == nullptr) continue;
    // The chunks that are complete, as block_reduce() would take them.
    const std::int64_t complete = y + Tile::kOut < s.out_height ? y + Tile::kOut : s.out_height;
    for (std::int64_t bottom = reduced; reduced < s.out_height; reduced = bottom) {
      bottom = reduced + chunk_rows < s.out_height ? reduced + chunk_rows : s.out_height;
      if (bottom > complete) break;
      for (std::int64_t o = 0; o < s.out_channels; ++o)
        reduce_rows(*block, out + o * s.out_height * s.out_width * kLanes, reduced, bottom,
                    epilogue.gamma != nullptr ? epilogue.gamma[o] : 1.0f,
                    epilogue.moments != nullptr ? &moments[o] : nullptr,
                    epilogue.pooled + o * block->out_height * block->out_width * kLanes);
    }
  }
  if (epilogue.moments == nullptr) return;
  for (std::int64_t o = 0; o < s.out_channels; ++o)
    epilogue.moments[o] = over_lanes(moments[o], epilogue.valid);
}

template <class Tile>
static void backward_input(const ConvShape& s, const ChannelRange&, std::int64_t padding, const float* dout,
                           const GradientLayout&, const float* packed, float* din, float* scratch) {
  forward<Tile>(backward_shape(s, padding), {}, dout, packed, nullptr, din, {}, scratch);
}

template <class Tile>
static std::int64_t forward_scratch_floats(const ConvShape& s) {
  ConvShape backward = s;
  backward.in_channels = s.out_channels;
  backward.out_channels = s.in_channels;
  const std::int64_t forward = ForwardScratch<Tile>(s).size, input = ForwardScratch<Tile>(backward).size;
  return forward > input ? forward : input;
}

}  // namespace bntrain::cpu::BNTRAIN_ISA::winograd
