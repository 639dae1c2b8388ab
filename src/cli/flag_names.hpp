// What a command understands, for suggestions and checks.
#pragma once

#include <string>
#include <vector>

#include "cli/app_fwd.hpp"

namespace bntrain::cli {

/// The long flags of `app`, each behind `prefix` ("--" or "").
std::vector<std::string> flag_names(const CLI::App& app, const std::string& prefix);

/// The names of the values that `app` takes without a flag: "MODEL".
std::vector<std::string> argument_names(const CLI::App& app);

/// The sub-commands of `app`.
std::vector<std::string> command_names(const CLI::App& app);

}  // namespace bntrain::cli
