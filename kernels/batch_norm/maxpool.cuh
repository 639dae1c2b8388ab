// Shared by the kernels of batch norm, activation and max pooling: who reads what, the argmax, one channel.
//
// The argmax of a window is that of sign(gamma) * x, not of y: a norm with gamma > 0 keeps the order of x and
// one with gamma < 0 reverses it, and elements of x differ where rounding makes those of y equal. With gamma
// = 0 no product is larger than another, and the first element is the argmax.
//
// A thread takes one item at a time: a window or, without pooling, one pixel or four adjacent ones. Adjacent
// threads take adjacent items, so that a warp reads whole rows. (Four windows a thread, in vectors of 16
// bytes, take twice as long, measured on an H200: each access is spread over 20 cache lines.) The parts of
// windows at the right and the lower border that are not pooled are items too: their pixels have statistics
// and gradients.
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "kernels/batch_norm/mean.cuh"
#include "kernels/batch_norm/resident.cuh"
#include "kernels/elementwise/activation.cuh"
#include "kernels/kernels.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels::maxpool {

using namespace simt;

/// How a thread holds an item. pool: the window, 1: no pooling, 0: read from memory, of any size. vector:
/// elements read at once; where they are more than 1, windows divide the plane.
template <int pool, int vector>
struct Tile {
  static constexpr int kPool = pool;
  static constexpr int kVector = vector;
  static constexpr int kPixels = pool == 1 ? vector : pool * pool;
  static constexpr int kOutputs = pool == 1 ? vector : 1;
  static constexpr bool kWhole = pool == 1 || vector > 1;  ///< no item is a part of a window
};

/// PoolShape with fewer cases, and what finds an item in it: without norm there is one channel, without
/// pooling a plane is one row of items.
struct Planes {
  unsigned batch, channels, height, width, pool;
  unsigned out_height, out_width;
  unsigned size, out_size;  ///< elements of a plane
  unsigned items;           ///< of a channel
  FastDivision plane_items, row_items;
};

/// Where an item is. Offset: unsigned where the tensor has no more elements, which takes fewer registers.
template <typename Tile, typename Offset>
struct Place {
  Offset in = 0, out = 0;          ///< its first element in x and in y
  unsigned rows = 0, columns = 0;  ///< of its pixels; for whole tiles unused
  bool whole = true;               ///< a window that is pooled

  SIMT_DEVICE bool holds(int pixel) const {
    return Tile::kWhole || (static_cast<unsigned>(pixel / Tile::kPool) < rows &&
                            static_cast<unsigned>(pixel % Tile::kPool) < columns);
  }
};

template <typename Tile, typename Offset>
SIMT_DEVICE Place<Tile, Offset> place_of(const Planes& p, unsigned channel, unsigned item) {
  const unsigned image = divide(item, p.plane_items);
  const unsigned in_plane = item - image * p.plane_items.divisor;
  const unsigned plane = image * p.channels + channel;
  const Offset in = static_cast<Offset>(plane) * p.size;
  if constexpr (Tile::kPool == 1) {
    return {in + in_plane * Tile::kVector, in + in_plane * Tile::kVector, 1, Tile::kVector, true};
  } else {
    const unsigned pool = Tile::kPool != 0 ? Tile::kPool : p.pool;
    const unsigned row = divide(in_plane, p.row_items);
    const unsigned column = in_plane - row * p.row_items.divisor;
    const Offset out = static_cast<Offset>(plane) * p.out_size;
    const unsigned below = p.height - row * pool, right = p.width - column * pool;
    return {in + row * pool * p.width + column * pool, out + row * p.out_width + column,
            below < pool ? below : pool, right < pool ? right : pool,
            Tile::kWhole || (row < p.out_height && column < p.out_width)};
  }
}

struct alignas(8) TwoFloats {
  float lane[2];
};

