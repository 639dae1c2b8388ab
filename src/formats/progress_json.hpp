// How far a run has come, as JSON that gives every value back bit for bit.
#pragma once

#include <nlohmann/json.hpp>

#include "bntrain/model_file.hpp"

namespace bntrain {

nlohmann::json progress_json(const TrainProgress& progress);

/// Throws nlohmann::json::exception for JSON that progress_json() did not make.
TrainProgress progress_from(const nlohmann::json& stored);

}  // namespace bntrain
