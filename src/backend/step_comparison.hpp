// How far two devices are apart after the same step from the same state, and how far they may be.
#pragma once

#include <string>
#include <vector>

#include "bntrain/backend.hpp"

namespace bntrain {

/// What a step leaves behind. An evaluation has metrics alone.
struct StepOutcome {
  StepMetrics metrics;
  ModelState state, gradients, momentum;
};

/// In the order in which a step computes them, so that the first wrong one is nearest to its cause.
enum class Quantity { running_statistics, loss, correct, gradient, momentum, parameter };

std::string to_string(Quantity quantity);

/// One quantity of the step: `value` is the distance in units of the quantity's scale, `allowed` its bound.
struct Distance {
  Quantity quantity = Quantity::loss;
  std::string tensor;  ///< PyTorch's name; "" for the loss and the hits
  double value = 0;
  double allowed = 0;

  bool within() const { return value <= allowed; }  ///< not for NaN
};

/// Every distance of `judged` from `reference`; both made one step from one state with one set of `params`.
/// ||.|| is the Euclidean norm of a tensor; numbers that are not finite must be so in both.
///   loss                  |a - b| / (b + 1 nat an image)
///   correct               |a - b| / images; allowed: 0
///   gradient              ||a - b|| / ||b||; a shift that a batch norm behind it subtracts has no gradient
///                         but rounding, so there b takes in the other gradients up to that batch norm
///   running_mean          ||a - b|| / (||mean|| + ||std||)
///   running_var           ||a - b|| / (||var|| + ||mean * std||)
///   num_batches_tracked   |a - b|; allowed: 0
///   momentum, parameter   of buffer - g and of w + lr * g, each with its own device's gradient g: what the
///                         update adds to it depends on the common state alone
/// After a loss that is not finite, the loss of `judged` must not be finite and the states must be equal.
std::vector<Distance> step_distances(const Network& network, const StepParams& params,
                                     const StepOutcome& reference, const StepOutcome& judged);

}  // namespace bntrain
