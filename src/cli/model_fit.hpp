// Models and data that are used together.
#pragma once

#include <string>

#include "bntrain/dataset.hpp"
#include "bntrain/network.hpp"

namespace bntrain::cli {

/// Throws Error(data), naming the model's file, unless its network takes the data set's images and classes.
void expect_fit(const std::string& model, const Network& network, const Dataset& dataset);

}  // namespace bntrain::cli
