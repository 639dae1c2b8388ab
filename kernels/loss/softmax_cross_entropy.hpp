// bntrain::kernels: softmax cross-entropy. Part of kernels.hpp, whose rules hold here too.
#pragma once

#include <cstdint>

namespace bntrain::kernels {

struct Stream;

/// The batch of a step. In device memory, so that a captured graph sees new values.
struct BatchState {
  std::int64_t first = 0;    ///< position of the batch's first image in the order
  std::int64_t step = 0;     ///< slot of its metrics
  float gradient_scale = 1;  ///< of the loss's gradient, 1 / nominal batch size

  bool operator==(const BatchState&) const = default;
};

/// The metrics of one batch.
struct BatchMetrics {
  double loss_sum;       ///< of the cross-entropies, in nats
  std::int64_t correct;  ///< images whose first largest logit is the label's
  std::int64_t count;
};

/// The outputs of softmax_cross_entropy(). All in device memory.
struct LossOutput {
  float* gradient = nullptr;        ///< [batch, classes], or null: not computed
  BatchMetrics* metrics = nullptr;  ///< [slots]; a step outside them is not recorded
  std::int64_t slots = 0;
  /// Null, or set to 1 when the sum of the losses is not finite, and never reset here. A step that finds it
  /// set records a NaN loss and no correct image, whatever its logits.
  unsigned* halted = nullptr;
  /// Null, or grows by 1 with every step whose loss is finite while `halted` is not set.
  std::int64_t* finite_steps = nullptr;
};

/// Bytes of the workspace of softmax_cross_entropy().
std::int64_t softmax_cross_entropy_workspace(std::int64_t batch);

/// loss[n] = log(sum_k exp(z[n, k])) - z[n, label of n], gradient = (softmax(z) - onehot) * gradient_scale,
/// and the metrics of the batch, in double precision up to the rounding of the gradient. Then `state`
/// advances to the next batch: first += batch, step += 1. logits z: [batch, classes]; labels: of all images;
/// order as in gather_images(). A NaN logit, or a label that is no class, gives a NaN loss and counts as
/// incorrect. workspace: 16-byte aligned, its contents before and after are unspecified. arrivals: one
/// counter that is 0 before the first call, is 0 again after each, and is used by no other stream.
void softmax_cross_entropy(std::int64_t batch, std::int64_t classes, const float* logits,
                           const std::uint8_t* labels, const std::int64_t* order, BatchState* state,
                           const LossOutput& output, void* workspace, unsigned* arrivals,
                           const Stream& stream);

}  // namespace bntrain::kernels
