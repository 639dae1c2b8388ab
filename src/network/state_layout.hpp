// The order and place of every tensor that a model file holds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bntrain/network.hpp"

namespace bntrain {

/// One tensor of the state. `offset` counts floats in the parameter buffer or in the running statistics, by
/// role; the update count is in neither and is an int64 scalar.
struct StateEntry {
  TensorRole role = TensorRole::weight;
  std::string name;
  std::vector<std::int64_t> shape;
  std::int64_t size = 1;
  std::int64_t offset = 0;
  const Parameter* parameter = nullptr;  ///< lives in the network; null for running statistics
};

/// In the order of PyTorch's state_dict(): by layer the weight, the bias, then the running statistics.
/// The entries point into `network`.
std::vector<StateEntry> state_layout(const Network& network);

}  // namespace bntrain
