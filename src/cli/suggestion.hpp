// "did you mean ...?"
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bntrain::cli {

/// The candidate with the smallest edit distance to `word`, or "" when none is near enough to be what was
/// meant.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// "; did you mean X?" for the nearest candidate, or "".
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace bntrain::cli
