// What commands work with: data sets, models, a backend.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bntrain/backend.hpp"
#include "bntrain/dataset.hpp"
#include "bntrain/error.hpp"
#include "bntrain/model_file.hpp"
#include "bntrain/network.hpp"

namespace bntrain::cli {

/// What `read` returns; its errors name the setting, whose source the user may have forgotten.
template <class Read>
auto with_setting(const std::string& setting, const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    if (!error.setting().empty()) throw;
    throw Error(error.kind(), setting, error.message());
  }
}

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

/// The file that holds the model: `given` itself, of the folder of a run its best model, or its last
/// checkpoint where there is none; a log line says which. Throws Error(data) for other folders.
std::string model_file(const std::string& given);

/// Remarks of readers on the log, as information or warnings.
void log_remarks(const std::vector<Remark>& remarks);

/// load_model(), its remarks logged.
Model open_model(const std::string& path, const ModelDescription& known);

}  // namespace bntrain::cli