/// The pixels of an item in registers. `values` of pixels that it does not hold are 0.
template <typename Tile, typename Offset>
SIMT_DEVICE void load_item(const Planes& p, const Place<Tile, Offset>& at, const float* x,
                           float (&values)[Tile::kPixels]) {
  const float* from = x + at.in;
  if constexpr (Tile::kPool == 1 && Tile::kVector == 4) {
    const Vec<float> four = load_vec(from);
    SIMT_UNROLL
    for (int i = 0; i < 4; ++i) values[i] = four.lane[i];
  } else if constexpr (Tile::kVector == 2) {
    SIMT_UNROLL
    for (int row = 0; row < 2; ++row) {
      const TwoFloats two = load(reinterpret_cast<const TwoFloats*>(from + row * p.width));
      values[2 * row] = two.lane[0];
      values[2 * row + 1] = two.lane[1];
    }
  } else {
    SIMT_UNROLL
    for (int i = 0; i < Tile::kPixels; ++i)
      values[i] =
          at.holds(i) ? load(from + static_cast<unsigned>(i / Tile::kPool) * p.width + i % Tile::kPool) : 0;
  }
}

template <typename Tile, typename Offset>
SIMT_DEVICE void store_item(const Planes& p, const Place<Tile, Offset>& at,
                            const float (&values)[Tile::kPixels], float* x) {
  float* to = x + at.in;
  if constexpr (Tile::kPool == 1 && Tile::kVector == 4) {
    store_vec(to, Vec<float>{{values[0], values[1], values[2], values[3]}});
  } else if constexpr (Tile::kVector == 2) {
    SIMT_UNROLL
    for (int row = 0; row < 2; ++row)
      store(reinterpret_cast<TwoFloats*>(to + row * p.width),
            TwoFloats{{values[2 * row], values[2 * row + 1]}});
  } else {
    SIMT_UNROLL
    for (int i = 0; i < Tile::kPixels; ++i)
      if (at.holds(i))
        store(to + static_cast<unsigned>(i / Tile::kPool) * p.width + i % Tile::kPool, values[i]);
  }
}

/// The outputs of an item, one or four; 0 where it has none.
template <typename Tile, typename Offset>
SIMT_DEVICE void load_outputs(const Place<Tile, Offset>& at, const float* y,
                              float (&values)[Tile::kOutputs]) {
  if constexpr (Tile::kOutputs == 4) {
    const Vec<float> four = load_vec(y + at.out);
    SIMT_UNROLL
    for (int i = 0; i < 4; ++i) values[i] = four.lane[i];
  } else {
    values[0] = at.whole ? load(y + at.out) : 0;
  }
}

template <typename Tile, typename Offset>
SIMT_DEVICE void store_outputs(const Place<Tile, Offset>& at, const float (&values)[Tile::kOutputs],
                               float* y) {
  if constexpr (Tile::kOutputs == 4)
    store_vec(y + at.out, Vec<float>{{values[0], values[1], values[2], values[3]}});
  else if (at.whole)
    store(y + at.out, values[0]);
}

/// The norm of one channel; without norm the argmax is that of x, and x passes unchanged.
struct Channel {
  Mean mean{0, 0};
  float inv_std = 1, scale = 1, beta = 0, sign = 1;

  Channel() = default;
  SIMT_DEVICE Channel(Mean center, float inverse_deviation, float gamma, float offset)
      : mean(center),
        inv_std(inverse_deviation),
        scale(gamma * inverse_deviation),
        beta(offset),
        sign(gamma > 0   ? 1.0f
             : gamma < 0 ? -1.0f
                         : 0.0f) {}

  /// The output of the norm. Not a product where inv_std is 0: that could be infinity * 0. One rounding less,
  /// and the same in the forward and the backward pass, whatever the compiler contracts.
  SIMT_DEVICE float apply(float x) const {
    return inv_std == 0 ? beta : std::fma(mean.deviation(x), scale, beta);
  }
  SIMT_DEVICE float xhat(float x) const { return inv_std == 0 ? 0.0f : mean.deviation(x) * inv_std; }
};

