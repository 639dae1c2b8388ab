// How far two devices are apart after the same step from the same state, and how far they may be.
#pragma once

#include <string>
#include <vector>

#include "backend/executable.hpp"
#include "backend/state.hpp"

namespace bntrain {

/// What a step starts from, and with its metrics and gradients what it leaves behind. An evaluation has
/// metrics alone.
struct StepState {
  ModelState state;
  std::vector<OptimizerState> optimizer;
};

struct StepOutcome {
  StepMetrics metrics;
  StepState after;
  ModelState gradients;
};

/// In the order in which a step computes them, so that the first wrong one is nearest to its cause.
enum class Quantity { running_statistics, loss, correct, gradient, optimizer, parameter };

std::string to_string(Quantity quantity);

/// One quantity of the step: `value` is the distance in units of the quantity's scale, `allowed` its bound.
struct Distance {
  Quantity quantity = Quantity::loss;
  std::string tensor;  ///< PyTorch's name; "" for the loss and the correct predictions
  double value = 0;
  double allowed = 0;

  bool within() const { return value <= allowed; }  ///< not for NaN
};

/// Every distance of `judged` from `reference`; both made one step from the state `start` with one set of
/// `params`. ||.|| is the Euclidean norm of a tensor; values that are not finite must be so in both.
///   loss                  |a - b| / (b + 1 nat an image)
///   correct               |a - b| / images; allowed: 0
///   gradient              ||a - b|| / ||b||; a shift that a later batch norm subtracts has no gradient but
///                         rounding, so there b takes in the other gradients up to that batch norm. Before a
///                         batch norm over two values a channel more is allowed: almost all of what passes it
///                         cancels
///   running_mean          ||a - b|| / (||mean|| + ||std||)
///   running_var           ||a - b|| / (||var|| + ||mean * std||)
///   num_batches_tracked   |a - b|; allowed: 0
///   optimizer, parameter  ||a - u|| / ||t||, u what the update rule makes in double of the start and of the
///                         judged device's own gradient, t the sum of the absolute values of its terms, which
///                         may cancel
/// After a loss that is not finite, the loss of `judged` must not be finite and the states must be equal.
std::vector<Distance> step_distances(const Plan& plan, const StepParams& params, const StepState& start,
                                     const StepOutcome& reference, const StepOutcome& judged);

}  // namespace bntrain
