// A whole training step of any network in double, layer by layer as the text says: what compiled plans with
// their fused steps are judged by.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "bntrain/batch_norm.hpp"
#include "bntrain/dataset.hpp"
#include "bntrain/network.hpp"
#include "support/reference.hpp"

namespace bntrain::reference {

/// The activation of that kind, and from its input and the gradient of its output that of its input.
Values activation_forward(const Activation& activation, const Values& x);
Values activation_backward(const Activation& activation, const Values& x, const Values& dy);

/// Parameters and running statistics, or gradients, by PyTorch's names.
using State = std::map<std::string, Values>;

/// The float tensors of `state`; counters are left out.
State widen(const ModelState& state);

struct Batch {
  Values images;  ///< (labels.size(), channels, height, width), pixel / 255
  std::vector<std::int64_t> labels;
};

/// The float32 pixel / 255 of these images, or (that - mean) / std, which is what a backend computes with.
Batch read_batch(const ImageSet& set, std::span<const std::int64_t> indices,
                 const Normalization& normalization = {});

struct Step {
  double loss_sum = 0;
  std::int64_t correct = 0;
  State gradients;  ///< of loss_sum * gradient_scale, by the parameters
};

/// `to_float` rounds what every layer hands on, forward and backward, to float32: how far that moves a result
/// is the least that float32 costs in this network, and so the measure for the error of a backend.
enum class Rounding { none, to_float };

/// One step on `batch`: forward with the batch's statistics, backward, SGD. Replaces the parameters and
/// running statistics in `state`; `momentum` starts empty.
Step train_step(const Network& network, const BatchNormOptions& norm, const SgdOptions& sgd,
                const Batch& batch, State& state, State& momentum, Rounding rounding = Rounding::none);

/// A value between layers, and the gradient of loss_sum * gradient_scale by it.
struct LayerValue {
  Values value, gradient;
};

/// The same step without its update: the images, then every layer's output.
std::vector<LayerValue> layer_values(const Network& network, const BatchNormOptions& norm,
                                     double gradient_scale, const Batch& batch, const State& state,
                                     Rounding rounding = Rounding::none);

/// The loss of a training-mode forward pass, summed over the batch.
double training_loss(const Network& network, const BatchNormOptions& norm, const Batch& batch,
                     const State& state);

/// Forward with running statistics.
Values inference_logits(const Network& network, const BatchNormOptions& norm, const Batch& batch,
                        const State& state);
Loss evaluate(const Network& network, const BatchNormOptions& norm, const Batch& batch, const State& state);

}  // namespace bntrain::reference
