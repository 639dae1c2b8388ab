// What commands work with: data sets, models, a backend.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bntrain/backend.hpp"
#include "bntrain/dataset.hpp"
#include "bntrain/network.hpp"

namespace bntrain::cli {

/// $XDG_CACHE_HOME/bntrain or ~/.cache/bntrain, then the folder of Debian's dataset-fashion-mnist.
/// (BNTRAIN_DATA is the environment form of --data and thus comes first.)
DataSearch default_data_search();

/// load_dataset() with this search.
Dataset load_data(const std::string& data, const DataNeeds& needs = {});

/// What a command asks of the data for the model of that file: the classes are `known`, else those that the
/// file names, if it does.
DataNeeds needs_of_model(const std::string& model, std::optional<std::int64_t> known, bool test_set);

/// make_backend(), its note logged.
std::unique_ptr<Backend> open_backend(const BackendOptions& options);

/// Throws Error(data), naming the model's file, unless its network takes the data set's images and classes.
void expect_fit(const std::string& model, const Network& network, const Dataset& dataset);

/// The model of a file as the initial values of a training run. running_var is converted where the file says
/// that it holds the other variance than `batch_norm`; `notes` receives what was converted and what may
/// surprise. Throws Error(data) for a file that is damaged or does not fit the network.
ModelState read_initial_values(const std::string& path, const Network& network,
                               const BatchNormOptions& batch_norm, std::vector<std::string>& notes);

}  // namespace bntrain::cli