SIMT_DEVICE Channel channel_of(const ChannelNorm& n, unsigned channels, unsigned c) {
  if (n.mean == nullptr) return {};
  return {two_floats(n.mean, channels).at(c), n.inv_std[c], n.gamma[c], n.beta[c]};
}

struct ArgMax {
  float x;
  int pixel;
};

SIMT_DEVICE void update_argmax(ArgMax& best, float x, int pixel, float sign) {
  const bool first_nan = x != x && best.x == best.x;
  if (sign * x > sign * best.x || first_nan) best = {x, pixel};
}

/// Of a window in registers.
template <int pixels>
SIMT_DEVICE ArgMax argmax_of(const float (&x)[pixels], float sign) {
  ArgMax best{x[0], 0};
  SIMT_UNROLL
  for (int i = 1; i < pixels; ++i) update_argmax(best, x[i], i, sign);
  return best;
}

/// Of the window in memory that begins at x.
SIMT_DEVICE ArgMax argmax_of(const Planes& p, const float* x, float sign) {
  ArgMax best{x[0], 0};
  for (unsigned row = 0; row < p.pool; ++row)
    for (unsigned column = 0; column < p.pool; ++column)
      update_argmax(best, x[row * p.width + column], static_cast<int>(row * p.pool + column), sign);
  return best;
}

/// No activation, ReLU and leaky ReLU in one functor, which saves instances of the kernels: slope is 1, 0 or
/// that of the leaky one.
struct Rectifier {
  static constexpr ActivationKind kKind = ActivationKind::leaky_relu;
  float slope;

  SIMT_DEVICE float scaled(float v) const { return slope == 0 ? 0.0f : slope * v; }
  SIMT_DEVICE float forward(float v) const { return v <= 0 ? scaled(v) : v; }
  SIMT_DEVICE float backward(float y, float dy) const { return y <= 0 ? scaled(dy) : dy; }
};

/// Whether the gradient needs y: not its sign alone, which is that of v.
template <typename Activate>
inline constexpr bool kNeedsOutput = activation_type(Activate::kKind).gradient_from_output &&
                                     !std::is_same_v<Activate, Rectifier>;

/// The gradient of the activation's input v, from that of its output.
template <typename Activate>
SIMT_DEVICE float activation_gradient(const Activate& activation, float v, float dy) {
  return activation.backward(kNeedsOutput<Activate> ? activation.forward(v) : v, dy);
}

/// Whether there are kernels for it.
template <typename Tile, typename Activate>
inline constexpr bool kFits = Tile::kPool == 1 || activation_type(Activate::kKind).monotone;

/// Calls use(functor).
template <typename Use>
void with_fused_activation(const Activation& activation, const Use& use) {
  if (activation.kind == ActivationKind::none) return use(Rectifier{1});
  if (activation.kind == ActivationKind::relu) return use(Rectifier{0});
  with_activation(activation.kind, activation.slope, [&](auto functor) {
    using Functor = decltype(functor);
    if constexpr (std::is_same_v<Functor, LeakyRelu>)
      use(Rectifier{functor.slope});
    else if constexpr (!std::is_same_v<Functor, Identity> && !std::is_same_v<Functor, Relu>)
      use(functor);
  });
}

