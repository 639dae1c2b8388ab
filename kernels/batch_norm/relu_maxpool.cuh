// Shared by the forward and the backward pass of batch_norm_relu_maxpool.
//
// The argmax of a window is that of sign(gamma) * x, not of y: a norm with gamma > 0 keeps the order of x and
// one with gamma < 0 reverses it, and elements of x differ where rounding makes those of y equal. With gamma
// = 0 no product is larger than another, and the first element is the argmax.
#pragma once

#include "kernels/batch_norm/mean.cuh"
#include "kernels/kernels.hpp"
#include "kernels/simt/channel_chunks.hpp"
#include "kernels/simt/launch.hpp"
#include "kernels/simt/simt.hpp"

namespace bntrain::kernels::relu_pool {

using namespace simt;

/// The norm of one channel; without norm the argmax is that of x.
template <bool norm>
struct Channel {
  Mean mean{};
  float inv_std = 1, scale = 1, beta = 0, sign = 1;

  SIMT_DEVICE Channel(const ChannelNorm& n, std::int64_t channels, std::int64_t c) {
    if constexpr (norm) {
      const float gamma = n.gamma[c];
      mean = two_floats(n.mean, channels).at(c);
      inv_std = n.inv_std[c];
      scale = gamma * inv_std;
      beta = n.beta[c];
      sign = gamma > 0 ? 1.0f : gamma < 0 ? -1.0f : 0.0f;
    }
  }

  /// The output of the norm. Not a product where inv_std is 0: that could be infinity * 0.
  SIMT_DEVICE float apply(float x) const {
    if constexpr (norm)
      return inv_std == 0 ? beta : mean.deviation(x) * scale + beta;
    else
      return x;
  }
  SIMT_DEVICE float xhat(float x) const { return inv_std == 0 ? 0.0f : mean.deviation(x) * inv_std; }
  /// The gradient at the argmax. The sign of y is computed again, which is cheaper than reading y.
  SIMT_DEVICE float relu_backward(float dy, float argmax, bool relu) const {
    return relu && apply(argmax) <= 0 ? 0.0f : dy;
  }
};

struct ArgMax {
  float x;
  std::int64_t position;  ///< in the window, row-major
};

SIMT_DEVICE void update_argmax(ArgMax& best, float x, std::int64_t position, float sign) {
  const bool first_nan = x != x && best.x == best.x;
  if (sign * x > sign * best.x || first_nan) best = {x, position};
}

/// Of the window that begins at x. pool: its size, or 0: `window` is.
template <int pool>
SIMT_DEVICE ArgMax find_argmax(const float* x, std::int64_t width, std::int64_t window, float sign) {
  if constexpr (pool != 0) window = pool;
  ArgMax best{x[0], 0};
  for (std::int64_t row = 0; row < window; ++row)
    for (std::int64_t column = 0; column < window; ++column)
      update_argmax(best, x[row * width + column], row * window + column, sign);
  return best;
}

/// The pixels of four adjacent windows, read and written 16 bytes at a time.
template <int pool>
struct FourWindows {
  float x[pool][4 * pool];

  SIMT_DEVICE FourWindows(const float* from, std::int64_t width) {
    SIMT_UNROLL
    for (int row = 0; row < pool; ++row) {
      SIMT_UNROLL
      for (int part = 0; part < pool; ++part) {
        const Vec<float> four = load_vec(from + row * width + 4 * part);
        SIMT_UNROLL
        for (int lane = 0; lane < 4; ++lane) x[row][4 * part + lane] = four.lane[lane];
      }
    }
  }

  SIMT_DEVICE void store(float* to, std::int64_t width) const {
    SIMT_UNROLL
    for (int row = 0; row < pool; ++row) {
      SIMT_UNROLL
      for (int part = 0; part < pool; ++part) {
        Vec<float> four;
        SIMT_UNROLL
        for (int lane = 0; lane < 4; ++lane) four.lane[lane] = x[row][4 * part + lane];
        store_vec(to + row * width + 4 * part, four);
      }
    }
  }

  SIMT_DEVICE ArgMax argmax(int window, float sign) const {
    ArgMax best{x[0][window * pool], 0};
    SIMT_UNROLL
    for (int i = 1; i < pool * pool; ++i) update_argmax(best, x[i / pool][window * pool + i % pool], i, sign);
    return best;
  }
};

/// PoolShape with fewer cases: without pooling a plane is one row, without norm there is one channel.
struct Planes {
  std::int64_t batch, channels, height, width, pool, out_height, out_width;

  SIMT_HOST_DEVICE std::int64_t size() const { return height * width; }
  SIMT_HOST_DEVICE std::int64_t out_size() const { return out_height * out_width; }
};

inline Planes planes_of(const PoolShape& s, bool norm, const char* kernel) {
  require(s.batch >= 0 && s.channels >= 0 && s.height >= 0 && s.width >= 0, kernel, "a size is negative");
  require(s.pool >= 1, kernel, "the pooling window is smaller than 1");
  Planes p{s.batch, s.channels, s.height, s.width, s.pool, 0, 0};
  if (p.pool == 1) p = {p.batch, p.channels, 1, p.height * p.width, 1, 0, 0};
  if (!norm) p = {p.batch * p.channels, 1, p.height, p.width, p.pool, 0, 0};
  if (!norm && p.pool == 1) p = {1, 1, 1, p.batch * p.width, 1, 0, 0};
  p.out_height = p.height / p.pool;
  p.out_width = p.width / p.pool;
  return p;
}

/// Whether four windows at a time can be read, given aligned pointers.
inline bool can_vectorize(const Planes& p) {
  return p.pool <= 2 && p.width % (4 * p.pool) == 0;
}

inline bool checked_norm(const ChannelNorm& n, const char* kernel) {
  const bool all = n.mean != nullptr && n.inv_std != nullptr && n.gamma != nullptr && n.beta != nullptr;
  const bool none = n.mean == nullptr && n.inv_std == nullptr && n.gamma == nullptr && n.beta == nullptr;
  require(all || none, kernel, "some pointers of the norm are null and some are not");
  return all;
}

}  // namespace bntrain::kernels::relu_pool
