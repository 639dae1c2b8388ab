// bntrain::kernels: products of fully connected layers that are small in one direction, and the last layer
// together with its loss. Part of kernels.hpp, whose rules hold here too.
#pragma once

#include <cstdint>

namespace bntrain::kernels {

struct BatchState;
struct LossOutput;
struct Stream;

/// x: [batch, in]; w: [out, in]; y: [batch, out]; all row-major. No tensor has 2^31 elements or more.
struct LinearShape {
  std::int64_t batch = 0, in = 0, out = 0;
};

/// Bytes of the workspace of the three functions below.
std::int64_t linear_workspace(const LinearShape& shape);

// Sums are chains of float32 multiply-adds over parts of the summed dimension, which depend on the shape
// alone; the parts are added in a fixed order. workspace: 16-byte aligned, its contents before and after are
// unspecified. An empty sum is 0.

/// y[n, o] = bias[o] + sum over i of x[n, i] * w[o, i]; a null bias is 0.
void linear_forward(const LinearShape& shape, const float* x, const float* w, const float* bias, float* y,
                    void* workspace, const Stream& stream);

/// dx[n, i] = sum over o of dy[n, o] * w[o, i].
void linear_backward_input(const LinearShape& shape, const float* dy, const float* w, float* dx,
                           void* workspace, const Stream& stream);

/// dw[o, i] = sum over n of dy[n, o] * x[n, i].
void linear_backward_weights(const LinearShape& shape, const float* x, const float* dy, float* dw,
                             void* workspace, const Stream& stream);

/// Whether linear_softmax_cross_entropy() takes the shape: weights and eight rows of x fit into a block's
/// shared memory, about (out + 8) * in < 12,000.
bool has_linear_softmax(const LinearShape& shape);

/// Bytes of the workspace of linear_softmax_cross_entropy().
std::int64_t linear_softmax_workspace(const LinearShape& shape);

/// What linear_softmax_cross_entropy() computes beside the metrics. Each may be null.
struct LinearSoftmaxOutput {
  float* logits = nullptr;  ///< [batch, out]
  float* dx = nullptr;      ///< [batch, in]
  float* dw = nullptr;      ///< [out, in]
  float* dbias = nullptr;   ///< [out]
};

/// The logits x w^T + bias, their loss and metrics as softmax_cross_entropy() defines them (labels to
/// arrivals are its arguments, loss.gradient that of the logits, which may be null), and the gradients of the
/// layer, in two launches. workspace: 16-byte aligned, its contents before and after are unspecified. Throws
/// std::invalid_argument unless has_linear_softmax().
void linear_softmax_cross_entropy(const LinearShape& shape, const float* x, const float* w, const float* bias,
                                  const std::uint8_t* labels, const std::int64_t* order, BatchState* state,
                                  const LossOutput& loss, const LinearSoftmaxOutput& output, void* workspace,
                                  unsigned* arrivals, const Stream& stream);

}  // namespace bntrain::kernels
