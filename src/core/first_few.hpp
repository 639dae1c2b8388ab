// Lists for messages.
#pragma once

#include <string>
#include <vector>

namespace bntrain {

/// "a, b, c, d and 12 more"
std::string first_few(const std::vector<std::string>& texts, const std::string& separator = ", ");

}  // namespace bntrain
