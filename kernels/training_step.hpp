// What a training step needs beside batch norm's own kernels, convolutions and matrix products. Part of
// kernels.hpp, whose rules hold here too.
#pragma once

#include <cstdint>

namespace bntrain::kernels {

struct NormOptions;
struct Stream;

/// Batch norm, ReLU and max pooling in this order, each of which may be missing. Tensors are NCHW.
struct PoolShape {
  std::int64_t batch = 0, channels = 0, height = 0, width = 0;
  std::int64_t pool = 1;  ///< window and stride, 1: no pooling; a rest of rows or columns is dropped
  bool relu = true;

  std::int64_t out_height() const { return height / pool; }
  std::int64_t out_width() const { return width / pool; }
};

/// The norm of every channel, [channels] each: the batch's statistics in training, the moving ones in
/// inference. All null: no norm. An invstd of 0 stands for a variance that is 0 or beyond float32.
struct ChannelNorm {
  const float* mean = nullptr;
  const float* invstd = nullptr;
  const float* gamma = nullptr;
  const float* beta = nullptr;
};

/// y = maxpool(relu((x - mean) * (gamma * invstd) + beta)) in one pass; beta where invstd is 0.
/// x: [batch, channels, height, width]; y: [batch, channels, out_height, out_width]; no two overlap.
/// winners: null, or like y: the x that won each window, which spares backward a pass over x. (Without
/// pooling that is x itself: null.)
/// NaN passes through. The winner of a window is the first NaN, else the first maximum of x (gamma < 0: the
/// first minimum, gamma = 0: the first element).
void batch_norm_relu_maxpool_forward(const PoolShape& shape, const float* x, const ChannelNorm& norm,
                                     float* y, float* winners, const Stream& stream);

/// Bytes of the workspace of batch_norm_relu_maxpool_backward(). Without norm none is needed: null.
std::int64_t batch_norm_relu_maxpool_backward_workspace(const PoolShape& shape);

/// Gradients of sum(dy * y) where mean and invstd are the statistics of x: with g the dy of windows that the
/// ReLU let through, at their winners, and n = batch * height * width,
///   dbeta = sum g,  dgamma = sum g * xhat,  dx = gamma * invstd * (g - dbeta / n - xhat * dgamma / n)
/// also at pixels outside every window, where g is 0. An invstd of 0 gives dgamma 0 and dx 0. Without norm dx
/// = g. winners: what forward wrote, or null. dx: like x, or null where only dgamma and dbeta are wanted.
/// dgamma, dbeta: [channels], unused without norm. workspace: on 16 bytes, its contents mean nothing before
/// and after. No two overlap.
void batch_norm_relu_maxpool_backward(const PoolShape& shape, const float* x, const float* winners,
                                      const float* dy, const ChannelNorm& norm, float* dgamma, float* dbeta,
                                      float* dx, void* workspace, const Stream& stream);

/// The moving averages of batch norm, where they must not move before the loss is known to be finite
/// (batch_norm_forward() moves them at once): from a batch's mean and biased var over `count` values,
///   running_mean = momentum * running_mean + (1 - momentum) * (mean + shift),  running_var likewise from var
/// All [channels]. shift: the bias of a convolution in front that was not added, or null. halted: device
/// memory or null; where it is not 0, nothing is changed. count = 0 changes nothing.
void update_running_statistics(std::int64_t channels, std::int64_t count, const NormOptions& options,
                               const float* mean, const float* var, const float* shift,
                               const unsigned* halted, float* running_mean, float* running_var,
                               const Stream& stream);

/// mean = running_mean - shift, invstd = 1 / sqrt(running_var + eps): the ChannelNorm of inference. All
/// [channels]; shift as above. An invstd of 0 where running_var + eps is 0 or running_var beyond float32.
void inference_statistics(std::int64_t channels, double eps, const float* running_mean,
                          const float* running_var, const float* shift, float* mean, float* invstd,
                          const Stream& stream);

/// Which batch a step is about. It lives in device memory, so that a captured graph sees new values.
struct BatchState {
  std::int64_t first = 0;    ///< position of the batch's first image in the order
  std::int64_t step = 0;     ///< slot of its metrics
  float gradient_scale = 1;  ///< of the loss's gradient, 1 / nominal batch size

