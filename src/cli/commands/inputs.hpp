// What commands read: where data sets are, and whether a model fits one.
#pragma once

#include <string>

#include "bntrain/dataset.hpp"
#include "bntrain/network.hpp"

namespace bntrain::cli {

/// $XDG_CACHE_HOME/bntrain or ~/.cache/bntrain, then the folder of Debian's dataset-fashion-mnist.
/// (BNTRAIN_DATA is the environment form of --data and thus comes first.)
DataSearch default_data_search();

/// Throws Error(data), naming the model's file, unless its network takes the data set's images and classes.
void expect_fit(const std::string& model, const Network& network, const Dataset& dataset);

}  // namespace bntrain::cli
