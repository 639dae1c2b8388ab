// The state of an executable as named tensors.
#pragma once

#include <string>
#include <vector>

#include "backend/executable.hpp"
#include "bntrain/tensor.hpp"

namespace bntrain {

/// One tensor that an optimiser keeps for every parameter, under PyTorch's name for it: "momentum_buffer",
/// "exp_avg", "exp_avg_sq".
struct NamedState {
  std::string name;
  ModelState tensors;  ///< one a parameter, by its name
};
using OptimizerState = std::vector<NamedState>;

/// Parameters and running statistics, by PyTorch's names; `num_batches_tracked` counts the applied updates.
ModelState save_state(const Executable& executable);
/// The gradients g of the last training step, one tensor a parameter.
ModelState save_gradients(const Executable& executable);
/// Zeros before the first update.
OptimizerState save_optimizer(const Executable& executable);

/// Replaces parameters and running statistics, sets the optimiser's tensors to zero. Expects check_state() to
/// have passed.
void load_state(Executable& executable, const ModelState& state);
/// Replaces what the optimiser keeps; call it after load_state(). Expects the tensors of save_optimizer().
void load_optimizer(Executable& executable, const OptimizerState& state);

}  // namespace bntrain
