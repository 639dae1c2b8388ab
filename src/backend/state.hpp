// The state of an executable as named tensors.
#pragma once

#include <string>
#include <vector>

#include "backend/executable.hpp"
#include "bntrain/tensor.hpp"

namespace bntrain {

/// Parameters and running statistics, by PyTorch's names; `num_batches_tracked` counts the applied updates.
ModelState save_state(const Executable& executable);
/// The gradients g of the last training step, one tensor a parameter.
ModelState save_gradients(const Executable& executable);
/// Zeros before the first update.
std::vector<OptimizerState> save_optimizer(const Executable& executable);

/// Replaces parameters and running statistics, sets the optimiser's tensors to zero. Expects check_state() to
/// have passed.
void load_state(Executable& executable, const ModelState& state);
/// Replaces what the optimiser keeps; call it after load_state(). Expects fits_optimizer(). States that this
/// optimiser does not keep are ignored.
void load_optimizer(Executable& executable, const std::vector<OptimizerState>& state);
/// Whether there is all that the optimiser keeps.
bool fits_optimizer(const Executable& executable, const std::vector<OptimizerState>& state);

}  // namespace bntrain