/// norm: whether channels differ.
inline Planes planes_of(const PoolShape& s, const Activation& activation, bool norm, const char* kernel) {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  require(s.batch >= 0 && s.channels >= 0 && s.height >= 0 && s.width >= 0, kernel, "a size is negative");
  require(s.pool >= 1, kernel, "the pooling window is smaller than 1");
  require(s.pool == 1 || activation.kind == ActivationKind::none || activation_type(activation.kind).monotone,
          kernel, "an activation that does not keep the order of its inputs cannot follow the pooling");
  PoolShape t = s;
  if (t.pool == 1) t = {t.batch, t.channels, 1, t.height * t.width, 1};
  if (!norm) t = {t.batch * t.channels, 1, t.height, t.width, t.pool};
  if (!norm && t.pool == 1 && t.batch * t.width < kMost) t = {1, 1, 1, t.batch * t.width, 1};
  require(t.batch * t.channels < kMost, kernel, "there are 2^31 planes or more");
  require(t.height * t.width < kMost, kernel, "a plane has 2^31 elements or more");
  const auto u = [](std::int64_t size) { return static_cast<unsigned>(size); };
  return {u(t.batch),
          u(t.channels),
          u(t.height),
          u(t.width),
          u(t.pool),
          u(t.out_height()),
          u(t.out_width()),
          u(t.height * t.width),
          u(t.out_height() * t.out_width()),
          0,
          {},
          {}};
}

/// The planes divided into items of this tile.
template <typename Tile>
Planes divided(Planes p, const char* kernel) {
  const unsigned columns = Tile::kPool == 1 ? p.size / Tile::kVector : (p.width + p.pool - 1) / p.pool;
  const unsigned rows = Tile::kPool == 1 ? 1 : (p.height + p.pool - 1) / p.pool;
  p.plane_items = fast_division(std::int64_t{rows} * columns);
  p.row_items = fast_division(columns);
  const std::int64_t items = static_cast<std::int64_t>(p.batch) * rows * columns;
  require(items < std::int64_t{1} << 31, kernel, "a channel has 2^31 windows or more");
  p.items = static_cast<unsigned>(items);
  return p;
}

/// Calls use(tile) with the fastest for these planes and pointers; pixels, outputs: the tensors like x and
/// like y, null ones may be among them.
template <typename Use>
void with_tile(const Planes& p, std::initializer_list<const void*> pixels,
               std::initializer_list<const void*> outputs, const Use& use) {
  const auto aligned = [](std::initializer_list<const void*> pointers, std::uintptr_t bytes) {
    for (const void* pointer : pointers)
      if (reinterpret_cast<std::uintptr_t>(pointer) % bytes != 0) return false;
    return true;
  };
  if (p.pool == 1)
    p.size % 4 == 0 && aligned(pixels, kVecBytes) && aligned(outputs, kVecBytes) ? use(Tile<1, 4>{})
                                                                                 : use(Tile<1, 1>{});
  else if (p.pool == 2 && p.height % 2 == 0 && p.width % 2 == 0 && aligned(pixels, sizeof(TwoFloats)))
    use(Tile<2, 2>{});
  else
    use(Tile<0, 1>{});
}

/// The gradient of the input, from g at this pixel and the means of g and g * xhat over the channel; without
/// norm g.
struct InputGradient {
  Channel channel;
  float dbeta_mean = 0, dgamma_mean = 0;

  SIMT_DEVICE float operator()(float x, float g) const {
    const float value = channel.scale * ((g - dbeta_mean) - channel.xhat(x) * dgamma_mean);
    return channel.inv_std == 0 ? 0.0f : value;
  }
};

inline bool checked_norm(const ChannelNorm& n, const char* kernel) {
  const bool all = n.mean != nullptr && n.inv_std != nullptr && n.gamma != nullptr && n.beta != nullptr;
  const bool none = n.mean == nullptr && n.inv_std == nullptr && n.gamma == nullptr && n.beta == nullptr;
  require(all || none, kernel, "some pointers of the norm are null and some are not");
  return all;
}

/// batch_norm_maxpool_backward() in one launch, where the device can: maxpool_resident_backward.cu.
bool backward_resident(const Planes& planes, const Activation& activation, const float* x, const float* dy,
                       const ChannelNorm& norm, float* dx, float* dgamma, float* dbeta, const Stream& stream);

/// Bytes of the workspace of batch_norm_maxpool_forward().
std::int64_t forward_workspace(const PoolShape& shape);

}  // namespace bntrain::kernels::maxpool