  bool operator==(const BatchState&) const = default;
};

/// What one batch measured.
struct BatchMetrics {
  double loss_sum;       ///< of the cross-entropies, in nats
  std::int64_t correct;  ///< images whose first largest logit is the label's
  std::int64_t count;
};

/// out[n, i] = float(images[order[first + n], i]) / 255, the exact quotient rounded once.
/// images: [any, pixels]; order: image numbers in device memory, or null: images in their own order;
/// state: gives `first`, or null: 0; out: [batch, pixels].
void gather_images(std::int64_t batch, std::int64_t pixels, const std::uint8_t* images,
                   const std::int64_t* order, const BatchState* state, float* out, const Stream& stream);

/// Where softmax_cross_entropy() leaves what it found. All in device memory.
struct LossOutput {
  float* gradient = nullptr;        ///< [batch, classes], or null: not wanted
  BatchMetrics* metrics = nullptr;  ///< [slots]; a step outside them is not recorded
  std::int64_t slots = 0;
  /// Null, or set to 1 when the sum of the losses is not finite, and never reset here. A step that finds it
  /// set records a NaN loss and no hits, whatever its logits.
  unsigned* halted = nullptr;
  /// Null, or grows by 1 with every step whose loss is finite while `halted` is not set.
  std::int64_t* finite_steps = nullptr;
};

/// Bytes of the workspace of softmax_cross_entropy().
std::int64_t softmax_cross_entropy_workspace(std::int64_t batch);

/// loss[n] = log(sum_k exp(z[n, k])) - z[n, label of n], gradient = (softmax(z) - onehot) * gradient_scale,
/// and the metrics of the batch, in double precision up to the rounding of the gradient. Then `state` moves
/// on to the next batch: first += batch, step += 1.
/// logits z: [batch, classes]; labels: of all images; order as in gather_images(). A NaN logit, or a label
/// that is no class, gives a NaN loss and no hit. workspace: on 16 bytes, its contents mean nothing.
/// arrivals: one number that is 0 before the first call, is 0 again after each, and belongs to this stream.
void softmax_cross_entropy(std::int64_t batch, std::int64_t classes, const float* logits,
                           const std::uint8_t* labels, const std::int64_t* order, BatchState* state,
                           const LossOutput& output, void* workspace, unsigned* arrivals,
                           const Stream& stream);

/// (batch, channels, spatial): spatial is height * width, 1 for (N, C).
struct BiasShape {
  std::int64_t batch = 0, channels = 0, spatial = 1;
};

/// y = x + bias[channel], and y = max(y, 0) where `relu`; NaN passes. y may be x; a null bias is 0.
void bias_relu_forward(const BiasShape& shape, const float* x, const float* bias, bool relu, float* y,
                       const Stream& stream);

/// dx = dy where y > 0 or is NaN, else 0. y: the output of the ReLU; all [size]; dx may be dy.
void relu_backward(std::int64_t size, const float* y, const float* dy, float* dx, const Stream& stream);

/// y = 1 / (1 + exp(-x)), to 4 roundings; NaN passes. Both [size]; y may be x.
void sigmoid_forward(std::int64_t size, const float* x, float* y, const Stream& stream);

/// dx = dy * y * (1 - y). y: the output of the sigmoid; all [size]; dx may be dy.
void sigmoid_backward(std::int64_t size, const float* y, const float* dy, float* dx, const Stream& stream);

/// y = the mean of each window. x: [batch, channels, height, width]; y: [batch, channels, out_height,
/// out_width]; shape.relu is not looked at. The two do not overlap.
void average_pool_forward(const PoolShape& shape, const float* x, float* y, const Stream& stream);

/// dx = dy of the pixel's window / pool^2; 0 outside every window. They do not overlap.
void average_pool_backward(const PoolShape& shape, const float* dy, float* dx, const Stream& stream);

/// Bytes of the workspace of bias_backward().
std::int64_t bias_backward_workspace(const BiasShape& shape);

/// dbias[c] = sum of dy[n, c, s] over n and s. workspace: on 16 bytes, its contents mean nothing.
void bias_backward(const BiasShape& shape, const float* dy, float* dbias, void* workspace,
                   const Stream& stream);

}  // namespace bntrain::kernels
