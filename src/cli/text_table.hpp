// Tables for a terminal.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

namespace bntrain::cli {

using TableRow = std::vector<std::string>;

/// The rows as lines, the cells of a column below each other, those of `right` at the right of their column.
/// Every row has as many cells as the first.
std::string text_table(const std::vector<TableRow>& rows, const std::set<std::size_t>& right = {});

}  // namespace bntrain::cli
