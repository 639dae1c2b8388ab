// The CPU kernels as one table per instruction set. Plain data and functions only: the table's
// implementations are compiled for instructions that this processor may lack, so no inline function of the
// standard library may be instantiated there (the linker would be free to use that copy everywhere).
//
// Layout of every activation: [group][channel][row][column][lane], one group = `lanes` images. A kernel works
// on one group and reads like code for a single image over a vector type. Lanes beyond a short last group
// repeat its first image, so that they stay as finite as it is; nobody reads them, their gradients are zero.
#pragma once

#include <cstdint>

#include "bntrain/activation.hpp"

namespace bntrain::cpu {

/// A square convolution over one group. The input is already padded: in_height and in_width include the
/// border.
struct ConvShape {
  std::int64_t in_channels, in_height, in_width;
  std::int64_t out_channels, out_height, out_width;
  std::int64_t kernel, stride;
};

/// Where the elements of a gradient plane lie, in vectors: (c, y, x) at c * channel + y * row + x * column +
/// origin. The backward convolution wants rows with zeros between and around the elements.
struct GradientLayout {
  std::int64_t channel, row, column, origin;
};

/// Batch norm, an activation and pooling in one; each may be absent.
struct BlockShape {
  std::int64_t channels, in_height, in_width;
  std::int64_t out_height, out_width;
  std::int64_t pool;
  bool norm;
  Activation activation;
  Pooling pooling;
};

/// Both activations rise, so a maximum may be taken before them, of raw numbers; an average may not.
inline bool pools_raw(const BlockShape& shape) {
  return shape.pool > 1 && shape.pooling == Pooling::maximum;
}
inline bool averages(const BlockShape& shape) {
  return shape.pool > 1 && shape.pooling == Pooling::average;
}

/// What the batch norm of a block multiplies and adds, one number a channel. `invstd` 0 means: y = beta, dx =
/// 0.
struct NormCoefficients {
  const float* mean;
  const float* invstd;
  const float* gamma;
  const float* beta;
  const float* dbeta_mean;   ///< dbeta / n, backward only
  const float* dgamma_mean;  ///< dgamma / n, backward only
};

/// Mean and sum of squared deviations of one channel over the images of one group.
struct Moments {
  double mean, m2;
};

/// What the forward convolution leaves for the block behind it while its rows are still in the first-level
/// cache.
struct ConvEpilogue {
  const BlockShape* block;  ///< null: no block follows
  const float* gamma;       ///< its signs decide between maximum and minimum; null without norm
  Moments* moments;         ///< [channels]; null: not wanted (inference)
  float* pooled;            ///< [channels][out_height][out_width][lane]; unused unless pools_raw()
  int valid;                ///< images in this group
};

struct Kernels {
  int lanes;
  const char* name;  ///< "x86-64-v4"

  /// out[p][lane] = pixels[indices[lane]][p] / 255; the lanes from `valid` on repeat lane 0.
  void (*gather)(const std::uint8_t* pixels, std::int64_t pixels_per_image, const std::int64_t* indices,
                 int valid, float* out);

  /// Copies a group's image [channels][height][width] into the middle of a zeroed one with `padding` around
  /// it.
  void (*pad)(const float* in, std::int64_t channels, std::int64_t height, std::int64_t width,
              std::int64_t padding, float* out);

  /// Weights in the order that the forward (backward) convolution reads them; `floats` is the length needed.
  std::int64_t (*conv_packed_floats)(const ConvShape&);
  void (*conv_pack)(const ConvShape&, const float* weights, float* packed);
  std::int64_t (*conv_backward_packed_floats)(const ConvShape&);
  void (*conv_backward_pack)(const ConvShape&, const float* weights, float* packed);

  /// out = conv(in, weights) + bias, and the epilogue.
  void (*conv_forward)(const ConvShape&, const float* in, const float* packed, const float* bias, float* out,
                       const ConvEpilogue&);
  /// dweights (OIHW) and dbias (null: not wanted) += this group's share.
  void (*conv_backward_weights)(const ConvShape&, const float* in, const float* dout, const GradientLayout&,
                                float* dweights, float* dbias);
  /// din = gradient of the input, border cut off: [in_channels][height - 2 padding][width - 2 padding].
  /// dout must be laid out by conv_gradient_layout().
  void (*conv_backward_input)(const ConvShape&, std::int64_t padding, const float* dout,
                              const GradientLayout&, const float* packed, float* din);

