// What a training run begins with.
#pragma once

#include <string>
#include <vector>

#include "bntrain/config.hpp"

namespace bntrain {

/// config.init's values, or the model in config.init_from, whose running_var is converted where the file says
/// that it holds the other variance. `notes` receives what was converted and what may surprise. Throws
/// Error(data) for a file that is damaged or does not fit.
ModelState starting_state(const TrainConfig& config, const Network& network, std::vector<std::string>& notes);

}  // namespace bntrain
