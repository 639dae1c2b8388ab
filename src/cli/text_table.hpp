// Tables for a terminal.
#pragma once

#include <string>
#include <vector>

namespace bntrain::cli {

using TableRow = std::vector<std::string>;

/// The rows as lines, the cells of a column below each other. Every row has as many cells as the first.
std::string text_table(const std::vector<TableRow>& rows);

}  // namespace bntrain::cli