  /// The statistics of one group (per channel) and, with max pooling, the pooled raw values: the maximum of x
  /// where gamma > 0, the minimum where gamma < 0, the first where gamma = 0; without norm the maximum.
  void (*block_reduce)(const BlockShape&, const float* x, const float* gamma, int valid, Moments* moments,
                       float* pooled);
  // From here on `raw` are the pooled raw values, and x itself without pooling and where averages are taken.
  /// y from raw: (raw - mean) * (gamma * invstd) + beta, activation, average.
  void (*block_forward)(const BlockShape&, const float* raw, const NormCoefficients&, float* y);
  /// sums[channel] = {sum(g), sum(g * xhat)} with g the gradient between batch norm and activation.
  void (*block_backward_sums)(const BlockShape&, const float* raw, const float* y, const float* dy,
                              const NormCoefficients&, double* sums);
  /// dx; pooled winners are found again as the first element equal to the raw value. A pixel outside every
  /// window gets what comes through the statistics.
  void (*block_backward_input)(const BlockShape&, const float* x, const float* raw, const float* y,
                               const float* dy, const NormCoefficients&, int valid, const GradientLayout&,
                               float* dx);
  /// out (in `layout`) = in (dense planes).
  void (*relayout)(std::int64_t channels, std::int64_t height, std::int64_t width, const float* in,
                   const GradientLayout& layout, float* out);

  /// out[i] = bias[i] + sum_k a[k * stride + i] * b[k] for i < m (bias may be null), then ReLU if asked.
  void (*panel_product)(const float* a, std::int64_t stride, std::int64_t m, std::int64_t k, const float* b,
                        const float* bias, bool relu, float* out);
  /// out[i][j] = sum over groups and lanes of a[g][i] * b[g][j], rows [first, last) of i; row_sums[i] = sum
  /// of a[g][i].
  void (*panel_outer)(const float* a, std::int64_t a_size, const float* b, std::int64_t b_size,
                      std::int64_t groups, std::int64_t first, std::int64_t last, float* out,
                      float* row_sums);
  /// gradient *= (y > 0), element by element.
  void (*relu_backward)(std::int64_t size, const float* y, float* gradient);

  /// dlogits = (softmax(logits) - onehot) * scale, zero beyond `valid`. Adds up cross-entropy (nats) and
  /// hits.
  void (*softmax_cross_entropy)(const float* logits, std::int64_t classes, const std::uint8_t* labels,
                                const std::int64_t* indices, int valid, float scale, float* dlogits,
                                double* loss_sum, std::int64_t* correct);

  /// sum[i] = partials[0][i] + partials[1][i] + ... in this order.
  void (*merge)(const float* partials, std::int64_t count, std::int64_t stride, std::int64_t size,
                float* sum);
  /// g += weight_decay * w; velocity = momentum * velocity + g (velocity null: no momentum); w -= lr *
  /// velocity.
  void (*sgd)(std::int64_t size, const float* gradient, float lr, float momentum, float weight_decay,
              float* weights, float* velocity);
  /// `rounds` times sum = sum * factor + term in independent chains that stay in registers, the chains
  /// starting from 0, 1, 2 ...; returns the sum over their lanes, `chain_floats` of them.
  float (*multiply_add_chains)(std::int64_t rounds, float factor, float term);
  std::int64_t chain_floats;
  /// out[j][i] = in[i][j] for rows [first, last) of `in`.
  void (*transpose)(const float* in, std::int64_t rows, std::int64_t columns, std::int64_t first,
                    std::int64_t last, float* out);
};

/// Rows of the output gradient as conv_backward_input() wants them, or dense when no input gradient is
/// needed.
inline GradientLayout conv_gradient_layout(const ConvShape& shape, std::int64_t padding,
                                           bool input_gradient) {
  if (!input_gradient) return {shape.out_height * shape.out_width, shape.out_width, 1, 0};
  const std::int64_t row = shape.in_width - 2 * padding + shape.kernel - 1;
  return {shape.out_height * row, row, shape.stride, shape.kernel - 1 - padding};
}

// One table a compiled instruction set; off x86-64 only v2 exists, in the compiler's baseline instructions.
namespace v2 {
const Kernels& kernels();
}
namespace v3 {
const Kernels& kernels();
}
namespace v4 {
const Kernels& kernels();
}

}  // namespace bntrain::cpu
