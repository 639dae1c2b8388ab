// Text in the columns of a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bntrain::report {

/// How many it takes; some letters take two.
std::size_t columns_of(const std::string& text);

/// Without its middle where it is longer: names of runs differ at both ends.
std::string shortened(const std::string& text, std::size_t columns);

/// Cut off or filled up to so many columns.
std::string fitted(const std::string& text, std::size_t columns);

/// The name of a run as one line that changes nothing in a terminal.
std::string plain(const std::string& name);

/// In lines of at most so many columns, broken between words, longer words within; all but the first begin
/// with `indent` spaces.
std::vector<std::string> wrapped(const std::string& text, std::size_t columns, std::size_t indent = 0);
/// Likewise, each with its line end; all but the first are indented by two spaces more.
std::string wrapped_text(const std::string& text, std::size_t columns);

}  // namespace bntrain::report
