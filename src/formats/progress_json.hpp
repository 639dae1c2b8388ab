// How far a run has come, as JSON that gives every value back bit for bit.
#pragma once

#include <nlohmann/json.hpp>

#include "bntrain/model_file.hpp"

namespace bntrain {

/// All but `measured`, which is as long as an epoch.
nlohmann::json progress_json(const TrainProgress& progress);

/// Throws nlohmann::json::exception for JSON that progress_json() did not make.
TrainProgress progress_from(const nlohmann::json& stored);

/// Of the checkpoints of formats 1 and 2, which list all epochs and hold `measured`.
TrainProgress progress_from_lists(const nlohmann::json& stored);

}  // namespace bntrain
