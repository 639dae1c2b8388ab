// Batch norms of a trained network folded into the layers in front of them.
#pragma once

#include <string>
#include <vector>

#include "bntrain/network.hpp"
#include "bntrain/tensor.hpp"

namespace bntrain {

struct FoldedNetwork {
  Network network;
  ModelState state;
  std::vector<std::string> folded;  ///< "1 bn": by index in the network that they were taken out of
  std::vector<std::string> kept;    ///< those without a convolution or a matrix product directly before them
};

/// The network that computes the same in inference without the batch norms that stand directly behind a
/// convolution or a matrix product. With s = gamma / sqrt(running_var + eps), channel by channel:
///   weight' = s * weight,  bias' = s * (bias - running_mean) + beta
/// in double precision, rounded to float32 once. As in batch_norm_inference(), running_var + eps = 0 or a
/// running_var beyond float32 gives beta: s = 0 and bias' = beta. Expects check_state() to have passed.
/// Throws Error(runtime) that names the layer and the channel when a folded number is not a finite float32.
FoldedNetwork fold_batch_norm(const Network& network, const ModelState& state, double eps);

}  // namespace bntrain
