// The network as a table for people.
#pragma once

#include <cstdint>
#include <string>

#include "bntrain/network.hpp"

namespace bntrain::cli {

/// A heading, one line a layer (index, text, output shape with the batch, trainable parameters), and their
/// total.
std::string layer_table(const Network& network, std::int64_t batch_size);

}  // namespace bntrain::cli
