// The names that a command knows, and what a misspelt one may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/flags/app_fwd.hpp"

namespace bntrain::cli {

/// The long flags of `app`, each after `prefix` ("--" or "").
std::vector<std::string> flag_names(const CLI::App& app, const std::string& prefix);

/// The names of the values that `app` takes without a flag: "MODEL".
std::vector<std::string> argument_names(const CLI::App& app);

/// The sub-commands of `app`.
std::vector<std::string> command_names(const CLI::App& app);

/// The candidate with the smallest edit distance to `word`, or "" when none is near enough to be what was
/// meant.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// "; did you mean X?" for the nearest candidate, or "".
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace bntrain::cli
